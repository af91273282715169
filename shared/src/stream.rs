//! The lines of the stream from hub to edge (`GET /v1/events`), NDJSON or WebSocket messages alike.
//!
//! Both sides ignore fields they do not know; the client ignores lines it does not know ([`parse`] gives
//! `None` for them), so one version back always works. What goes the other way is in [`crate::ack`] and
//! [`crate::worker`].

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::id::{FencingToken, Seq, SessionKey, WorkerId};
use crate::time::Timestamp;

/// The version of the protocol that this build speaks; it also understands the one before.
pub const PROTOCOL: u32 = 2;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum StreamLine {
    /// The first line of every stream.
    Hello {
        /// Whom the hub takes the client for.
        worker_id: WorkerId,
        /// The version spoken on this stream.
        protocol: u32,
        /// The hub's clock.
        server_time: Timestamp,
        /// How often things happen here.
        intervals: Intervals,
        /// The configuration's version in the panel; absent when there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config_etag: Option<String>,
        /// The leases that this worker holds.
        #[serde(default)]
        leases: Vec<HeldLease>,
        /// Events that the hub believes are in this worker's journal and not done.
        #[serde(default)]
        accepted: Vec<Seq>,
    },
    /// An offer: take it by an ack within the offer's time.
    Event {
        /// The hub's number of the event.
        seq: Seq,
        /// How often it was tried before, plus one.
        attempt: u32,
        /// What orders and leases it.
        session_key: SessionKey,
        /// The lease's fencing token, to be shown with every effect.
        token: FencingToken,
        /// The session moved here from another worker: read what was done before doing anything.
        #[serde(default)]
        takeover: bool,
        /// Nobody serves it by rule: ask the person which repository is meant.
        #[serde(default)]
        ask: bool,
        /// The proxy has already posted the first thought.
        #[serde(default)]
        first_thought: bool,
        /// Requests to Linear that the worker may spend within the hour; absent when no slice is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        linear_slice: Option<u32>,
        /// The event.
        event: Box<Event>,
    },
    /// A sign of life; carries nothing.
    Heartbeat,
    /// The configuration changed in the panel.
    Config {
        /// Its new version.
        etag: String,
    },
    /// A lease is gone: stop its run and post nothing more.
    Revoked {
        /// The session.
        session_key: SessionKey,
        /// The token that is void from now on.
        token: FencingToken,
    },
    /// This stream ends on purpose; come back at once.
    Reconnect,
    /// Another stream of the same worker took over; this process must end.
    Replaced,
}

/// How often things happen, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Intervals {
    /// Between two `heartbeat` lines; 2.5 of them in silence mean a dead stream.
    pub heartbeat_line_ms: u64,
    /// Between two `POST /v1/heartbeats` while leases are held.
    pub worker_heartbeat_ms: u64,
    /// How long a lease lasts without one.
    pub lease_ms: u64,
    /// How long an offer waits for its ack.
    pub offer_ms: u64,
}

/// A lease as `hello` tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HeldLease {
    /// The session.
    pub session_key: SessionKey,
    /// Its fencing token.
    pub token: FencingToken,
    /// A stop came while the worker was away: do not resume, end the session.
    #[serde(default)]
    pub stop: bool,
}

/// Why a line could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Not a JSON object with a `type`.
    #[error("the line is not a JSON object with a `type`")]
    NotALine,
    /// A known type with fields of the wrong shape.
    #[error("the `{kind}` line is not of the right shape")]
    Shape {
        /// The line's type.
        kind: String,
        /// What was wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads one line. `None`: a type of line that a newer hub knows and this build does not.
pub fn parse(line: &[u8]) -> Result<Option<StreamLine>, LineError> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow)]
        kind: std::borrow::Cow<'a, str>,
    }
    const KNOWN: [&str; 7] = ["hello", "event", "heartbeat", "config", "revoked", "reconnect", "replaced"];
    let kind = serde_json::from_slice::<Kind<'_>>(line).map_err(|_| LineError::NotALine)?.kind;
    if !KNOWN.contains(&kind.as_ref()) {
        return Ok(None);
    }
    serde_json::from_slice(line)
        .map(Some)
        .map_err(|source| LineError::Shape { kind: kind.into_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Closing, EventBody};

    #[test]
    fn a_line_of_a_newer_hub_is_passed_over() {
        assert!(parse(br#"{"type":"weather","wind":3}"#).unwrap().is_none());
        assert_eq!(parse(br#"{"new":1,"type":"heartbeat"}"#).unwrap(), Some(StreamLine::Heartbeat));
    }

    #[test]
    fn an_event_of_a_kind_that_a_newer_hub_knows_can_still_be_answered() {
        let line = r#"{"type":"event","seq":7,"attempt":1,"sessionKey":"k","token":3,"event":{
            "id":"evt_01jd0000000000000000000000","deliveryId":"d","receivedAt":"2026-11-22T10:15:25.752Z",
            "workspaceId":"w","kind":"issue_moved","agentSession":{"id":7},"to":[{}]}}"#;
        let Some(StreamLine::Event { seq, token, session_key, event, .. }) = parse(line.as_bytes()).unwrap()
        else {
            panic!("no event");
        };
        assert_eq!((seq, token, session_key.as_str()), (Seq(7), FencingToken(3), "k"));
        assert_eq!(event.body, EventBody::Unknown);
        assert!(event.body.agent_session().local);
        // A known kind with fields of another shape is no unknown kind.
        assert!(parse(line.replace("issue_moved", "issue_closed").as_bytes()).is_err());
        let how = line
            .replace("issue_moved", "issue_closed")
            .replace(r#"{"id":7},"to":[{}]"#, r#"{"id":"a"},"how":"lost""#);
        let Some(StreamLine::Event { event, .. }) = parse(how.as_bytes()).unwrap() else {
            panic!("no event")
        };
        assert!(matches!(event.body, EventBody::IssueClosed { how: Closing::Unknown, .. }));
    }

    #[test]
    fn nasty_lines_are_errors_and_never_panics() {
        let deep = "[".repeat(100_000);
        for nasty in ["", "{}", "[]", "null", "\u{0}", r#"{"type":7}"#, r#"{"type":"event"}"#, deep.as_str()]
        {
            assert!(parse(nasty.as_bytes()).is_err(), "{}", nasty.chars().take(20).collect::<String>());
        }
        assert!(parse(&[0xff, 0xfe]).is_err());
    }
}
