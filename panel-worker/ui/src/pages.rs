//! One file a page.

pub mod not_found;
pub mod overview;
pub mod session;
pub mod sessions;
pub mod signed_out;
