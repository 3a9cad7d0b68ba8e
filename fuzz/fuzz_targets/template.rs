#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluice_parsers::sql::template::fuzz_template(data));
