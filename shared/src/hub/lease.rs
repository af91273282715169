//! Leases: one worker at a time may act for a session, under a fencing token that only grows (invariant D3).

use crate::id::{FencingToken, WorkerId};
use crate::settings::Settings;
use crate::time::Timestamp;

/// A lease on one session key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its holder.
    pub worker: WorkerId,
    /// Its fencing token.
    pub token: FencingToken,
    /// When it was given or last renewed.
    pub renewed_at: Timestamp,
}

/// How firmly a lease is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Renewed in time.
    Held,
    /// Not renewed; the same worker may come back under the same token.
    Lapsed,
    /// Not renewed for so long that another worker may take the session.
    Movable,
}

impl Lease {
    /// How firmly it is held at `now`.
    pub fn standing(&self, now: Timestamp, settings: &Settings) -> Standing {
        if now < self.lapses_at(settings) {
            Standing::Held
        } else if settings.takeover_never || now < self.movable_at(settings) {
            Standing::Lapsed
        } else {
            Standing::Movable
        }
    }

    /// When it lapses, if it is not renewed.
    pub fn lapses_at(&self, settings: &Settings) -> Timestamp {
        self.renewed_at.plus_millis(signed(settings.lease_ms))
    }

    /// When another worker may take the session, if it is not renewed.
    pub fn movable_at(&self, settings: &Settings) -> Timestamp {
        self.lapses_at(settings).plus_millis(signed(settings.takeover_after_ms))
    }

    /// Whether an ack or a write under `worker` and `token` is under this lease.
    pub fn covers(&self, worker: WorkerId, token: FencingToken) -> bool {
        self.worker == worker && self.token == token
    }
}

/// The token of the next lease of a session key, given the newest that was ever given for it.
pub fn next_token(newest: FencingToken) -> FencingToken {
    FencingToken(newest.0.saturating_add(1))
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::new_uuid;

    fn worker(n: u8) -> WorkerId {
        WorkerId::from_uuid(new_uuid(Timestamp::from_millis(1), [n; 10]))
    }

    fn lease() -> Lease {
        Lease { worker: worker(1), token: FencingToken(3), renewed_at: Timestamp::from_millis(0) }
    }

    #[test]
    fn a_lease_lapses_first_and_moves_only_after_the_grace() {
        let settings = Settings::default();
        let at = |ms| lease().standing(Timestamp::from_millis(ms), &settings);
        assert_eq!(at(149_999), Standing::Held);
        assert_eq!(at(150_000), Standing::Lapsed);
        assert_eq!(at(749_999), Standing::Lapsed);
        assert_eq!(at(750_000), Standing::Movable);
    }

    #[test]
    fn with_take_over_off_a_session_waits_for_ever() {
        let settings = Settings { takeover_never: true, ..Settings::default() };
        assert_eq!(lease().standing(Timestamp::from_millis(i64::MAX), &settings), Standing::Lapsed);
    }

    #[test]
    fn only_holder_and_token_together_are_covered() {
        assert!(lease().covers(worker(1), FencingToken(3)));
        assert!(!lease().covers(worker(2), FencingToken(3)));
        assert!(!lease().covers(worker(1), FencingToken(2)));
        assert!(next_token(FencingToken(3)) > FencingToken(3));
    }
}
