//! What heartbeat and acks find out and the worker has to act on.

use shared::id::{FencingToken, Seq};
use shared::worker::LeaseClaim;

/// One thing that was found out.
#[derive(Debug)]
pub enum News {
    /// A lease is not this worker's any more.
    Lost(LeaseClaim),
    /// The hub does not take this event's acks: its session has moved.
    Moved {
        /// The event.
        seq: Seq,
        /// The token that is void.
        token: FencingToken,
    },
    /// The configuration's version in the panel.
    Config(String),
}
