//! The default numbers of delivery. An operator may set each; tests shorten them.

use serde::{Deserialize, Serialize};

use crate::stream::Intervals;

/// Times in milliseconds, counts as they are. Set by `CYRUS_SETTINGS`, a JSON object with the keys to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// Between two `heartbeat` lines of a stream.
    pub heartbeat_line_ms: u64,
    /// An offer that is not accepted in this time goes to the next worker.
    pub offer_ms: u64,
    /// Between two heartbeats of a worker that holds leases.
    pub worker_heartbeat_ms: u64,
    /// A lease without a heartbeat lapses after this.
    pub lease_ms: u64,
    /// A lapsed lease may move after this.
    pub takeover_after_ms: u64,
    /// Never move a session away from the worker that began it.
    pub takeover_never: bool,
    /// Attempts before an event is a dead letter.
    pub max_attempts: u32,
    /// The first pause before another attempt; it doubles.
    pub backoff_ms: u64,
    /// The longest pause.
    pub backoff_max_ms: u64,
    /// The proxy posts the first thought when nobody accepted in this time.
    pub first_thought_ms: u64,
    /// A stream is ended on purpose after this, before the platform's CPU limit ends it.
    pub stream_max_ms: u64,
    /// A stream is ended on purpose after this many lines, for the same reason.
    pub stream_max_lines: u32,
    /// A timer that rings later than this means that the hub itself was away: every lease starts anew.
    pub outage_ms: u64,
    /// Requests an hour that Linear allows to one workspace; workers get slices of them.
    pub linear_requests_per_hour: u32,
    /// Done events are kept this long, and so are commands of the panel that the hub has confirmed.
    pub retention_ms: u64,
    /// The Room joins log batches for this long while somebody watches.
    pub flush_watched_ms: u64,
    /// And for this long when nobody does.
    pub flush_unwatched_ms: u64,
    /// Webhooks per minute that one organization may send.
    pub webhooks_per_minute: u32,
    /// The hub counts the rows that it reads and writes, for its status. Each statement then costs a little more.
    pub count_rows: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat_line_ms: 15_000,
            offer_ms: 10_000,
            worker_heartbeat_ms: 45_000,
            lease_ms: 150_000,
            takeover_after_ms: 600_000,
            takeover_never: false,
            max_attempts: 8,
            backoff_ms: 1_000,
            backoff_max_ms: 600_000,
            first_thought_ms: 5_000,
            stream_max_ms: 300_000,
            stream_max_lines: 2_000,
            outage_ms: 30_000,
            linear_requests_per_hour: 5_000,
            retention_ms: 7 * 24 * 3_600_000,
            flush_watched_ms: 2_000,
            flush_unwatched_ms: 10_000,
            webhooks_per_minute: 6_000,
            count_rows: false,
        }
    }
}

impl Settings {
    /// A timer that rings later than this means that the hub itself was away, in ms. Half a lease where that is shorter.
    pub fn outage_threshold_ms(&self) -> u64 {
        self.outage_ms.min((self.lease_ms / 2).max(500))
    }

    /// For how long after a confirmation nobody else is given a worker's leases, in ms.
    pub fn exclusive_ms(&self) -> u64 {
        // Within what JavaScript and a day's clock can count.
        const FOR_EVER: u64 = 1_000 * 365 * 86_400_000;
        if self.takeover_never {
            FOR_EVER
        } else {
            self.lease_ms.saturating_add(self.takeover_after_ms).min(FOR_EVER)
        }
    }

    /// Reads the operator's JSON; an empty text means the defaults.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        if json.trim().is_empty() { Ok(Self::default()) } else { serde_json::from_str(json) }
    }

    /// What `hello` tells a worker of these.
    pub fn intervals(&self) -> Intervals {
        Intervals {
            heartbeat_line_ms: self.heartbeat_line_ms,
            worker_heartbeat_ms: self.worker_heartbeat_ms,
            lease_ms: self.lease_ms,
            offer_ms: self.offer_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_setting_is_an_error_and_not_a_default() {
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
        assert_eq!(Settings::parse(r#"{"offerMs":5}"#).unwrap().offer_ms, 5);
        assert!(Settings::parse(r#"{"oferMs":5}"#).is_err());
        assert!(Settings::parse(r#"{"offerMs":-5}"#).is_err());
    }
}
