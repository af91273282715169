//! A whole worker against a hub of the test's own and a workshop that only notes what it is told.

mod hub;
mod leases;
mod leaving;
mod workbench;

use std::time::Duration;

use shared::ack::{Ack, AckAnswer, AckState};
use shared::id::{FencingToken, Seq, SessionKey};

use super::*;
use hub::{Hub, hello, lease, offer};
use workbench::{Bench, Did};

const LIMIT: Duration = Duration::from_secs(20);

/// Waits until something is so.
async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let by = tokio::time::Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < by, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn states(acks: &[Ack], seq: u64) -> Vec<AckState> {
    acks.iter().filter(|ack| ack.seq == Seq(seq)).map(|ack| ack.state).collect()
}
