//! Workers that go to sleep: what they may still do when they are back, and what happens to their sessions meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::raw_worker::RawWorker;
use e2e::system::System;
use e2e::whole_session::of_kind;
use reqwest::Method;
use serde_json::{Value, json};

use crate::open::{accept_next, connected, created, finish, in_state, mark, prompted, stopped};

/// Everything short: a lease lapses after 1 s and moves after 1.5 s.
pub const SHORT: [&str; 9] = [
    "leaseMs=1000",
    "takeoverAfterMs=500",
    "workerHeartbeatMs=300",
    "heartbeatLineMs=500",
    "offerMs=1500",
    "backoffMs=50",
    "backoffMaxMs=200",
    "maxAttempts=3",
    "firstThoughtMs=1000",
];
const LEASE: Duration = Duration::from_millis(1000);
const LEASE_AND_GRACE: Duration = Duration::from_millis(1500);

/// Lets this much time pass; the time itself is what the test is about.
async fn asleep(time: Duration) {
    tokio::time::sleep(time).await;
}

pub async fn a_worker_whose_session_moved_is_refused_everywhere_and_leaves_no_trace(
    system: Arc<System>,
) -> Result<()> {
    let (old, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let offer = accept_next(&mut stream, &hooks).await?;
    let lease = format!("/api/leases/{}", hooks.issue_id);
    let shown = old.panel(Method::PUT, &lease, &json!({"token": offer.token})).await?;
    ensure!(shown.status == 200, "{shown:?}");
    let made = old
        .panel(Method::POST, "/api/sessions", &json!({
            "sessionKey": hooks.issue_id, "token": offer.token, "agentSessionId": hooks.agent_session_id,
            "linearIssueId": hooks.issue_id, "linearIssueIdentifier": hooks.identifier, "linearIssueTitle": hooks.title,
            "agentType": "builder", "executorType": "local", "workerName": "the old one",
        }))
        .await?;
    ensure!(made.status == 201, "{made:?}");
    let id = made.body["id"].as_str().context("no id")?.to_owned();
    let path = format!("/api/sessions/{id}");
    let line = json!({"seq": 1, "level": "info", "message": "from the old one", "metadata": {"kind": "text"}, "timestamp": "2026-11-22T10:15:25.781Z"});
    let lines = json!({"token": offer.token, "lines": [line]});
    ensure!(old.panel(Method::POST, &format!("{path}/logs"), &lines).await?.status == 200);
    drop(stream);
    let (new, mut stream) = connected(&system).await?;
    let moved = accept_next(&mut stream, &hooks).await?;
    ensure!(moved.seq == offer.seq && moved.token > offer.token && moved.says("takeover"), "{moved:?}");

    for state in ["accepted", "done", "retry", "reject"] {
        assert_eq!(old.ack(offer.seq, offer.token, state).await?, "stale", "{state}");
    }
    assert_eq!(old.lost_of(&offer).await?, [offer.token]);
    // The lease itself is refused before the new holder has said a word to the panel.
    old.panel(Method::PUT, &lease, &json!({"token": offer.token})).await?.assert_refused(
        "the lease",
        409,
        "token_stale",
    );
    let shown = new.panel(Method::PUT, &lease, &json!({"token": moved.token})).await?;
    ensure!(shown.status == 200 && shown.body["nextSeq"] == 2, "{shown:?}");
    let state = json!({"token": offer.token, "status": "completed", "branch": "from/the-old-one"});
    old.panel(Method::PATCH, &path, &state).await?.assert_refused("the record", 409, "token_stale");
    let mut late = lines.clone();
    late["lines"][0]["seq"] = json!(2);
    old.panel(Method::POST, &format!("{path}/logs"), &late).await?.assert_refused(
        "a line",
        409,
        "token_stale",
    );
    let record = system.owner_get(&path).await?;
    ensure!(
        record["status"] != "completed" && record["branch"].is_null() && record["nextSeq"] == 2,
        "{record}"
    );
    ensure!(of_kind(&system.activities(&hooks.agent_session_id).await?, "response").is_empty());

    // Its next stream says that it holds nothing, and it gets no follow-up.
    let mut back = old.stream().await?;
    ensure!(back.hello["leases"] == json!([]) && back.hello["accepted"] == json!([]), "{}", back.hello);
    prompted(&system, &hooks, "Go on").await?;
    let follow_up = accept_next(&mut stream, &hooks).await?;
    ensure!(follow_up.token == moved.token, "{follow_up:?}");
    drop(stream);
    drop(back.next().await?);
    finish(&new, &[&moved, &follow_up]).await
}

pub async fn a_stop_while_the_lease_has_lapsed_is_answered_by_the_proxy_and_told_to_the_worker_that_returns(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let offer = accept_next(&mut stream, &hooks).await?;
    prompted(&system, &hooks, "And this").await?;
    let second = accept_next(&mut stream, &hooks).await?;
    drop(stream);
    asleep(LEASE + Duration::from_millis(300)).await;
    stopped(&system, &hooks).await?;
    let closed = |told: &[Value]| !of_kind(told, "response").is_empty();
    system
        .activities_when(&hooks.agent_session_id, "the closing response", Duration::from_secs(10), closed)
        .await?;
    for event in [&offer, &second] {
        in_state(&worker, event, "cancelled").await?;
    }
    let mut back = worker.stream().await?;
    let told = json!([{"sessionKey": hooks.issue_id, "token": offer.token, "stop": true}]);
    ensure!(back.hello["leases"] == told && back.hello["accepted"] == json!([]), "{}", back.hello);
    // Its last words change nothing and are no error.
    finish(&worker, &[&offer, &second]).await?;
    mark(&system, &mut back, &[&hooks.issue_id]).await?;
    drop(back);
    let back = worker.stream().await?;
    ensure!(back.hello["leases"] == json!([]), "{}", back.hello);
    let told = system.activities(&hooks.agent_session_id).await?;
    assert_eq!(of_kind(&told, "response").len(), 1, "{told:?}");
    Ok(())
}

pub async fn a_stop_with_nobody_there_at_all_is_answered_by_the_proxy_once(
    system: Arc<System>,
) -> Result<()> {
    RawWorker::alone(&system).await?;
    let hooks = created(&system).await?;
    stopped(&system, &hooks).await?;
    let closed = |told: &[Value]| !of_kind(told, "response").is_empty();
    system
        .activities_when(&hooks.agent_session_id, "the closing response", Duration::from_secs(10), closed)
        .await?;
    let (_worker, mut stream) = connected(&system).await?;
    mark(&system, &mut stream, &[&hooks.issue_id]).await?;
    let told = system.activities(&hooks.agent_session_id).await?;
    assert_eq!(of_kind(&told, "response").len(), 1, "{told:?}");
    Ok(())
}

pub async fn a_lone_worker_that_sleeps_past_lease_and_grace_again_and_again_makes_no_dead_letter(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let offer = accept_next(&mut stream, &hooks).await?;
    prompted(&system, &hooks, "Later").await?;
    let follow_up = accept_next(&mut stream, &hooks).await?;
    let lease = json!([{"sessionKey": hooks.issue_id, "token": offer.token, "stop": false}]);
    // Two more than the attempts that an event has.
    for sleep in 1..=5 {
        drop(stream);
        asleep(LEASE_AND_GRACE + Duration::from_millis(400)).await;
        stream = worker.stream().await?;
        ensure!(stream.hello["leases"] == lease, "sleep {sleep}: {}", stream.hello);
        ensure!(
            stream.hello["accepted"] == json!([offer.seq, follow_up.seq]),
            "sleep {sleep}: {}",
            stream.hello
        );
    }
    let record = in_state(&worker, &offer, "accepted").await?;
    ensure!(record["attempts"] == 0, "{record}");
    mark(&system, &mut stream, &[&hooks.issue_id]).await?;
    finish(&worker, &[&offer, &follow_up]).await?;
    in_state(&worker, &follow_up, "done").await?;
    let told = system.activities(&hooks.agent_session_id).await?;
    ensure!(of_kind(&told, "error").is_empty(), "{told:?}");
    Ok(())
}

pub async fn a_worker_that_renews_its_lease_without_a_stream_keeps_its_session(
    system: Arc<System>,
) -> Result<()> {
    let (holder, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let offer = accept_next(&mut stream, &hooks).await?;
    drop(stream);
    let (_next, mut stream) = connected(&system).await?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        assert_eq!(holder.lost_of(&offer).await?, Vec::<u64>::new(), "after {:?}", begun.elapsed());
        asleep(Duration::from_millis(300)).await;
    }
    mark(&system, &mut stream, &[&hooks.issue_id]).await?;
    finish(&holder, &[&offer]).await
}

pub async fn a_lease_that_a_heartbeat_does_not_name_lapses_and_moves(system: Arc<System>) -> Result<()> {
    let (forgetful, mut stream) = connected(&system).await?;
    let (kept, forgotten) = (created(&system).await?, created(&system).await?);
    let (kept, forgotten) =
        (accept_next(&mut stream, &kept).await?, accept_next(&mut stream, &forgotten).await?);
    let next = RawWorker::beside_others(&system).await?;
    let mut other = next.stream().await?;
    let beats = async {
        loop {
            assert_eq!(forgetful.lost_of(&kept).await?, Vec::<u64>::new());
            asleep(Duration::from_millis(300)).await;
        }
        #[expect(unreachable_code, reason = "it gives the loop its type")]
        anyhow::Ok(())
    };
    let moved = tokio::select! {
        ended = beats => anyhow::bail!("{ended:?}"),
        moved = other.only(&forgotten.session_key, std::slice::from_ref(&kept.session_key)) => moved?,
    };
    ensure!(moved.token > forgotten.token && moved.says("takeover"), "{moved:?}");
    assert_eq!(stream.next_of("revoked").await?["sessionKey"], forgotten.session_key.as_str());
    finish(&next, &[&moved]).await?;
    finish(&forgetful, &[&kept]).await
}

pub async fn a_lapsed_session_moves_to_another_worker_under_a_higher_token(
    system: Arc<System>,
) -> Result<()> {
    let (lost, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let first = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(lost.ack(first.seq, first.token, "accepted").await?, "ok");
    prompted(&system, &hooks, "Is anybody there?").await?;
    let second = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(lost.ack(second.seq, second.token, "accepted").await?, "ok");
    let begun = Instant::now();
    drop(stream);
    let (next, mut stream) = connected(&system).await?;
    // Everything that was not done, oldest first, told as a take-over and counted.
    let mut token = 0;
    for before in [&first, &second] {
        let moved = stream.offer_of(&hooks.issue_id).await?;
        assert_eq!(
            (moved.seq, moved.attempt, &moved.line["takeover"]),
            (before.seq, 2, &json!(true)),
            "{moved:?}"
        );
        assert!(moved.token > first.token, "{moved:?}");
        token = moved.token;
        assert_eq!(next.ack(moved.seq, moved.token, "accepted").await?, "ok");
    }
    assert!(
        begun.elapsed() > LEASE_AND_GRACE - Duration::from_millis(300),
        "moved after {:?}, within lease and grace",
        begun.elapsed()
    );
    // The one that comes back is told, whatever it says.
    assert_eq!(lost.lost_of(&first).await?, vec![first.token]);
    for state in ["done", "retry", "accepted"] {
        assert_eq!(lost.ack(first.seq, first.token, state).await?, "stale", "{state}");
    }
    assert_eq!(next.ack(first.seq, token, "done").await?, "ok");
    assert_eq!(next.ack(second.seq, token, "done").await?, "ok");
    Ok(())
}
