//! The rules of delivery as pure transitions. The hub's Durable Object is their thin shell.
//!
//! - [`delivery`]: the life of one event.
//! - [`lease`]: who may act for a session, and until when.
//! - [`balance`]: which worker gets a session.
//! - [`call`]: what the Workers say to a hub.
//! - [`backoff`]: how long to wait before another attempt.
//!
//! Nothing here reads a clock or a table.

pub mod backoff;
pub mod balance;
pub mod call;
pub mod delivery;
pub mod lease;
