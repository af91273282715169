//! Fuzzes [`cyrus_fuzz::wire::stream_line`]; what must hold is said there.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cyrus_fuzz::wire::stream_line(bytes));
