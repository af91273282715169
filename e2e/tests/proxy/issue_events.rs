//! What happens to an issue in Linear while somebody works on it: edits, its end, and being taken away from the agent.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use e2e::delivery::{now_ms, uuid};
use e2e::raw_worker::RawWorker;
use e2e::system::System;
use e2e::whole_session::of_kind;
use serde_json::{Value, json};
use testkit::webhook::AgentSessionWebhooks;

/// An `Issue` body: who did it, what the issue is laid over with, what it was before.
fn issue(hooks: &AgentSessionWebhooks, actor: &str, data: &Value, from: &Value) -> Value {
    let mut body = json!({
        "type": "Issue", "action": "update", "createdAt": "2026-11-22T10:15:25.752Z",
        "organizationId": hooks.organization_id, "webhookTimestamp": now_ms(), "webhookId": "w",
        "actor": {"id": actor, "type": "user", "name": "Ada"}, "updatedFrom": from,
        "data": {
            "id": hooks.issue_id, "identifier": hooks.identifier, "title": hooks.title, "description": "New words",
            "updatedAt": uuid(), "state": {"id": "s", "type": "started", "name": "In Progress"}, "labels": []
        }
    });
    for (key, value) in data.as_object().into_iter().flatten() {
        body["data"][key.as_str()] = value.clone();
    }
    body
}

fn edited(hooks: &AgentSessionWebhooks) -> Value {
    issue(hooks, "u-1", &json!({}), &json!({"description": "Old words"}))
}

fn closed(hooks: &AgentSessionWebhooks) -> Value {
    issue(hooks, "u-1", &json!({"state": {"type": "completed"}}), &json!({"stateId": "before"}))
}

fn unassigned(hooks: &AgentSessionWebhooks) -> Value {
    json!({
        "type": "AppUserNotification", "action": "issueUnassignedFromYou", "organizationId": hooks.organization_id,
        "webhookTimestamp": now_ms(), "webhookId": "w", "appUserId": hooks.app_user_id,
        "notification": {
            "id": uuid(), "type": "issueUnassignedFromYou", "actor": {"id": "u-1", "name": "Ada"},
            "issueId": hooks.issue_id,
            "issue": {"id": hooks.issue_id, "identifier": hooks.identifier, "title": hooks.title}
        }
    })
}

pub async fn an_edit_reaches_the_worker_that_is_at_work_and_is_kept_for_nobody_else(
    system: Arc<System>,
) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let hooks = system.new_session();
    for body in [edited(&hooks), closed(&hooks), unassigned(&hooks)] {
        system.send(&body).await?.assert_outcome("an issue that nobody works on", "ignored");
    }
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    let work = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(worker.ack(work.seq, work.token, "accepted").await?, "ok");
    let body = edited(&hooks);
    system.send(&body).await?.assert_outcome("an edit", "stored");
    system.send(&body).await?.assert_outcome("the same edit under another delivery id", "duplicate");
    let offer = stream.offer_of(&hooks.issue_id).await?;
    let event = &offer.line["event"];
    assert_eq!((offer.kind(), offer.token), ("issue_edited", work.token), "{event}");
    assert_eq!(event["agentSession"]["id"], hooks.agent_session_id.as_str());
    assert_eq!(event["agentSession"]["issue"]["description"], "New words");
    assert_eq!(event["changed"], json!([{"field": "description", "old": "Old words", "new": "New words"}]));
    assert_eq!(event["actor"], json!({"id": "u-1", "name": "Ada"}));
    let own = issue(&hooks, &hooks.app_user_id, &json!({}), &json!({"title": "Old"}));
    system.send(&own).await?.assert_outcome("what the agent itself changed", "ignored");
    let moved = issue(&hooks, "u-1", &json!({}), &json!({"stateId": "before"}));
    system.send(&moved).await?.assert_outcome("a move between open states", "ignored");
    for seq in [work.seq, offer.seq] {
        assert_eq!(worker.ack(seq, work.token, "done").await?, "ok");
    }
    system.send(&edited(&hooks)).await?.assert_outcome("an edit after the end of the work", "ignored");
    assert_eq!(system.activities(&hooks.agent_session_id).await?, Vec::<Value>::new());
    Ok(())
}

pub async fn the_end_of_an_issue_overtakes_what_waits_and_stops_the_worker(
    system: Arc<System>,
) -> Result<()> {
    for (kind, end) in [("issue_closed", closed as fn(&_) -> Value), ("unassigned", unassigned)] {
        let worker = RawWorker::register(&system).await?;
        let mut stream = worker.stream().await?;
        let hooks = system.new_session();
        system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
        let work = stream.offer_of(&hooks.issue_id).await?;
        assert_eq!(worker.ack(work.seq, work.token, "accepted").await?, "ok");
        system.send(&end(&hooks)).await?.assert_outcome(kind, "stored");
        let offer = stream.offer_of(&hooks.issue_id).await?;
        assert_eq!((offer.kind(), offer.token), (kind, work.token));
        assert_eq!(worker.record(&hooks.issue_id, work.seq).await?["state"], "cancelled");
        assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
        // Once more, when nothing is open: the worker that was there hears of it, and Linear nothing.
        system.send(&end(&hooks)).await?.assert_outcome("again", "stored");
        let late = stream.offer_of(&hooks.issue_id).await?;
        assert_eq!(late.kind(), kind);
        assert_eq!(worker.ack(late.seq, late.token, "done").await?, "ok");
        assert_eq!(system.activities(&hooks.agent_session_id).await?, Vec::<Value>::new());
    }
    Ok(())
}

pub async fn work_that_waits_for_a_worker_is_closed_with_its_issue_and_linear_hears_why(
    system: Arc<System>,
) -> Result<()> {
    RawWorker::alone(&system).await?;
    let hooks = system.new_session();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    system.send(&closed(&hooks)).await?.assert_outcome("closed", "stored");
    let told = system
        .activities_when(&hooks.agent_session_id, "the closing words", Duration::from_secs(10), |told| {
            !of_kind(told, "response").is_empty()
        })
        .await?;
    let said = of_kind(&told, "response");
    assert_eq!(said.len(), 1, "{told:?}");
    assert_eq!(said[0]["body"], "The issue was closed before any work began.");
    Ok(())
}

pub async fn a_worker_of_the_protocol_before_goes_on_and_gets_no_kind_that_it_cannot_read(
    system: Arc<System>,
) -> Result<()> {
    RawWorker::alone(&system).await?;
    let worker = RawWorker::as_said(&system, &json!({"protocol": 1})).await?;
    let mut stream = worker.stream().await?;
    assert_eq!(stream.hello["protocol"], 1);
    let hooks = system.new_session();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    let work = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(worker.ack(work.seq, work.token, "accepted").await?, "ok");
    system.send(&edited(&hooks)).await?.assert_outcome("an edit", "ignored");
    system.send(&closed(&hooks)).await?.assert_outcome("the end", "ignored");
    assert_eq!(worker.ack(work.seq, work.token, "done").await?, "ok");
    // Nobody holds it now: it would be offered to this worker, which cannot read it, and so it is done.
    system.send(&closed(&hooks)).await?.assert_outcome("the end, later", "stored");
    let page = worker.get(&format!("/v1/deliveries?sessionKey={}", hooks.issue_id)).await?.body;
    assert_eq!(
        (&page["items"][0]["kind"], &page["items"][0]["state"]),
        (&json!("issue_closed"), &json!("done"))
    );
    // And what comes next is not behind it.
    system.send(&hooks.prompted(&uuid(), "go on", now_ms())).await?.assert_outcome("a prompt", "stored");
    let next = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(next.kind(), "session_prompted");
    assert_eq!(worker.ack(next.seq, next.token, "done").await?, "ok");
    Ok(())
}
