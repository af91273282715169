//! The rules of delivery over a ledger in memory: one behaviour a test, and a model that throws everything at them.
//!
//! `ledger` keeps, `hub` drives the rules by a clock that the test turns and checks what must always hold; `model`
//! adds workers with journals and a bad network. Nothing here waits or opens a socket.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says by a panic what does not hold"
)]

mod acks;
mod hub;
mod leases;
mod ledger;
mod model;
mod node;

mod offers;
mod stops;
