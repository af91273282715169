//! The order of a session: what `done` out of turn means, and what an ack means that comes after its offer.

use std::sync::Arc;

use anyhow::{Result, ensure};
use e2e::delivery::{now_ms, uuid};
use e2e::raw_worker::RawWorker;
use e2e::system::System;
use serde_json::json;
use testkit::webhook::AgentSessionWebhooks;

use crate::open::{accept_next, connected, created, finish, in_state, mark, prompted};

pub async fn an_event_that_is_done_out_of_turn_stays_accepted_until_the_earlier_one_is_done(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let first = accept_next(&mut stream, &hooks).await?;
    prompted(&system, &hooks, "Two").await?;
    let second = accept_next(&mut stream, &hooks).await?;
    prompted(&system, &hooks, "Three").await?;
    let third = accept_next(&mut stream, &hooks).await?;
    finish(&worker, &[&third, &second, &third]).await?;
    for offer in [&first, &second, &third] {
        in_state(&worker, offer, "accepted").await?;
    }
    // It survives a break: what was said is not asked for again.
    drop(stream);
    let mut stream = worker.stream().await?;
    ensure!(stream.hello["leases"][0]["token"] == first.token, "{}", stream.hello);
    mark(&system, &mut stream, &[&hooks.issue_id]).await?;
    finish(&worker, &[&first]).await?;
    for offer in [&first, &second, &third] {
        in_state(&worker, offer, "done").await?;
    }
    drop(stream);
    let stream = worker.stream().await?;
    ensure!(stream.hello["leases"] == json!([]), "the lease is released with the last: {}", stream.hello);
    Ok(())
}

pub async fn an_ack_that_comes_after_its_offer_ended_still_counts_while_nobody_else_has_it(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let offer = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(stream.next_telling().await?, None, "the stream of one that is silent is closed");
    in_state(&worker, &offer, "pending").await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "accepted").await?, "ok");
    let mut stream = worker.stream().await?;
    ensure!(stream.hello["accepted"] == json!([offer.seq]), "{}", stream.hello);
    mark(&system, &mut stream, &[&hooks.issue_id]).await?;
    finish(&worker, &[&offer]).await
}

pub async fn an_ack_that_comes_after_another_worker_got_the_event_is_stale(
    system: Arc<System>,
) -> Result<()> {
    let (slow, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let offer = stream.offer_of(&hooks.issue_id).await?;
    drop(stream);
    let (quick, mut stream) = connected(&system).await?;
    let again = accept_next(&mut stream, &hooks).await?;
    ensure!(again.seq == offer.seq && again.token > offer.token, "{again:?}");
    for state in ["accepted", "done", "retry", "reject"] {
        assert_eq!(slow.ack(offer.seq, offer.token, state).await?, "stale", "{state}");
        assert_eq!(
            slow.ack(offer.seq, again.token, state).await?,
            "stale",
            "{state} under the other's token"
        );
    }
    in_state(&quick, &again, "accepted").await?;
    finish(&quick, &[&again]).await
}

pub async fn a_prompt_that_comes_before_its_session_was_created_is_the_first_event(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = system.new_session();
    prompted(&system, &hooks, "Early").await?;
    let early = accept_next(&mut stream, &hooks).await?;
    ensure!(early.kind() == "session_prompted" && early.line["event"]["text"] == "Early", "{early:?}");
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created late", "stored");
    let late = accept_next(&mut stream, &hooks).await?;
    ensure!(
        late.kind() == "session_created" && late.seq > early.seq && late.token == early.token,
        "{late:?}"
    );
    finish(&worker, &[&early, &late]).await
}

pub async fn two_agent_sessions_on_one_issue_go_to_one_worker_under_one_lease(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let first = accept_next(&mut stream, &hooks).await?;
    // One that is idle and would be chosen by its room.
    let other = RawWorker::beside_others(&system).await?;
    let _idle = other.stream().await?;
    let second = AgentSessionWebhooks { agent_session_id: uuid(), ..hooks.clone() };
    let mentioned = second.created_by_mention("@cyrus and this", now_ms());
    system.send(&mentioned).await?.assert_outcome("another agent session", "stored");
    let next = accept_next(&mut stream, &hooks).await?;
    ensure!(next.token == first.token, "{next:?}");
    ensure!(next.line["event"]["agentSession"]["id"] == second.agent_session_id.as_str(), "{next:?}");
    finish(&worker, &[&first, &next]).await
}
