//! Offers, acks and fencing tokens, spoken by hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::delivery::{now_ms, uuid};
use e2e::raw_worker::RawWorker;
use e2e::system::System;
use serde_json::json;

use crate::open::{connected, created, mark, prompted};

pub async fn the_next_event_of_a_session_is_offered_once_the_one_before_is_accepted(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    prompted(&system, &hooks, "Two").await?;
    prompted(&system, &hooks, "Three").await?;
    let first = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(first.line["event"]["kind"], "session_created");
    mark(&system, &mut stream, &[&hooks.issue_id]).await?;
    assert_eq!(worker.ack(first.seq, first.token, "accepted").await?, "ok");
    let second = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(second.line["event"]["text"], "Two");
    assert!(second.seq > first.seq && second.token == first.token, "{second:?}");
    mark(&system, &mut stream, &[&hooks.issue_id]).await?;
    assert_eq!(worker.ack(second.seq, second.token, "accepted").await?, "ok");
    let third = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(third.line["event"]["text"], "Three");
    for offer in [first, second, third] {
        assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    }
    Ok(())
}

pub async fn sessions_do_not_wait_for_each_other(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let (one, two) = (created(&system).await?, created(&system).await?);
    let first = stream.offer_of(&one.issue_id).await?;
    let second = stream.offer_of(&two.issue_id).await?;
    for offer in [second, first] {
        assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    }
    Ok(())
}

pub async fn acks_may_be_repeated(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let offer = stream.offer_of(&hooks.issue_id).await?;
    for state in ["accepted", "accepted", "done", "done", "accepted", "done"] {
        assert_eq!(worker.ack(offer.seq, offer.token, state).await?, "ok", "{state}");
    }
    // Also in one list, also after a later event has moved the token on.
    prompted(&system, &hooks, "Next").await?;
    let next = stream.offer_of(&hooks.issue_id).await?;
    let twice = json!({"seq": next.seq, "token": next.token, "state": "done"});
    let old = json!({"seq": offer.seq, "token": offer.token, "state": "done"});
    assert_eq!(worker.acks(&json!([twice, twice, old])).await?, json!(["ok", "ok", "ok"]));
    mark(&system, &mut stream, &[&hooks.issue_id]).await
}

pub async fn an_ack_under_another_token_is_stale_and_changes_nothing(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    prompted(&system, &hooks, "After it").await?;
    let offer = stream.offer_of(&hooks.issue_id).await?;
    for token in [0, offer.token + 1, 9_000_000_000] {
        assert_eq!(worker.ack(offer.seq, token, "accepted").await?, "stale", "{token}");
        assert_eq!(worker.ack(offer.seq, token, "done").await?, "stale", "{token}");
    }
    // Another worker with the right token is not the holder.
    let stranger = RawWorker::beside_others(&system).await?;
    assert_eq!(stranger.ack(offer.seq, offer.token, "done").await?, "stale");
    // The event is still only offered, so its follow-up is held back.
    mark(&system, &mut stream, &[&hooks.issue_id]).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    let next = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(worker.ack(next.seq, next.token, "done").await?, "ok");
    Ok(())
}

pub async fn an_ack_for_an_event_that_was_never_made_is_unknown(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    assert_eq!(worker.ack(4_000_000_000, 1, "done").await?, "unknown");
    assert_eq!(worker.ack(0, 0, "accepted").await?, "unknown");
    Ok(())
}

pub async fn done_releases_the_lease_and_the_next_event_gets_a_higher_token(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let first = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(worker.ack(first.seq, first.token, "accepted").await?, "ok");
    assert_eq!(worker.lost_of(&first).await?, Vec::<u64>::new());
    assert_eq!(worker.ack(first.seq, first.token, "done").await?, "ok");
    assert_eq!(worker.lost_of(&first).await?, vec![first.token], "a lease that is released is not held");
    prompted(&system, &hooks, "Again").await?;
    let second = stream.offer_of(&hooks.issue_id).await?;
    assert!(second.token > first.token, "{first:?} {second:?}");
    assert_eq!(worker.ack(second.seq, first.token, "accepted").await?, "stale", "the old token");
    assert_eq!(worker.ack(second.seq, second.token, "done").await?, "ok");
    Ok(())
}

pub async fn an_offer_whose_stream_closes_is_offered_again_uncounted(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let first = stream.offer_of(&hooks.issue_id).await?;
    drop(stream);
    let mut stream = worker.stream().await?;
    let again = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!((again.seq, again.attempt), (first.seq, 1), "an offer that ended is no attempt");
    assert_eq!(worker.ack(again.seq, again.token, "done").await?, "ok");
    mark(&system, &mut stream, &[&hooks.issue_id]).await
}

pub async fn an_offer_of_a_closed_stream_goes_to_the_next_worker_at_once(system: Arc<System>) -> Result<()> {
    let (_gone, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let first = stream.offer_of(&hooks.issue_id).await?;
    drop(stream);
    // Registering waits until the panel says that the other one is off line.
    let (next, mut stream) = connected(&system).await?;
    let begun = Instant::now();
    let again = stream.offer_of(&hooks.issue_id).await?;
    let waited = begun.elapsed();
    assert_eq!(next.ack(again.seq, again.token, "done").await?, "ok");
    assert_eq!((again.seq, again.attempt), (first.seq, 1));
    assert!(
        waited < Duration::from_secs(2),
        "offered after {waited:?}, as if the dead stream had been asked first"
    );
    Ok(())
}

pub async fn an_offer_that_nobody_accepts_ends_the_stream_and_is_offered_again_uncounted(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let first = stream.offer_of(&hooks.issue_id).await?;
    let begun = Instant::now();
    assert_eq!(stream.next_telling().await?, None, "the stream of a silent worker is closed");
    let waited = begun.elapsed();
    assert!(waited > Duration::from_millis(2500), "closed after {waited:?}, but the offer stands for 4 s");
    let mut stream = worker.stream().await?;
    let again = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!((again.seq, again.attempt), (first.seq, 1), "an offer that ran out is no attempt");
    assert_eq!(worker.ack(again.seq, again.token, "done").await?, "ok");
    Ok(())
}

pub async fn an_offer_that_one_worker_does_not_accept_goes_to_the_next(system: Arc<System>) -> Result<()> {
    let (_silent, mut silent_stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let first = silent_stream.offer_of(&hooks.issue_id).await?;
    let next = RawWorker::beside_others(&system).await?;
    let mut stream = next.stream().await?;
    let again = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!((again.seq, again.attempt), (first.seq, 1));
    assert_eq!(next.ack(again.seq, again.token, "done").await?, "ok");
    Ok(())
}

pub async fn an_accepted_event_is_named_in_hello_and_not_offered_again(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let offer = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "accepted").await?, "ok");
    drop(stream);
    let mut stream = worker.stream().await?;
    assert_eq!(stream.hello["accepted"], json!([offer.seq]));
    let lease = json!([{"sessionKey": hooks.issue_id, "token": offer.token, "stop": false}]);
    assert_eq!(stream.hello["leases"], lease);
    mark(&system, &mut stream, &[&hooks.issue_id]).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    drop(stream);
    let stream = worker.stream().await?;
    assert_eq!((&stream.hello["accepted"], &stream.hello["leases"]), (&json!([]), &json!([])));
    Ok(())
}

pub async fn a_retry_is_offered_again_and_counted(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let first = stream.offer_of(&hooks.issue_id).await?;
    let ack =
        json!([{"seq": first.seq, "token": first.token, "state": "retry", "reason": "a test wants it"}]);
    assert_eq!(worker.acks(&ack).await?, json!(["ok"]));
    let again = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!((again.seq, again.attempt), (first.seq, 2));
    assert_eq!(worker.ack(again.seq, again.token, "done").await?, "ok");
    Ok(())
}

pub async fn a_heartbeat_names_the_leases_that_are_not_held(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let offer = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "accepted").await?, "ok");
    let lost = [
        json!({"sessionKey": hooks.issue_id, "token": offer.token + 7}),
        json!({"sessionKey": "nobody's", "token": 1}),
    ];
    let claims = json!({"leases": [{"sessionKey": hooks.issue_id, "token": offer.token}, lost[0], lost[1]], "slots": 8, "used": 1});
    let answer = worker.post("/v1/heartbeats", &claims).await?;
    assert_eq!(answer.body["lost"], json!(lost), "{answer:?}");
    assert!(answer.body["exclusiveMs"].as_u64().is_some_and(|ms| ms > 60_000), "{answer:?}");
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    Ok(())
}

pub async fn a_stop_cancels_what_waits_before_it(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let running = stream.offer_of(&hooks.issue_id).await?;
    prompted(&system, &hooks, "Never mind").await?;
    prompted(&system, &hooks, "Nor this").await?;
    assert_eq!(worker.ack(running.seq, running.token, "accepted").await?, "ok");
    let offered = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(offered.line["event"]["text"], "Never mind");
    system.send(&hooks.stop(&uuid(), now_ms())).await?.assert_outcome("stop", "stored");
    let stop = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(stop.line["event"]["kind"], "session_stopped", "the stop comes next: {stop:?}");
    for offer in [&running, &stop] {
        assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    }
    mark(&system, &mut stream, &[&hooks.issue_id]).await
}

pub async fn everything_stored_outlives_workerd(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let taken = created(&system).await?;
    let offer = stream.offer_of(&taken.issue_id).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "accepted").await?, "ok");
    drop(stream);
    let waiting = created(&system).await?;
    system.kill_workerd().await?;
    system.send(&waiting.created_by_delegation(now_ms())).await?.assert_outcome("known before", "duplicate");
    let mut stream = worker.stream().await?;
    assert_eq!(stream.hello["accepted"], json!([offer.seq]));
    let next = stream.offer_of(&waiting.issue_id).await?;
    for offer in [&offer, &next] {
        assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    }
    mark(&system, &mut stream, &[&taken.issue_id, &waiting.issue_id]).await
}
