//! Events, acks and leases: what is done when, and what is not.

use shared::stream::StreamLine;

use super::*;

#[tokio::test]
async fn an_event_is_handled_once_its_ack_is_taken_and_is_done_after() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    hub.with(|book| {
        book.refuse_acks = 2;
        // Only the ack can confirm the lease.
        book.no_heartbeats = true;
    });
    let (_worker, _asks) = bench.start(&hub, state.path());
    let lines = hub.stream().await;
    lines.say(&hello(Vec::new(), Vec::new()));
    lines.say(&offer(1, "a", 5));
    until("the ack is sent twice", || (hub.with(|book| book.batches.len()) >= 2).then_some(())).await;
    assert!(bench.did().is_empty(), "the offer may still go elsewhere");
    hub.acked(1, AckState::Done).await;
    let states = states(&hub.acks(), 1);
    assert_eq!(states.iter().filter(|state| **state == AckState::Accepted).count(), 3, "{states:?}");
    assert_eq!(states.last(), Some(&AckState::Done));
    // Its task ends, since nothing is open; the next event begins another.
    bench.has(Did::Ended("a".to_owned())).await;
    lines.say(&offer(2, "a", 6));
    hub.acked(2, AckState::Done).await;
}

#[tokio::test]
async fn what_is_not_served_is_rejected_and_never_begun() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    bench.does_not_serve(1);
    let (_worker, _asks) = bench.start(&hub, state.path());
    let lines = hub.stream().await;
    lines.say(&hello(Vec::new(), Vec::new()));
    lines.say(&offer(1, "a", 5));
    assert_eq!(hub.acked(1, AckState::Reject).await.reason.as_deref(), Some("not_served"));
    lines.say(&offer(2, "b", 1));
    hub.acked(2, AckState::Done).await;
    assert!(!bench.did().contains(&Did::Got(1, 5)));
}

#[tokio::test]
async fn an_offer_whose_ack_is_stale_is_never_begun_and_the_next_one_is() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    hub.with(|book| book.stale.push((Seq(1), FencingToken(5))));
    let (_worker, _asks) = bench.start(&hub, state.path());
    let lines = hub.stream().await;
    lines.say(&hello(Vec::new(), Vec::new()));
    lines.say(&offer(1, "a", 5));
    hub.acked(1, AckState::Accepted).await;
    lines.say(&offer(1, "a", 6));
    bench.has(Did::Handled(1)).await;
    assert!(!bench.did().contains(&Did::Got(1, 5)), "{:?}", bench.did());
    assert_eq!(hub.acked(1, AckState::Done).await.token, FencingToken(6));
}

#[tokio::test]
async fn what_comes_back_after_a_loss_begins_when_the_old_task_has_ended() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    bench.hold("a");
    let (_worker, _asks) = bench.start(&hub, state.path());
    let lines = hub.stream().await;
    lines.say(&hello(Vec::new(), Vec::new()));
    lines.say(&offer(1, "a", 5));
    bench.has(Did::Got(1, 5)).await;
    // It went elsewhere and came back without this worker having heard of it.
    lines.say(&offer(1, "a", 6));
    until("the newer offer is accepted", || {
        hub.acks().iter().any(|ack| ack.token == FencingToken(6)).then_some(())
    })
    .await;
    bench.has(Did::Got(1, 6)).await;
    bench.let_go("a");
    bench.has(Did::Handled(1)).await;
    // The workshop itself falls over when two tasks of a key live at once.
    let did: Vec<Did> = bench.did().into_iter().filter(|did| !matches!(did, Did::Ended(_))).collect();
    assert_eq!(did, [Did::Got(1, 5), Did::Lost("a".into()), Did::Got(1, 6), Did::Handled(1)]);
}

#[tokio::test]
async fn what_was_given_up_here_comes_again_when_the_hub_believes_it_to_be_here() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    bench.hold("a");
    let (_worker, _asks) = bench.start(&hub, state.path());
    let lines = hub.stream().await;
    lines.say(&hello(Vec::new(), Vec::new()));
    lines.say(&offer(1, "a", 5));
    bench.has(Did::Got(1, 5)).await;
    lines.say(&StreamLine::Revoked { session_key: SessionKey("a".to_owned()), token: FencingToken(5) });
    bench.has(Did::Lost("a".to_owned())).await;
    drop(lines);
    let lines = hub.stream().await;
    lines.say(&hello(vec![lease("a", 5, false)], vec![Seq(1)]));
    hub.acked(1, AckState::Retry).await;
    bench.let_go("a");
    lines.say(&offer(1, "a", 5));
    bench.has(Did::Handled(1)).await;
}

#[tokio::test]
async fn a_lease_that_a_heartbeat_calls_lost_is_given_up_and_others_go_on() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    bench.hold("a");
    bench.hold("b");
    let (_worker, _asks) = bench.start(&hub, state.path());
    let lines = hub.stream().await;
    lines.say(&hello(Vec::new(), Vec::new()));
    lines.say(&offer(1, "a", 5));
    lines.say(&offer(2, "b", 7));
    bench.has(Did::Got(1, 5)).await;
    bench.has(Did::Got(2, 7)).await;
    hub.with(|book| book.lost.push(SessionKey("a".to_owned())));
    bench.has(Did::Lost("a".to_owned())).await;
    bench.let_go("a");
    bench.let_go("b");
    hub.acked(2, AckState::Done).await;
    assert!(!bench.did().contains(&Did::Handled(1)));
    let told = hub.with(|book| book.heartbeats.last().cloned()).unwrap();
    assert_eq!((told.slots, told.leases.iter().any(|claim| claim.session_key.0 == "b")), (4, true));
}

#[tokio::test]
async fn an_older_token_is_revoked_without_harm_to_a_newer_one() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    bench.hold("a");
    let (_worker, _asks) = bench.start(&hub, state.path());
    let lines = hub.stream().await;
    lines.say(&hello(Vec::new(), Vec::new()));
    lines.say(&offer(1, "a", 5));
    bench.has(Did::Got(1, 5)).await;
    let revoked =
        |token| StreamLine::Revoked { session_key: SessionKey("a".to_owned()), token: FencingToken(token) };
    lines.say(&revoked(4));
    lines.say(&offer(9, "z", 1));
    bench.has(Did::Handled(9)).await;
    assert!(!bench.did().contains(&Did::Lost("a".to_owned())));
    lines.say(&revoked(5));
    bench.has(Did::Lost("a".to_owned())).await;
}

#[tokio::test]
async fn after_a_restart_what_is_still_leased_goes_on_what_was_stopped_ends_and_the_rest_is_given_up() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    for key in ["a", "b", "c"] {
        bench.hold(key);
    }
    let (worker, asks) = bench.start(&hub, state.path());
    let lines = hub.stream().await;
    lines.say(&hello(Vec::new(), Vec::new()));
    for (seq, key) in [(1, "a"), (2, "b"), (3, "c")] {
        lines.say(&offer(seq, key, 5));
        bench.has(Did::Got(seq, 5)).await;
    }
    asks.send(Ask::Stop).unwrap();
    assert!(matches!(worker.await.unwrap(), Ended::Stopped));

    let bench = Bench::default();
    let beaten = hub.with(|book| book.heartbeats.len());
    let (_worker, _asks) = bench.start(&hub, state.path());
    let lines = hub.stream().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(bench.did().is_empty(), "nothing goes on before hello");
    let leases = vec![lease("a", 5, false), lease("b", 5, true), lease("c", 6, false)];
    lines.say(&hello(leases, vec![Seq(1), Seq(77)]));
    bench.has(Did::Handled(1)).await;
    bench.has(Did::Stopped(vec![2])).await;
    hub.acked(1, AckState::Done).await;
    hub.acked(2, AckState::Done).await;
    // One that the hub takes for accepted and the journal lacks must come again.
    hub.acked(77, AckState::Retry).await;
    assert!(!bench.did().iter().any(|did| matches!(did, Did::Got(2 | 3, _))));
    assert!(hub.with(|book| book.heartbeats.len()) > beaten, "it beats at once");
    lines.say(&offer(3, "c", 6));
    bench.has(Did::Got(3, 6)).await;
}

#[tokio::test]
async fn a_done_that_was_never_confirmed_is_told_after_a_restart_and_when_it_is_offered_again() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    let (worker, asks) = bench.start(&hub, state.path());
    let lines = hub.stream().await;
    lines.say(&hello(Vec::new(), Vec::new()));
    bench.hold("a");
    lines.say(&offer(1, "a", 5));
    hub.acked(1, AckState::Accepted).await;
    bench.has(Did::Got(1, 5)).await;
    hub.with(|book| book.refuse_acks = usize::MAX);
    bench.let_go("a");
    bench.has(Did::Handled(1)).await;
    asks.send(Ask::Stop).unwrap();
    worker.await.unwrap();

    hub.with(|book| {
        book.refuse_acks = 0;
        book.acks.clear();
    });
    let bench = Bench::default();
    let (_worker, _asks) = bench.start(&hub, state.path());
    hub.acked(1, AckState::Done).await;
    let lines = hub.stream().await;
    lines.say(&hello(Vec::new(), Vec::new()));
    lines.say(&offer(1, "a", 8));
    until("it is told again", || {
        hub.acks().iter().any(|ack| ack.token == FencingToken(8) && ack.state == AckState::Done).then_some(())
    })
    .await;
    assert!(bench.did().is_empty(), "it is not handled again");
}

#[tokio::test]
async fn a_hello_that_claims_a_million_accepted_events_makes_no_flood_of_acks() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    let (_worker, _asks) = bench.start(&hub, state.path());
    let lines = hub.stream().await;
    let leases = (0..5_000).map(|key| lease(&key.to_string(), 1, key % 500 == 0)).collect();
    lines.say(&hello(leases, (1..=1_000_000).map(Seq).collect()));
    lines.say(&offer(2_000_000, "z", 1));
    hub.acked(2_000_000, AckState::Done).await;
    assert!(hub.acks().len() < 5_000, "{}", hub.acks().len());
}

#[tokio::test]
async fn a_hub_that_has_forgotten_the_worker_is_told_of_it_again() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    hub.with(|book| book.forgets = true);
    let (_worker, _asks) = bench.start(&hub, state.path());
    hub.stream().await;
    assert_eq!(hub.with(|book| book.registrations), 2);
}
