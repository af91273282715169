//! The life of one event: `pending → offered → accepted → done | dead | cancelled`.
//!
//! *Accepted* means that it is in a worker's journal; *done*, that the turn that took it in has ended and its
//! effects have left the outbox. What is not done is offered again and never dropped (invariant D4). Whether
//! an ack's token is current is decided in [`super::lease`], before a step is taken here.

use serde::{Deserialize, Serialize};

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// Waits for a worker.
    Pending,
    /// Sent to a worker, not yet in its journal.
    Offered,
    /// In a worker's journal.
    Accepted,
    /// Handled.
    Done,
    /// Given up after the last attempt; a person may replay it.
    Dead,
    /// Overtaken by a stop.
    Cancelled,
}

impl EventState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Offered, Self::Accepted, Self::Done, Self::Dead, Self::Cancelled];

    /// The word in the hub's tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether work is still owed for it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Offered | Self::Accepted)
    }
}

/// What happens to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// The hub sends it to the lease's holder.
    Offer,
    /// The offer's time ran out or its stream closed. Not an attempt.
    OfferEnded,
    /// The holder has it in its journal.
    Accept,
    /// The holder has handled it.
    Finish,
    /// The holder wants it again later. An attempt.
    Retry,
    /// The holder does not serve it. Not an attempt.
    Reject,
    /// Its lease moved to another worker. An attempt, if it had been accepted.
    LeaseMoved,
    /// A stop overtook it.
    Cancel,
    /// A person wants a dead one tried again.
    Replay,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The state after.
    pub state: EventState,
    /// Failed attempts so far.
    pub attempts: u32,
}

/// Takes one step. `None`: that cannot happen to an event in this state, and nothing changes.
///
/// Finishing, accepting and cancelling twice change nothing and are no error: acks are repeated.
pub fn step(state: EventState, attempts: u32, happening: Happening, max_attempts: u32) -> Option<Outcome> {
    use EventState::{Accepted, Cancelled, Dead, Done, Offered, Pending};
    let counted = attempts.saturating_add(1);
    let failed = Outcome { state: if counted >= max_attempts { Dead } else { Pending }, attempts: counted };
    let same_count = |state| Outcome { state, attempts };
    Some(match (state, happening) {
        (Pending | Offered, Happening::Offer) => same_count(Offered),
        (Offered, Happening::OfferEnded | Happening::LeaseMoved) => same_count(Pending),
        // An ack may arrive after its offer ended, as long as the token still holds.
        (Pending | Offered | Accepted, Happening::Accept) => same_count(Accepted),
        (Done, Happening::Accept | Happening::Finish) => same_count(Done),
        (Pending | Offered | Accepted, Happening::Finish) => same_count(Done),
        (Pending, Happening::Retry | Happening::Reject) => same_count(Pending),
        (Offered | Accepted, Happening::Reject) => same_count(Pending),
        (Offered | Accepted, Happening::Retry) => failed,
        (Accepted, Happening::LeaseMoved) => failed,
        (Pending | Offered | Accepted | Cancelled, Happening::Cancel) => same_count(Cancelled),
        (Cancelled, Happening::Accept | Happening::Finish) => same_count(Cancelled),
        (Dead | Cancelled, Happening::Replay) => Outcome { state: Pending, attempts: 0 },
        (Pending, Happening::OfferEnded | Happening::LeaseMoved | Happening::Replay)
        | (Offered, Happening::Replay)
        | (Accepted, Happening::Offer | Happening::OfferEnded | Happening::Replay)
        | (Done | Dead | Cancelled, _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HAPPENINGS: [Happening; 9] = [
        Happening::Offer,
        Happening::OfferEnded,
        Happening::Accept,
        Happening::Finish,
        Happening::Retry,
        Happening::Reject,
        Happening::LeaseMoved,
        Happening::Cancel,
        Happening::Replay,
    ];

    proptest! {
        #[test]
        fn what_is_done_stays_done_and_nothing_dies_before_its_attempts(steps in prop::collection::vec(0_usize..9, 0..60)) {
            let (mut state, mut attempts) = (EventState::Pending, 0);
            for index in steps {
                let happening = HAPPENINGS[index];
                let before = state;
                if let Some(outcome) = step(state, attempts, happening, 8) {
                    state = outcome.state;
                    attempts = outcome.attempts;
                }
                if before == EventState::Done {
                    prop_assert_eq!(state, EventState::Done);
                }
                if state == EventState::Dead {
                    prop_assert!(attempts >= 8);
                }
                if happening == Happening::Finish && before.is_open() {
                    prop_assert_eq!(state, EventState::Done);
                }
            }
        }
    }

    #[test]
    fn an_offer_that_nobody_took_does_not_count_as_an_attempt() {
        let offered = step(EventState::Pending, 3, Happening::Offer, 8).unwrap();
        let back = step(offered.state, offered.attempts, Happening::OfferEnded, 8).unwrap();
        assert_eq!(back, Outcome { state: EventState::Pending, attempts: 3 });
    }

    #[test]
    fn the_last_failed_attempt_makes_a_dead_letter_that_can_be_replayed() {
        let dead = step(EventState::Accepted, 7, Happening::Retry, 8).unwrap();
        assert_eq!(dead, Outcome { state: EventState::Dead, attempts: 8 });
        assert_eq!(
            step(dead.state, 8, Happening::Replay, 8).unwrap(),
            Outcome { state: EventState::Pending, attempts: 0 }
        );
    }
}
