//! What workers say: late, twice, out of order, and what they cannot do.

use shared::ack::{AckAnswer, AckState};
use shared::hub::delivery::EventState::{Accepted, Dead, Done, Offered, Pending};
use shared::hub::ledger::{Hold, Words};
use shared::id::{FencingToken, Seq};

use super::hub::Hub;

#[test]
fn done_counts_in_session_order() {
    let mut hub = Hub::up(1);
    let events = [hub.event("k", "a"), hub.event("k", "a"), hub.event("k", "a")];
    for event in events {
        hub.accept(1, event);
    }
    hub.done(1, events[2]);
    hub.done(1, events[1]);
    assert_eq!(events.map(|event| hub.state(event)), [Accepted; 3]);
    hub.done(1, events[0]);
    assert_eq!(events.map(|event| hub.state(event)), [Done; 3]);
    assert_eq!(hub.holder("k"), None, "the last done gives the lease back");
}

#[test]
fn done_implies_accepted() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "a"));
    hub.offers();
    hub.done(1, first);
    assert_eq!(hub.session("k").sticky, Some(super::hub::wrk(1)));
    assert_eq!(hub.offers().iter().map(|offer| offer.1).collect::<Vec<_>>(), [second.0]);
}

#[test]
fn an_ack_that_comes_after_its_offer_ended_brings_the_lease_back() {
    let mut hub = Hub::up(1);
    let event = hub.event("k", "a");
    hub.ring_after(21);
    assert_eq!((hub.state(event), hub.holder("k")), (Pending, None));
    assert_eq!(hub.ack_under(1, event, FencingToken(1), AckState::Accepted), AckAnswer::Ok);
    assert_eq!((hub.state(event), hub.holder("k")), (Accepted, Some((1, 1))));
    assert_eq!(hub.open(1).accepted, [event]);
}

#[test]
fn an_ack_after_the_next_worker_has_the_offer_is_stale() {
    let mut hub = Hub::up(2);
    let event = hub.event("k", "a");
    hub.ring_after(21);
    assert_eq!(hub.ack_under(1, event, FencingToken(1), AckState::Done), AckAnswer::Stale);
    assert_eq!((hub.state(event), hub.holder("k")), (Offered, Some((2, 2))));
}

#[test]
fn an_ack_of_nothing_or_of_another_workers_event_changes_nothing() {
    let mut hub = Hub::up(2);
    let event = hub.event("k", "a");
    assert_eq!(hub.ack_under(1, Seq(99), FencingToken(1), AckState::Done), AckAnswer::Unknown);
    assert_eq!(hub.ack(2, event, AckState::Done), AckAnswer::Stale);
    assert_eq!(hub.ack_under(1, event, FencingToken(7), AckState::Done), AckAnswer::Stale);
    assert_eq!(hub.state(event), Offered);
}

#[test]
fn repeated_acks_are_harmless() {
    let mut hub = Hub::up(1);
    let event = hub.event("k", "a");
    for state in [
        AckState::Accepted,
        AckState::Accepted,
        AckState::Done,
        AckState::Done,
        AckState::Accepted,
        AckState::Retry,
    ] {
        assert_eq!(hub.ack(1, event, state), AckAnswer::Ok);
    }
    assert_eq!((hub.state(event), hub.holder("k")), (Done, None));
}

#[test]
fn a_repeated_retry_counts_once_and_does_not_lengthen_the_pause() {
    let mut hub = Hub::up(1);
    let event = hub.event("k", "a");
    hub.accept(1, event);
    hub.ack(1, event, AckState::Retry);
    let due = hub.item(event).not_before;
    hub.pass(1);
    assert_eq!(hub.ack_under(1, event, FencingToken(1), AckState::Retry), AckAnswer::Ok);
    assert_eq!((hub.item(event).attempts, hub.item(event).not_before), (1, due));
}

#[test]
fn an_accepted_ack_that_was_overtaken_by_its_retry_does_not_take_the_event_back() {
    for given_back in [AckState::Retry, AckState::Reject] {
        let mut hub = Hub::up(1);
        let event = hub.event("k", "a");
        hub.worker(1).draining = true;
        hub.ack_under(1, event, FencingToken(1), given_back);
        assert_eq!(hub.state(event), Pending);
        hub.ack_under(1, event, FencingToken(1), AckState::Accepted);
        assert_eq!(hub.state(event), Pending, "the worker has it no more");
    }
}

#[test]
fn a_retried_event_comes_again_after_a_pause_that_grows_and_dies_after_its_attempts() {
    let mut hub = Hub::up(1);
    let event = hub.event("k", "a");
    let mut pauses = Vec::new();
    for attempt in 1..=3 {
        hub.accept(1, event);
        hub.ack(1, event, AckState::Retry);
        assert_eq!(hub.item(event).attempts, attempt);
        let pause = hub.item(event).not_before.since(hub.now);
        pauses.push(pause);
        hub.offers();
        hub.ring_after(pause - 1);
        assert_eq!(hub.offers(), []);
        hub.ring_after(1);
    }
    assert_eq!(pauses[..2], [4, 8]);
    assert_eq!(hub.state(event), Dead);
    assert_eq!(hub.owed(Words::Dead), [event.0]);
    assert_eq!(hub.holder("k"), None);
}

#[test]
fn a_dead_letter_does_not_block_the_sessions_later_events() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "a"));
    for _ in 0..3 {
        hub.ring_after(50);
        hub.open(1);
        hub.ack(1, first, AckState::Retry);
    }
    assert_eq!(hub.state(first), Dead);
    assert_eq!(hub.state(second), Offered);
}

#[test]
fn a_later_event_waits_behind_one_that_pauses() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "a"));
    hub.ack(1, first, AckState::Retry);
    hub.ring_after(1);
    assert_eq!((hub.state(second), hub.item(second).hold), (Pending, Some(Hold::Order)));
    hub.ring_after(50);
    hub.accept(1, first);
    assert_eq!(hub.state(second), Offered);
}

#[test]
fn what_was_finished_behind_an_event_that_was_given_back_is_done() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "a"));
    hub.accept(1, first);
    hub.accept(1, second);
    hub.done(1, second);
    hub.ack(1, first, AckState::Retry);
    assert_eq!(hub.state(second), Done, "its worker says no more of it, so nobody else may do it again");
}

#[test]
fn a_dead_letter_in_the_middle_does_not_let_a_later_one_be_done_before_an_earlier_one() {
    let mut hub = Hub::up(1);
    let events = [hub.event("k", "a"), hub.event("k", "a"), hub.event("k", "a")];
    for event in events {
        hub.accept(1, event);
    }
    hub.done(1, events[2]);
    hub.memory.items.get_mut(&events[1]).unwrap().attempts = 2;
    hub.ack(1, events[1], AckState::Retry);
    assert_eq!(hub.state(events[1]), Dead);
    assert_eq!(hub.state(events[2]), Accepted, "the first is still open");
    hub.done(1, events[0]);
    assert_eq!(hub.state(events[2]), Done);
}

#[test]
fn a_dead_or_cancelled_event_can_be_replayed_and_nothing_else() {
    let mut hub = Hub::up(1);
    let event = hub.event("k", "a");
    assert_eq!(hub.replay(event), None);
    for _ in 0..3 {
        hub.ack(1, event, AckState::Retry);
        hub.ring_after(50);
    }
    assert_eq!(hub.state(event), Dead);
    let again = hub.replay(event).unwrap();
    assert_eq!((again.state, again.attempts), (Offered, 0));
    hub.done(1, event);
    assert_eq!(hub.replay(event), None);
    assert_eq!(hub.replay(Seq(99)), None);
}

#[test]
fn a_replay_waits_while_another_event_of_its_session_is_on_its_way() {
    let mut hub = Hub::up(1);
    let first = hub.event("k", "a");
    hub.stop("k", "a");
    let second = hub.event("k", "a");
    hub.ack(1, Seq(2), AckState::Done);
    assert_eq!(hub.state(second), Offered);
    hub.replay(first);
    assert_eq!(hub.state(first), Pending);
    hub.accept(1, second);
    assert_eq!(hub.state(first), Offered);
}

#[test]
fn a_reason_is_kept_and_cut() {
    let mut hub = Hub::up(1);
    let event = hub.event("k", "a");
    let long = "\u{1F980}".repeat(5_000);
    let ack = shared::ack::Ack {
        seq: event,
        token: FencingToken(1),
        state: AckState::Retry,
        reason: Some(long),
        after_ms: Some(u64::MAX),
        result: None,
    };
    hub.call(|rules| rules.ack(super::hub::wrk(1), &ack, 0));
    assert_eq!(hub.item(event).reason.as_ref().unwrap().chars().count(), 300);
    assert_eq!(hub.item(event).not_before.since(hub.now), 40, "a worker cannot put its event off for ever");
}
