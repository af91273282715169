//! What every part of Cyrus agrees on, and nothing else.
//!
//! Ids, wire types, state machines, policies, money and the crypto envelope live here, for the two
//! Workers (wasm32) and for `cyrus` (native) alike. This crate is pure: no IO, no clock, no random
//! source. Time and randomness come in as arguments, so everything replays. It must never depend on
//! `worker`, `tokio` or `leptos`.

pub mod ack;
pub mod activity_id;
pub mod api;
pub mod digest;
pub mod envelope;
pub mod event;
pub mod hub;
pub mod id;
pub mod lineage;
pub mod linear;
pub mod log_line;
pub mod money;
pub mod problem;
pub mod queue;
pub mod recovery;
pub mod route;
pub mod run;
pub mod session;
pub mod settings;
pub mod status;
pub mod stream;
pub mod surrogate;
pub mod time;
pub mod turn;
pub mod typeid;
pub mod webhook;
pub mod worker;
pub mod worker_config;
pub mod worker_key;
