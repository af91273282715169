//! The id of a Linear activity, chosen by us so that a repeated post is one activity.
//!
//! Linear takes a UUIDv4 of the client's choice for `agentActivityCreate`. It is derived from what the
//! activity means, so proxy and worker, or a worker before and after a crash, arrive at the same id.

use uuid::Uuid;

use crate::digest::sha256;
use crate::id::{AgentSessionId, FencingToken, Seq};

/// Which activity of an event this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The sign of life within ten seconds. Proxy and worker share its id.
    FirstThought,
    /// The error of a dead letter; a replay's answer is another one.
    DeadLetter,
    /// The final answer of the turn that took the event in.
    Final,
    /// Something on the way, tied to the lease and to the run's line that it tells of.
    Streaming {
        /// The lease under which it is told.
        token: FencingToken,
        /// The line of the run, counted from 1.
        line: u64,
    },
}

/// Derives the id: the first 16 bytes of SHA-256(agent session, event seq, step), marked as a version 4 UUID.
pub fn activity_id(session: &AgentSessionId, seq: Seq, step: Step) -> Uuid {
    let step = match step {
        Step::FirstThought => "first".to_owned(),
        Step::Final => "final".to_owned(),
        Step::DeadLetter => "dead".to_owned(),
        Step::Streaming { token, line } => format!("stream/{token}/{line}"),
    };
    // Lengths go first, so that no two different triples read as the same text.
    let text = format!("{}:{session}/{seq}/{step}", session.as_str().len());
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().zip(sha256(text.as_bytes())) {
        *to = from;
    }
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_meaning_gives_the_same_id_and_another_meaning_another() {
        let session = AgentSessionId::from("70f3d8b1-c5a2-4e9d-8617-4a2e9b0c5d38");
        let first = activity_id(&session, Seq(1), Step::FirstThought);
        assert_eq!(first, activity_id(&session, Seq(1), Step::FirstThought));
        assert_eq!(first.get_version_num(), 4);
        assert_ne!(first, activity_id(&session, Seq(2), Step::FirstThought));
        assert_ne!(first, activity_id(&session, Seq(1), Step::Final));
        let one = activity_id(&session, Seq(1), Step::Streaming { token: FencingToken(1), line: 12 });
        let two = activity_id(&session, Seq(1), Step::Streaming { token: FencingToken(11), line: 2 });
        assert_ne!(one, two);
    }
}
