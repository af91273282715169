//! Fuzzes [`cyrus_fuzz::client::client_stream`]; what must hold is said there.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cyrus_fuzz::client::client_stream(bytes));
