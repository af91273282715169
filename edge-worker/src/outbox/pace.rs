//! How quickly log lines are posted: as the Room's `flushMs` says whether somebody watches. Pure.

use std::time::Duration;

/// A Room that joins batches no longer than this is being watched.
const WATCHED_AT_MOST: Duration = Duration::from_secs(2);
/// Posts on their way at once while somebody watches.
const IN_FLIGHT: usize = 8;
/// Between two posts while somebody watches.
const SPACING: Duration = Duration::from_millis(100);

/// The pace of one session's lines. It begins unwatched: the first answer tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    watched: Option<Duration>,
}

impl Pace {
    /// What an answer's `flushMs` says.
    pub fn told(flush_ms: u64) -> Self {
        let flush = Duration::from_millis(flush_ms);
        Self { watched: (flush <= WATCHED_AT_MOST).then_some(flush) }
    }

    /// How many posts may be on their way. Unwatched it is one, and what comes meanwhile travels together.
    pub fn in_flight(self) -> usize {
        if self.watched.is_some() { IN_FLIGHT } else { 1 }
    }

    /// How long the next post waits after one that made it `on_their_way` posts. All are answered at the Room's next
    /// flush, so the later ones spread over that time: a viewer never waits for a whole flush.
    pub fn spacing(self, on_their_way: usize) -> Duration {
        match self.watched {
            Some(flush) if on_their_way > IN_FLIGHT / 2 => SPACING.max(flush / 4),
            Some(_) => SPACING,
            None => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unwatched_session_has_one_post_on_its_way() {
        for pace in [Pace::default(), Pace::told(10_000), Pace::told(2_001), Pace::told(u64::MAX)] {
            assert_eq!(pace.in_flight(), 1, "{pace:?}");
            assert_eq!(pace.spacing(1), Duration::ZERO);
        }
    }

    #[test]
    fn a_watched_session_posts_at_most_every_100_ms_and_never_uses_up_its_places_before_a_flush() {
        for flush_ms in [0, 1, 200, 2_000] {
            let pace = Pace::told(flush_ms);
            let (mut at, mut posts) = (Duration::ZERO, 0);
            while at < Duration::from_millis(flush_ms) {
                posts += 1;
                assert!(pace.spacing(posts) >= Duration::from_millis(100));
                at += pace.spacing(posts);
            }
            assert!(posts <= pace.in_flight(), "{posts} posts in {flush_ms} ms");
        }
    }
}
