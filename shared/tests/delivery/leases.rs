//! Leases over time: they lapse, move under a new token, come back, and outlast an outage of the hub.

use shared::ack::{AckAnswer, AckState};
use shared::hub::delivery::EventState::{Accepted, Dead, Done, Offered, Pending};
use shared::hub::rules::Deed;
use shared::settings::Settings;

use super::hub::{Hub, settings, wrk};

/// A lease and its grace.
const MOVES: i64 = 300;

/// Two workers; worker 1 has accepted three events of one session and finished the second and the third.
fn three_taken() -> (Hub, [shared::id::Seq; 3]) {
    let mut hub = Hub::up(2);
    let events = [hub.event("k", "a"), hub.event("k", "a"), hub.event("k", "a")];
    for event in events {
        hub.accept(1, event);
    }
    hub.done(1, events[1]);
    hub.done(1, events[2]);
    hub.offers();
    (hub, events)
}

#[test]
fn a_moved_session_offers_every_event_that_is_not_done_again_oldest_first() {
    let (mut hub, events) = three_taken();
    assert_eq!(events.map(|event| hub.state(event)), [Accepted; 3], "finished early is not done");
    hub.close(1);
    hub.ring_after(MOVES - 1);
    assert_eq!(hub.offers(), []);
    hub.ring_after(1);
    let deeds = hub.deeds.clone();
    assert!(deeds.iter().any(|deed| matches!(deed, Deed::Revoke { worker, .. } if *worker == wrk(1))));
    for event in events {
        assert_eq!(hub.offers(), [(2, event.0, 2)]);
        let item = hub.item(event);
        assert!(item.takeover && !item.finished && item.attempts == 1);
        hub.accept(2, event);
    }
}

#[test]
fn a_worker_back_after_its_session_moved_is_stale() {
    let (mut hub, [first, ..]) = three_taken();
    hub.close(1);
    hub.ring_after(MOVES);
    let token = shared::id::FencingToken(1);
    for state in [AckState::Accepted, AckState::Done, AckState::Retry, AckState::Reject] {
        assert_eq!(hub.ack_under(1, first, token, state), AckAnswer::Stale);
    }
    assert_eq!(hub.open(1).leases, []);
    assert_eq!(hub.beat(1, &[("k", 1)]).len(), 1, "and its heartbeat hears that it is lost");
    assert_eq!(hub.holder("k"), Some((2, 2)));
}

#[test]
fn a_worker_that_returns_within_the_grace_goes_on_under_the_same_token() {
    let (mut hub, [first, ..]) = three_taken();
    hub.close(1);
    hub.ring_after(MOVES - 1);
    let greeting = hub.open(1);
    assert_eq!(greeting.leases.len(), 1);
    assert_eq!(greeting.accepted.len(), 3);
    hub.ring_after(50);
    hub.done(1, first);
    assert_eq!(hub.holder("k"), None);
}

#[test]
fn a_heartbeat_alone_keeps_a_lease() {
    let (mut hub, _) = three_taken();
    hub.close(1);
    for _ in 0..50 {
        hub.pass(90);
        assert_eq!(hub.beat(1, &[("k", 1)]), []);
        hub.ring_after(0);
    }
    assert_eq!(hub.holder("k"), Some((1, 1)));
}

#[test]
fn a_lease_that_the_heartbeats_do_not_name_lapses_and_moves() {
    let mut hub = Hub::up(2);
    hub.worker(2).slots = 0;
    let (named, silent) = (hub.event("k", "a"), hub.event("l", "b"));
    hub.accept(1, named);
    hub.accept(1, silent);
    hub.worker(2).slots = 2;
    for _ in 0..7 {
        hub.beat(1, &[("k", 1)]);
        hub.ring_after(43);
    }
    assert_eq!(hub.holder("k"), Some((1, 1)));
    assert_eq!(hub.holder("l"), Some((2, 2)));
}

#[test]
fn a_lease_that_is_named_again_is_kept() {
    let mut hub = Hub::up(2);
    let event = hub.event("k", "a");
    hub.accept(1, event);
    hub.ring_after(90);
    hub.beat(1, &[]);
    hub.ring_after(90);
    hub.beat(1, &[("k", 1)]);
    hub.ring_after(290);
    assert_eq!(hub.holder("k"), Some((1, 1)));
}

#[test]
fn an_accepted_ack_renews_the_lease_for_its_worker_counts_on_it() {
    let mut hub = Hub::up(2);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "a"));
    hub.accept(1, first);
    hub.pass(200);
    hub.accept(1, second);
    hub.ring_after(MOVES - 1);
    assert_eq!(hub.holder("k"), Some((1, 1)));
}

#[test]
fn with_take_over_off_a_session_waits_for_its_worker_for_ever() {
    let mut hub = Hub::with(Settings { takeover_never: true, ..settings() }, 2);
    hub.open(1);
    hub.open(2);
    let (held, over) = (hub.event("k", "a"), hub.event("l", "b"));
    hub.accept(1, held);
    hub.done(2, over);
    hub.close(1);
    hub.close(2);
    let later = hub.event("l", "b");
    hub.open(2);
    hub.done(2, later);
    hub.close(2);
    let sticky = hub.event("l", "b");
    hub.ring_after(86_400_000);
    assert_eq!(hub.holder("k"), Some((1, 1)));
    assert_eq!(hub.state(sticky), Pending);
}

#[test]
fn a_revoked_worker_loses_its_sessions_at_once() {
    let (mut hub, [first, ..]) = three_taken();
    hub.revoke(1);
    assert_eq!(hub.offers(), [(2, first.0, 2)]);
}

#[test]
fn a_session_of_a_worker_that_is_gone_moves_when_another_comes() {
    let mut hub = Hub::new(2);
    hub.open(1);
    let event = hub.event("k", "a");
    hub.accept(1, event);
    hub.close(1);
    hub.ring_after(10_000);
    assert_eq!((hub.state(event), hub.holder("k")), (Accepted, Some((1, 1))), "nobody else is there");
    hub.offers();
    hub.open(2);
    assert_eq!(hub.offers(), [(2, event.0, 2)]);
}

#[test]
fn a_session_that_kills_its_workers_becomes_a_dead_letter_and_the_later_ones_go_on() {
    let mut hub = Hub::up(2);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "a"));
    for n in [1, 2, 1] {
        assert_eq!(hub.holder("k").map(|(holder, _)| holder), Some(n));
        hub.accept(n, first);
        hub.close(n);
        hub.ring_after(MOVES);
        hub.open(n);
    }
    assert_eq!((hub.state(first), hub.item(first).attempts), (Dead, 3));
    assert_eq!(hub.state(second), Offered);
}

#[test]
fn an_outage_of_the_hub_moves_nothing_and_ends_no_offer() {
    let mut hub = Hub::up(2);
    let (held, offered) = (hub.event("k", "a"), hub.event("l", "b"));
    hub.accept(1, held);
    hub.offers();
    hub.pass(100_000);
    hub.call(|rules| rules.forgive_outage());
    hub.ring_after(0);
    assert_eq!(hub.offers(), []);
    assert_eq!((hub.state(held), hub.state(offered)), (Accepted, Offered));
    assert!(hub.worker(1).connected && hub.worker(2).connected);
    hub.ring_after(20);
    assert_eq!(hub.state(offered), Offered, "the offer counts from the end of the outage");
    hub.ring_after(MOVES - 21);
    assert_eq!(hub.holder("k"), Some((1, 1)), "and so does the lease");
    hub.ring_after(1);
    assert_eq!(hub.holder("k"), None.or(hub.holder("k")));
    assert_eq!(hub.state(held), if hub.holder("k") == Some((2, 2)) { Offered } else { Accepted });
}

#[test]
fn after_an_outage_a_session_waits_for_its_sticky_worker_anew() {
    let mut hub = Hub::up(2);
    let first = hub.event("k", "a");
    hub.done(1, first);
    hub.close(1);
    let second = hub.event("k", "a");
    hub.pass(100_000);
    hub.call(|rules| rules.forgive_outage());
    hub.ring_after(MOVES - 1);
    assert_eq!(hub.state(second), Pending);
    hub.ring_after(1);
    assert_eq!(hub.holder("k"), Some((2, 2)));
    hub.done(2, second);
    assert_eq!(hub.state(second), Done);
}

#[test]
fn a_take_over_never_hands_an_event_to_a_worker_that_rejected_it() {
    let mut hub = Hub::up(3);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "b"));
    hub.accept(1, first);
    hub.accept(1, second);
    hub.worker(3).reported = 1;
    hub.memory.rejected.entry(second).or_default().insert(wrk(2));
    hub.memory.items.get_mut(&first).unwrap().attempts = 2;
    hub.close(1);
    hub.ring_after(MOVES);
    assert_eq!(hub.state(first), Dead, "this was its last attempt");
    assert_eq!(hub.item(second).worker, Some(wrk(3)));
}

#[test]
fn hello_confirms_a_lease_that_the_last_heartbeat_did_not_name() {
    let mut hub = Hub::up(2);
    let event = hub.event("k", "a");
    hub.accept(1, event);
    hub.beat(1, &[]);
    hub.ring_after(200);
    assert_eq!(hub.open(1).leases.len(), 1);
    hub.ring_after(MOVES - 1);
    assert_eq!(hub.holder("k"), Some((1, 1)));
}

#[test]
fn a_session_of_a_revoked_worker_goes_to_one_who_asks_when_all_others_have_rejected_it() {
    let mut hub = Hub::up(2);
    let event = hub.event("k", "a");
    hub.ack(1, event, AckState::Reject);
    hub.accept(2, event);
    hub.revoke(2);
    assert_eq!(hub.holder("k").map(|(n, _)| n), Some(1));
    assert!(hub.item(event).ask);
}
