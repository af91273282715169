//! One meaning, one event: by delivery id, and by what the body says when that id is another one.

use std::sync::Arc;

use anyhow::Result;
use e2e::delivery::{now_ms, uuid};
use e2e::raw_worker::RawWorker;
use e2e::system::System;

pub async fn the_same_delivery_three_times_is_one_event(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let (hooks, delivery) = (system.new_session(), uuid());
    let body = hooks.created_by_delegation(now_ms());
    system.send_as(&delivery, &body).await?.assert_outcome("the first", "stored");
    system.send_as(&delivery, &body).await?.assert_outcome("the second", "duplicate");
    let offer = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    // Also after it is done, and with the fresh stamp of a retry.
    system
        .send_as(&delivery, &hooks.created_by_delegation(now_ms()))
        .await?
        .assert_outcome("the third", "duplicate");
    nothing_more(&system, &mut stream, &hooks.issue_id).await
}

pub async fn two_delivery_ids_of_one_agent_session_are_one_event(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let hooks = system.new_session();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("one id", "stored");
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("another id", "duplicate");
    system
        .send(&hooks.created_by_mention("@cyrus", now_ms()))
        .await?
        .assert_outcome("and another body", "duplicate");
    let offer = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    nothing_more(&system, &mut stream, &hooks.issue_id).await
}

pub async fn two_prompts_are_two_events_and_the_same_prompt_again_is_none(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let hooks = system.new_session();
    let (first, second) = (uuid(), uuid());
    system.send(&hooks.prompted(&first, "One", now_ms())).await?.assert_outcome("one", "stored");
    system
        .send(&hooks.prompted(&second, "One", now_ms()))
        .await?
        .assert_outcome("the same words again", "stored");
    system
        .send(&hooks.prompted(&first, "One", now_ms()))
        .await?
        .assert_outcome("the first again", "duplicate");
    for _ in 0..2 {
        let offer = stream.offer_of(&hooks.issue_id).await?;
        assert_eq!(offer.line["event"]["kind"], "session_prompted");
        assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    }
    nothing_more(&system, &mut stream, &hooks.issue_id).await
}

pub async fn fifty_deliveries_of_one_body_at_once_are_one_event(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let hooks = system.new_session();
    let body = hooks.created_by_delegation(now_ms());
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (system, body) = (Arc::clone(&system), body.clone());
        sent.spawn(async move { system.send(&body).await });
    }
    let (mut stored, mut duplicate) = (0, 0);
    while let Some(answer) = sent.join_next().await {
        match answer??.outcome() {
            "stored" => stored += 1,
            "duplicate" => duplicate += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((stored, duplicate), (1, 49));
    let offer = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    nothing_more(&system, &mut stream, &hooks.issue_id).await
}

/// A later session's offer comes and none of this one before it.
async fn nothing_more(system: &System, stream: &mut e2e::raw_worker::RawStream, issue: &str) -> Result<()> {
    let last = system.new_session();
    system.send(&last.created_by_delegation(now_ms())).await?.assert_outcome("the last", "stored");
    let offer = stream.only(&last.issue_id, &[issue.to_owned()]).await?;
    assert_eq!(stream.worker.ack(offer.seq, offer.token, "done").await?, "ok");
    Ok(())
}
