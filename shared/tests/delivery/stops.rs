//! A stop overtakes: with a live lease the holder hears of it, without one the hub says so itself.

use shared::ack::{AckAnswer, AckState};
use shared::hub::delivery::EventState::{Accepted, Cancelled, Done, Offered, Pending};
use shared::hub::fleet::Wants;
use shared::hub::ledger::{Sort, Words};

use super::hub::Hub;

#[test]
fn a_stop_cancels_what_is_open_and_goes_to_the_holder() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "a"));
    hub.accept(1, first);
    hub.offers();
    let stop = hub.stop("k", "a");
    assert_eq!((hub.state(first), hub.state(second)), (Cancelled, Cancelled));
    assert_eq!(hub.offers(), [(1, stop.0, 1)]);
    hub.done(1, stop);
    assert_eq!(hub.holder("k"), None);
    assert_eq!(hub.owed(Words::Stopped), [] as [u64; 0], "the holder has said so");
}

#[test]
fn a_stop_leaves_the_other_agent_session_of_the_issue_alone() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "b"));
    hub.accept(1, first);
    hub.accept(1, second);
    let stop = hub.stop("k", "a");
    hub.done(1, stop);
    assert_eq!((hub.state(first), hub.state(second)), (Cancelled, Accepted));
    assert_eq!(hub.holder("k"), Some((1, 1)));
}

#[test]
fn an_event_behind_one_that_a_stop_cancelled_is_offered_next() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "b"));
    hub.offers();
    let stop = hub.stop("k", "a");
    assert_eq!(hub.state(first), Cancelled);
    assert!(!hub.offers().is_empty(), "the stop or the event behind what it cancelled");
    for waits in [second, stop] {
        if hub.state(waits) == Offered {
            hub.accept(1, waits);
        }
    }
    assert!(hub.state(second) != Pending && hub.state(stop) != Pending);
}

#[test]
fn what_was_finished_behind_a_cancelled_event_is_done() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "b"));
    hub.accept(1, first);
    hub.accept(1, second);
    hub.done(1, second);
    assert_eq!(hub.state(second), Accepted);
    let stop = hub.stop("k", "a");
    assert_eq!(hub.state(second), Done);
    hub.done(1, stop);
    assert_eq!(hub.holder("k"), None);
}

#[test]
fn a_stop_without_a_lease_is_answered_by_the_hub() {
    let mut hub = Hub::up(1);
    let first = hub.event("k", "a");
    hub.done(1, first);
    hub.offers();
    let stop = hub.stop("k", "a");
    assert_eq!(hub.state(stop), Done);
    assert_eq!(hub.owed(Words::Stopped), [stop.0]);
    assert_eq!(hub.offers(), []);
}

#[test]
fn a_stop_of_something_that_only_the_panel_knows_says_nothing_in_linear() {
    let mut hub = Hub::up(1);
    let stop = hub.arrive("k", "a", Sort::LocalStop, Wants::default());
    assert_eq!(hub.state(stop), Done);
    assert_eq!(hub.owed(Words::Stopped), [] as [u64; 0]);
}

#[test]
fn a_stop_under_a_lapsed_lease_is_answered_by_the_hub_and_its_holder_is_told_when_it_returns() {
    let mut hub = Hub::up(1);
    let first = hub.event("k", "a");
    hub.accept(1, first);
    hub.close(1);
    hub.ring_after(101);
    let stop = hub.stop("k", "a");
    assert_eq!((hub.state(first), hub.state(stop)), (Cancelled, Done));
    assert_eq!(hub.owed(Words::Stopped), [stop.0]);
    for _ in 0..2 {
        let greeting = hub.open(1);
        assert_eq!(greeting.leases.len(), 1, "it is told until it says that it has heard");
        assert!(greeting.leases[0].stop);
    }
    assert_eq!(hub.ack(1, first, AckState::Done), AckAnswer::Ok);
    assert_eq!((hub.holder("k"), hub.state(first)), (None, Cancelled));
}

#[test]
fn a_holder_that_never_says_it_has_heard_of_a_stop_keeps_its_lease_only_until_it_may_move() {
    let mut hub = Hub::up(1);
    let first = hub.event("k", "a");
    hub.accept(1, first);
    hub.close(1);
    hub.ring_after(101);
    hub.stop("k", "a");
    hub.open(1);
    for _ in 0..9 {
        hub.beat(1, &[("k", 1)]);
        hub.ring_after(22);
    }
    assert_eq!(hub.holder("k"), Some((1, 1)));
    hub.ring_after(1);
    assert_eq!(hub.holder("k"), None);
    assert_eq!(hub.ack_under(1, first, shared::id::FencingToken(1), AckState::Accepted), AckAnswer::Stale);
}

#[test]
fn what_a_worker_says_before_it_hears_of_a_stop_does_not_count_for_other_events() {
    let mut hub = Hub::up(1);
    let event = hub.event("k", "b");
    hub.stop("k", "a");
    hub.ring_after(101);
    assert_eq!(hub.state(event), Pending, "its offer has ended, and the stop was answered by the hub");
    assert!(hub.open(1).leases.iter().all(|lease| lease.stop));
    let late = hub.ack_under(1, event, shared::id::FencingToken(1), AckState::Done);
    assert_eq!(late, AckAnswer::Stale, "told to stop, a worker says done of all that it holds");
    assert!(hub.state(event) != Done);
}

#[test]
fn a_stop_whose_holder_is_away_waits_for_it_until_the_lease_lapses() {
    let mut hub = Hub::up(2);
    let first = hub.event("k", "a");
    hub.accept(1, first);
    hub.close(1);
    let stop = hub.stop("k", "a");
    hub.offers();
    hub.ring_after(98);
    assert_eq!(hub.state(stop), Pending);
    hub.ring_after(2);
    assert_eq!(hub.state(stop), Done);
    assert_eq!(hub.owed(Words::Stopped), [stop.0]);
    assert_eq!(hub.offers(), [], "nobody else hears of it");
}

#[test]
fn a_stop_that_was_sent_into_a_dead_stream_is_answered_by_the_hub_when_the_lease_lapses() {
    let mut hub = Hub::up(2);
    let first = hub.event("k", "a");
    hub.accept(1, first);
    let stop = hub.stop("k", "a");
    hub.ring_after(21);
    hub.ring_after(80);
    assert_eq!(hub.state(stop), Done, "not in some minutes, when the worker is given up");
    assert_eq!(hub.owed(Words::Stopped), [stop.0]);
    assert!(hub.open(1).leases.iter().all(|lease| lease.stop), "and its worker does not go on");
}

#[test]
fn a_new_event_after_a_stop_waits_while_the_old_holder_may_still_be_running() {
    let mut hub = Hub::up(2);
    let first = hub.event("k", "a");
    hub.accept(1, first);
    hub.beat(1, &[("k", 1)]);
    hub.close(1);
    hub.ring_after(101);
    hub.stop("k", "a");
    hub.drain(1);
    let second = hub.event("k", "b");
    hub.ring_after(1);
    assert_eq!(hub.state(second), Pending, "worker 1 may act for the session for another 198 ms");
    hub.ring_after(200);
    assert_eq!(hub.holder("k").map(|(n, _)| n), Some(2));
}

#[test]
fn a_stop_of_one_agent_session_does_not_end_the_other_when_the_holder_returns() {
    let mut hub = Hub::up(1);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "b"));
    hub.accept(1, first);
    hub.accept(1, second);
    hub.close(1);
    hub.stop("k", "a");
    let greeting = hub.open(1);
    assert_eq!(greeting.accepted, [second]);
    assert!(!greeting.leases[0].stop, "the flag would end the run of the other agent session too");
}

#[test]
fn an_event_that_is_rejected_while_a_stop_waits_does_not_take_the_lease_away() {
    let mut hub = Hub::up(2);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "b"));
    hub.accept(1, first);
    let stop = hub.stop("k", "a");
    hub.ack(1, second, AckState::Reject);
    assert_eq!(hub.holder("k"), Some((1, 1)), "worker 1 runs the first until it hears of the stop");
    assert_eq!((hub.state(second), hub.state(stop)), (Pending, Offered));
    hub.done(1, stop);
    assert_eq!(hub.holder("k"), Some((2, 2)));
}

#[test]
fn two_stops_of_a_holder_that_is_away_are_both_answered_by_the_hub_and_offered_to_nobody_else() {
    let mut hub = Hub::up(2);
    let (first, second) = (hub.event("k", "a"), hub.event("k", "b"));
    hub.accept(1, first);
    hub.accept(1, second);
    hub.close(1);
    let stops = [hub.stop("k", "a"), hub.stop("k", "b")];
    hub.offers();
    hub.ring_after(101);
    assert_eq!(hub.offers(), []);
    assert_eq!(hub.owed(Words::Stopped), stops.map(|stop| stop.0));
}
