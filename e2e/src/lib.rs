//! The harness of the whole-system tests: a system from `xtask up --json`, and hands to drive it from outside.
//!
//! [`system`] starts and stops it, [`suite`] runs lists of tests on it, [`delivery`] speaks as Linear, [`raw_worker`]
//! as an edge worker by hand, [`bot`] as one that behaves by itself, [`sse`] as a viewer, [`edge`] restarts a real edge.
//! Nothing here knows the inside of any part.

pub mod bot;
pub mod delivery;
pub mod edge;
pub mod node;
pub mod poll;
pub mod raw_stream;
pub mod raw_worker;
pub mod sse;
pub mod suite;
pub mod system;
pub mod whole_session;
