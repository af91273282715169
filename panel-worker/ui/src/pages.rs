//! One file a page, and what pages have in common.

pub mod deliveries;
mod elsewhere;
pub mod list;
pub mod not_found;
pub mod overview;
pub mod repository;
pub mod session;
pub mod session_acts;
pub mod sessions;
pub mod signed_out;
pub mod worker_settings;
pub mod workers;
