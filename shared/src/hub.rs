//! The rules of delivery as pure transitions. The hub's Durable Object is their thin shell.
//!
//! - [`delivery`]: the life of one event.
//! - [`lease`]: who may act for a session, and until when.
//! - [`fleet`], [`balance`]: the workers, and which of them gets a session.
//! - [`ledger`]: what is kept; [`rules`]: what happens to it, in parts: [`arrival`], [`offer`], [`ack`], [`stream`], [`lapse`].
//! - [`arrived`]: an event on its way in; [`group`]: those that go in together.
//! - [`call`]: what the Workers say to a hub.
//! - [`backoff`]: how long to wait before another attempt.
//!
//! Nothing here reads a clock or a table.

pub mod ack;
pub mod arrival;
pub mod arrived;
pub mod backoff;
pub mod balance;
pub mod call;
pub mod delivery;
pub mod fleet;
pub mod group;
pub mod lapse;
pub mod lease;
pub mod ledger;
pub mod offer;
pub mod rules;
pub mod stream;
