//! Stub.

pub mod executor;
