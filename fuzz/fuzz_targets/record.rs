#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluice_audit::record::fuzz_record(data));
