//! Stub.

pub mod executor;
pub mod git;
