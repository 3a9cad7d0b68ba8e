#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluice_parsers::postgres::fuzz_model(data));
