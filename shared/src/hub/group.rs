//! Webhooks of one isolate that go to their hub together: while one call is on its way, those that come wait for the next.
//!
//! This says only whose turn it is and what goes with it; the proxy's `group` makes the calls. A sender that never
//! comes back must not hold up those behind it.

use std::collections::VecDeque;

use crate::time::Timestamp;

/// A call that takes longer than this, in ms, is not waited for by those who come after.
pub const STALE_MS: i64 = 1_000;
/// At most so many events go in one call.
pub const MOST: usize = 64;
/// A call carries at most so many bytes, unless its first event alone is larger.
pub const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The events of one organization that wait, each with whoever waits for its outcome.
#[derive(Debug)]
pub struct Group<W> {
    waiting: VecDeque<(String, W)>,
    sending_since: Option<Timestamp>,
}

impl<W> Default for Group<W> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), sending_since: None }
    }
}

impl<W> Group<W> {
    /// Adds an event. `true`: it is the caller's turn to [`Group::take`] and send.
    pub fn join(&mut self, event: String, waiter: W, now: Timestamp) -> bool {
        self.waiting.push_back((event, waiter));
        self.claim(now)
    }

    /// Asks for the turn, when events wait and nobody sends, or whoever sends has not been heard of for too long.
    pub fn claim(&mut self, now: Timestamp) -> bool {
        let busy = self
            .sending_since
            .is_some_and(|since| (0..STALE_MS).contains(&(now.as_millis() - since.as_millis())));
        let free = !busy && !self.waiting.is_empty();
        if free {
            self.sending_since = Some(now);
        }
        free
    }

    /// What goes out now, oldest first.
    pub fn take(&mut self) -> Vec<(String, W)> {
        let mut bytes = 0_usize;
        let fits = self
            .waiting
            .iter()
            .take(MOST)
            .take_while(|(event, _)| {
                let first = bytes == 0;
                bytes = bytes.saturating_add(event.len()).saturating_add(1);
                first || bytes <= MOST_BYTES
            })
            .count();
        self.waiting.drain(..fits).collect()
    }

    /// A sender is done. Whoever is given here is to take and send next; `None`: nobody waits.
    pub fn done(&mut self, now: Timestamp) -> Option<&W> {
        self.sending_since = self.waiting.front().map(|_| now);
        self.waiting.front().map(|(_, waiter)| waiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn words(taken: Vec<(String, u32)>) -> Vec<u32> {
        taken.into_iter().map(|(_, waiter)| waiter).collect()
    }

    #[test]
    fn a_lone_event_goes_at_once() {
        let mut group = Group::default();
        assert!(group.join("a".into(), 1, at(0)));
        assert_eq!(words(group.take()), [1]);
        assert_eq!(group.done(at(1)), None);
        assert!(group.join("b".into(), 2, at(2)));
    }

    #[test]
    fn those_that_come_during_a_call_go_together_in_the_next_by_the_first_of_them() {
        let mut group = Group::default();
        assert!(group.join("a".into(), 1, at(0)));
        assert_eq!(words(group.take()), [1]);
        assert!(!group.join("b".into(), 2, at(1)));
        assert!(!group.join("c".into(), 3, at(1)));
        assert_eq!(group.done(at(2)), Some(&2));
        assert!(!group.join("d".into(), 4, at(2)), "the turn is given, not free");
        assert_eq!(words(group.take()), [2, 3, 4]);
        assert_eq!(group.done(at(3)), None);
    }

    #[test]
    fn a_sender_that_never_comes_back_is_passed_over() {
        let mut group = Group::default();
        assert!(group.join("a".into(), 1, at(0)));
        assert_eq!(words(group.take()), [1]);
        assert!(!group.join("b".into(), 2, at(STALE_MS - 1)));
        assert!(group.join("c".into(), 3, at(STALE_MS)));
        assert_eq!(words(group.take()), [2, 3]);
        assert!(!group.claim(at(9 * STALE_MS)), "nothing waits");
        assert!(group.join("e".into(), 5, at(9 * STALE_MS)));
        assert!(!group.claim(at(10 * STALE_MS - 1)));
        assert!(group.claim(at(10 * STALE_MS)));
        assert!(
            Group { sending_since: Some(at(9)), ..Group::default() }.join("d".into(), 4, at(8)),
            "the clock went back"
        );
    }

    #[test]
    fn a_call_carries_no_more_than_its_limits_but_always_one() {
        let mut group = Group::default();
        let huge = "x".repeat(MOST_BYTES + 1);
        for waiter in 0..2 {
            group.join(huge.clone(), waiter, at(0));
        }
        assert_eq!(words(group.take()), [0]);
        assert_eq!(words(group.take()), [1]);
        for waiter in 0..=MOST as u32 {
            group.join("x".into(), waiter, at(0));
        }
        assert_eq!(group.take().len(), MOST);
        assert_eq!(group.take().len(), 1);
    }

    proptest! {
        /// However joins and ends of calls interleave, each event is taken once and in order, and one of those that wait has the turn.
        #[test]
        fn each_event_is_taken_once_and_in_order(steps in proptest::collection::vec(any::<bool>(), 1..200)) {
            let mut group = Group::default();
            let (mut next, mut taken, mut sending) = (0_u32, Vec::new(), false);
            for join in steps {
                if join {
                    let turn = group.join("x".into(), next, at(0));
                    prop_assert_eq!(turn, !sending);
                    next += 1;
                } else if sending {
                    sending = group.done(at(0)).is_some();
                    if !sending { continue; }
                } else {
                    continue;
                }
                if !sending || !join {
                    taken.extend(words(group.take()));
                    sending = true;
                }
            }
            while sending {
                sending = group.done(at(0)).is_some();
                taken.extend(words(group.take()));
            }
            prop_assert_eq!(taken, (0..next).collect::<Vec<_>>());
        }
    }
}
