//! The thin layer over the Workers platform that both Workers share: answers, failures, SQL, streams, randomness.
//!
//! Everything that touches JavaScript beyond what the `worker` crate offers is here, one small file each.
//! No business rule lives here; those are in `shared`.

pub mod body;
pub mod clock;
pub mod credential;
pub mod failure;
pub mod log;
pub mod object;
pub mod random;
pub mod relay;
pub mod reply;
pub mod settings;
pub mod sql;
pub mod subtle;
