//! One target: the body that has the name of this program.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| lamplighter_fuzz::run(env!("CARGO_BIN_NAME"), octets));
