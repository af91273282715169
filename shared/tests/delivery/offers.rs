//! Where events go: order, room, stickiness, rejection, weights.

use shared::ack::AckState;
use shared::hub::delivery::EventState::{Accepted, Done, Offered, Pending};
use shared::hub::fleet::Wants;
use shared::hub::ledger::{Hold, Sort, Words};

use super::hub::{Hub, settings, wrk};

/// Past the time in which an offer must be accepted.
const OFFER: i64 = 21;
/// Past a lease and the grace.
const AWAY: i64 = 301;

#[test]
fn an_offer_that_nobody_accepts_goes_to_the_next_worker_and_counts_no_attempt() {
    let mut hub = Hub::up(2);
    let event = hub.event("k", "a");
    assert_eq!(hub.offers(), [(1, 1, 1)]);
    hub.ring_after(OFFER);
    assert_eq!(hub.offers(), [(2, 1, 2)]);
    assert_eq!(hub.item(event).attempts, 0);
    assert!(!hub.worker(1).connected, "the stream that swallowed an offer is closed");
    assert_eq!(hub.worker(1).strikes, 1);
}

#[test]
fn a_closed_stream_gives_its_unaccepted_offers_to_others_at_once() {
    let mut hub = Hub::up(2);
    let event = hub.event("k", "a");
    hub.close(1);
    assert_eq!(hub.offers(), [(1, 1, 1), (2, 1, 2)]);
    assert_eq!(hub.item(event).attempts, 0);
}

#[test]
fn a_stream_that_opens_again_is_sent_what_was_offered_and_not_what_was_accepted() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "a"));
    hub.accept(1, first);
    hub.offers();
    let greeting = hub.open(1);
    assert_eq!(greeting.accepted, [first]);
    assert_eq!(hub.offers(), [(1, second.0, 1)]);
}

#[test]
fn the_next_event_of_a_session_goes_out_when_the_one_before_is_accepted() {
    let mut hub = Hub::up(2);
    let (first, second, third) = (hub.event("k", "a"), hub.event("k", "a"), hub.event("k", "a"));
    assert_eq!(hub.offers(), [(1, 1, 1)]);
    assert_eq!(hub.item(second).hold, Some(Hold::Order));
    hub.accept(1, first);
    assert_eq!(hub.offers(), [(1, 2, 1)]);
    hub.accept(1, second);
    assert_eq!(hub.offers(), [(1, 3, 1)]);
    assert_eq!(hub.state(third), Offered);
}

#[test]
fn a_follow_up_goes_to_its_holder_even_when_that_is_full() {
    let mut hub = Hub::up(2);
    hub.worker(1).slots = 1;
    hub.worker(2).slots = 0;
    let first = hub.event("k", "a");
    hub.accept(1, first);
    hub.offers();
    let second = hub.event("k", "a");
    assert_eq!(hub.offers(), [(1, second.0, 1)]);
}

#[test]
fn a_retried_event_goes_back_to_its_holder_even_when_that_is_full() {
    let mut hub = Hub::up(1);
    hub.worker(1).slots = 1;
    let (first, second) = (hub.event("k", "a"), hub.event("k", "a"));
    hub.accept(1, first);
    hub.accept(1, second);
    hub.ack(1, first, AckState::Retry);
    hub.offers();
    hub.ring_after(5);
    assert_eq!(hub.offers(), [(1, first.0, 1)]);
}

#[test]
fn a_full_fleet_keeps_new_sessions_in_the_queue_until_a_slot_is_free() {
    let mut hub = Hub::up(1);
    hub.worker(1).slots = 1;
    let (first, second) = (hub.event("k", "a"), hub.event("l", "b"));
    assert_eq!((hub.state(second), hub.item(second).hold), (Pending, None));
    hub.done(1, first);
    hub.offers();
    hub.ring_after(0);
    assert_eq!(hub.offers(), [(1, second.0, 1)]);
}

#[test]
fn a_worker_that_lies_about_its_slots_gets_no_more_than_it_registered() {
    let mut hub = Hub::up(1);
    for name in ["k", "l", "m"] {
        hub.event(name, name);
    }
    hub.worker(1).reported = 0;
    hub.beat(1, &[]);
    hub.ring_after(1);
    assert_eq!(hub.offers().len(), 2, "two slots, three sessions");
    let mut busy = Hub::up(1);
    busy.event("k", "a");
    busy.offers();
    busy.worker(1).reported = 2;
    busy.event("l", "b");
    assert_eq!(busy.offers(), [], "and one that says it is busy is believed, while it holds leases");
}

#[test]
fn sessions_go_out_in_proportion_to_the_weights() {
    let mut hub = Hub::up(3);
    for n in 1..=3 {
        hub.worker(n).slots = 100;
    }
    hub.worker(3).weight = 2;
    for n in 0..40 {
        hub.event(&format!("k{n}"), "a");
    }
    let held: Vec<_> = (1..=3).map(|n| hub.worker(n).leases).collect();
    assert_eq!(held, [10, 10, 20]);
}

#[test]
fn a_session_without_a_lease_waits_for_its_worker_and_then_goes_on_with_another() {
    let mut hub = Hub::up(2);
    let first = hub.event("k", "a");
    hub.done(1, first);
    assert_eq!(hub.holder("k"), None);
    hub.close(1);
    hub.offers();
    let second = hub.event("k", "a");
    assert_eq!(hub.item(second).hold, Some(Hold::Worker(wrk(1))));
    hub.ring_after(AWAY - 2);
    assert_eq!(hub.offers(), []);
    hub.ring_after(2);
    assert_eq!(hub.offers(), [(2, second.0, 2)]);
}

#[test]
fn a_worker_that_acked_a_moment_ago_is_waited_for_when_an_offer_to_it_ends() {
    let mut hub = Hub::up(2);
    let first = hub.event("k", "a");
    // It holds no lease, so it sends no heartbeats; its stream has been open for long.
    hub.done(1, first);
    hub.pass(AWAY);
    let second = hub.event("k", "a");
    hub.done(1, second);
    hub.offers();
    let third = hub.event("k", "a");
    assert_eq!(hub.offers(), [(1, third.0, 3)]);
    hub.ring_after(OFFER);
    assert_eq!(hub.offers(), [], "its acks were lost, and it is heard of again soon");
    assert_eq!(hub.item(third).hold, Some(Hold::Worker(wrk(1))));
    hub.open(1);
    assert_eq!(hub.offers(), [(1, third.0, 4)]);
}

#[test]
fn a_sticky_worker_that_comes_back_in_time_gets_its_session() {
    let mut hub = Hub::up(2);
    let first = hub.event("k", "a");
    hub.done(1, first);
    hub.close(1);
    let second = hub.event("k", "a");
    hub.pass(200);
    hub.offers();
    hub.open(1);
    assert_eq!(hub.offers(), [(1, second.0, 2)]);
}

#[test]
fn nobody_waits_for_a_sticky_worker_that_is_drained_or_revoked() {
    for leave in [Hub::drain, Hub::revoke] {
        let mut hub = Hub::up(2);
        let first = hub.event("k", "a");
        hub.done(1, first);
        hub.close(1);
        let waits = hub.event("k", "a");
        assert_eq!(hub.item(waits).hold, Some(Hold::Worker(wrk(1))));
        hub.offers();
        leave(&mut hub, 1);
        assert_eq!(hub.offers(), [(2, waits.0, 2)], "what waited goes on at once");
        hub.done(2, waits);
    }
}

#[test]
fn an_offer_alone_makes_no_session_stick() {
    let mut hub = Hub::up(1);
    let event = hub.event("k", "a");
    hub.close(1);
    assert_eq!(hub.session("k").sticky, None);
    hub.fleet.workers.push(super::hub::Hub::up(2).worker(2).clone());
    hub.open(2);
    assert_eq!(hub.holder("k"), Some((2, 2)));
    assert_eq!(hub.state(event), Offered);
}

#[test]
fn a_draining_worker_gets_follow_ups_of_open_work_and_no_new_work() {
    let mut hub = Hub::up(1);
    let first = hub.event("k", "a");
    hub.accept(1, first);
    hub.drain(1);
    hub.offers();
    let (second, other) = (hub.event("k", "a"), hub.event("l", "b"));
    assert_eq!(hub.offers(), [(1, second.0, 1)]);
    assert_eq!(hub.state(other), Pending);
    hub.done(1, first);
    hub.done(1, second);
    let later = hub.event("k", "a");
    hub.ring_after(0);
    assert_eq!(hub.state(later), Pending, "its session is over, so this is new work");
}

#[test]
fn a_rejected_event_goes_to_the_next_and_to_one_who_asks_when_all_said_no() {
    let mut hub = Hub::up(2);
    let event = hub.event("k", "a");
    hub.ack(1, event, AckState::Reject);
    assert_eq!(hub.offers(), [(1, 1, 1), (2, 1, 2)]);
    assert!(!hub.item(event).ask);
    hub.ack(2, event, AckState::Reject);
    let asked = hub.offers();
    assert_eq!(asked.len(), 1);
    assert!(hub.item(event).ask);
    assert_eq!(hub.item(event).attempts, 0, "a worker that does not serve it has not failed at it");
}

#[test]
fn a_worker_that_was_told_to_ask_and_still_says_no_uses_up_attempts() {
    let mut hub = Hub::up(1);
    let event = hub.event("k", "a");
    hub.ack(1, event, AckState::Reject);
    for attempt in 1..=3 {
        assert_eq!(hub.ack(1, event, AckState::Reject), shared::ack::AckAnswer::Ok);
        assert_eq!(hub.item(event).attempts, attempt);
        hub.ring_after(50);
    }
    assert_eq!(hub.owed(Words::Dead), [event.0]);
}

#[test]
fn an_event_that_its_holder_rejects_waits_until_the_holder_is_through_with_the_others() {
    let mut hub = Hub::up(2);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "b"));
    hub.accept(1, first);
    hub.ack(1, second, AckState::Reject);
    hub.offers();
    assert_eq!(hub.item(second).hold, Some(Hold::Order));
    hub.done(1, first);
    assert_eq!(hub.offers(), [(2, second.0, 2)]);
}

#[test]
fn an_event_that_waits_to_be_served_goes_out_when_a_worker_that_serves_it_comes() {
    let mut hub = Hub::new(2);
    hub.worker(1).teams = vec!["ops".to_owned()];
    hub.open(1);
    let wants = Wants { team_key: Some("ENG".to_owned()), ..Wants::default() };
    let event = hub.arrive("k", "a", Sort::Work, wants);
    assert_eq!(hub.item(event).hold, Some(Hold::Served));
    hub.open(2);
    assert_eq!(hub.offers(), [(2, event.0, 1)]);
}

#[test]
fn an_event_that_should_be_asked_about_is_offered_first_to_a_worker_that_serves_it_after_all() {
    let mut hub = Hub::up(2);
    hub.worker(2).slots = 9;
    hub.close(2);
    let event = hub.event("k", "a");
    hub.ack(1, event, AckState::Reject);
    assert!(hub.item(event).ask);
    hub.close(1);
    hub.open(1);
    hub.ring_after(OFFER);
    hub.open(2);
    assert_eq!(hub.holder("k").map(|(n, _)| n), Some(2));
    assert!(!hub.item(event).ask, "worker 2 has not been asked whether it serves it");
}

#[test]
fn a_worker_that_never_takes_what_it_is_offered_holds_nothing_up() {
    let mut hub = Hub::up(2);
    hub.worker(2).slots = 9;
    for n in 0..5 {
        let event = hub.event(&format!("k{n}"), "a");
        if hub.item(event).worker == Some(wrk(1)) {
            hub.ring_after(OFFER);
        }
        hub.accept(2, event);
        hub.open(1);
    }
    hub.offers();
    hub.event("last", "a");
    assert_eq!(hub.offers(), [(2, 6, 1)]);
}

#[test]
fn a_first_thought_is_claimed_once_and_only_while_nobody_has_accepted() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("l", "b"));
    hub.accept(1, first);
    hub.ring_after(11);
    hub.ring_after(1);
    assert_eq!(hub.owed(Words::FirstThought), [second.0]);
    assert!(hub.item(second).first_thought);
}

#[test]
fn a_lone_worker_that_sleeps_for_hours_loses_nothing() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "a"));
    hub.accept(1, first);
    for _ in 0..100 {
        hub.ring_after(40_000);
        assert_eq!(hub.state(first), Accepted);
    }
    assert_eq!(hub.holder("k"), Some((1, 1)));
    assert_eq!((hub.item(first).attempts, hub.item(second).attempts), (0, 0));
    hub.offers();
    assert_eq!(hub.open(1).accepted, [first]);
    assert_eq!(hub.offers(), [(1, second.0, 1)]);
    hub.done(1, first);
    hub.done(1, second);
    assert_eq!(hub.state(second), Done);
}

#[test]
fn a_burst_for_a_full_worker_does_not_hide_what_another_has_room_for() {
    let mut hub = Hub::with(settings(), 2);
    hub.worker(1).teams = vec!["ops".to_owned()];
    hub.worker(1).slots = 0;
    hub.worker(2).teams = vec!["eng".to_owned()];
    hub.open(1);
    hub.open(2);
    let wants = |team: &str| Wants { team_key: Some(team.to_owned()), ..Wants::default() };
    for n in 0..600 {
        hub.arrive(&format!("k{n}"), "a", Sort::Work, wants("ops"));
    }
    hub.worker(2).connected = false;
    let served = hub.arrive("served", "a", Sort::Work, wants("eng"));
    hub.open(2);
    hub.ring_after(1);
    assert_eq!(hub.state(served), Offered);
}
