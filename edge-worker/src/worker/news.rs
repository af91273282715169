//! What heartbeat and acks find out and the worker has to act on.

use std::time::Duration;

use shared::id::{FencingToken, Seq};
use shared::worker::LeaseClaim;

/// One thing that was found out.
#[derive(Debug)]
pub enum News {
    /// A lease is not this worker's any more.
    Lost {
        /// Which.
        claim: LeaseClaim,
        /// When the question was sent, by the clock of [`super::leases::Leases`].
        asked: Duration,
    },
    /// The hub took the `accepted` ack of this event: it is this worker's.
    Taken {
        /// The event.
        seq: Seq,
        /// The token under which it was offered.
        token: FencingToken,
        /// When the ack was sent.
        asked: Duration,
    },
    /// The hub does not take this event's acks: its session has moved.
    Moved {
        /// The event.
        seq: Seq,
        /// The token that is void.
        token: FencingToken,
        /// When the ack was sent.
        asked: Duration,
    },
    /// The configuration's version in the panel.
    Config(String),
}
