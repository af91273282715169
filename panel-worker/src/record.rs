//! Rows of D1 as the records of the API.

pub mod session;
