//! What a person does in the panel, as it reaches a worker: events of the same stream, and keys that end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::delivery::{self, Answer};
use e2e::raw_worker::{Offer, RawStream, RawWorker, Transport};
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::webhook::AgentSessionWebhooks;

use crate::open::{accept_next, connected, created, finish, in_state, mark};

async fn owner(system: &System, method: Method, path: &str, body: &Value) -> Result<Answer> {
    let request = system.http.request(method, format!("{}{path}", system.up.panel_url));
    delivery::answer(request.bearer_auth(&system.up.owner_api_key).json(body)).await
}

/// A session that a worker holds and the panel has a record of; gives the record's id.
async fn recorded(system: &System, stream: &mut RawStream) -> Result<(AgentSessionWebhooks, Offer, String)> {
    let hooks = created(system).await?;
    let offer = accept_next(stream, &hooks).await?;
    let worker = &stream.worker;
    let lease = format!("/api/leases/{}", hooks.issue_id);
    ensure!(worker.panel(Method::PUT, &lease, &json!({"token": offer.token})).await?.status == 200);
    let record = json!({
        "sessionKey": hooks.issue_id, "token": offer.token, "agentSessionId": hooks.agent_session_id,
        "linearIssueId": hooks.issue_id, "linearIssueIdentifier": hooks.identifier, "linearIssueTitle": hooks.title,
        "agentType": "builder", "executorType": "local", "workerName": "by hand",
    });
    let made = worker.panel(Method::POST, "/api/sessions", &record).await?;
    ensure!(made.status == 201, "{made:?}");
    let id = made.body["id"].as_str().context("no id")?.to_owned();
    let running = json!({"token": offer.token, "status": "running"});
    ensure!(worker.panel(Method::PATCH, &format!("/api/sessions/{id}"), &running).await?.status == 200);
    Ok((hooks, offer, id))
}

pub async fn feedback_and_stop_in_the_panel_reach_the_sessions_worker_as_its_next_events(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let (hooks, first, id) = recorded(&system, &mut stream).await?;
    let said = owner(
        &system,
        Method::POST,
        &format!("/api/sessions/{id}/feedback"),
        &json!({"text": "Use \"tabs\" 😀"}),
    )
    .await?;
    ensure!((200..300).contains(&said.status), "{said:?}");
    let feedback = accept_next(&mut stream, &hooks).await?;
    let event = &feedback.line["event"];
    ensure!(feedback.kind() == "session_prompted" && feedback.token == first.token, "{feedback:?}");
    ensure!(event["text"] == "Use \"tabs\" 😀" && event["fromPanel"] == true, "{event}");
    ensure!(event["agentSession"]["id"] == hooks.agent_session_id.as_str(), "{event}");
    let pressed = owner(&system, Method::POST, &format!("/api/sessions/{id}/stop"), &json!({})).await?;
    ensure!((200..300).contains(&pressed.status), "{pressed:?}");
    let stop = accept_next(&mut stream, &hooks).await?;
    ensure!(stop.kind() == "session_stopped" && stop.line["event"]["fromPanel"] == true, "{stop:?}");
    for offer in [&first, &feedback] {
        in_state(&worker, offer, "cancelled").await?;
    }
    finish(&worker, &[&first, &feedback, &stop]).await?;
    mark(&system, &mut stream, &[&hooks.issue_id]).await
}

pub async fn a_run_that_a_person_starts_without_an_issue_is_an_event_that_linear_never_hears_of(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let run = owner(&system, Method::POST, "/api/sessions", &json!({"prompt": "Say hello"})).await?;
    ensure!(run.status == 201, "{run:?}");
    let id = run.body["id"].as_str().context("no id")?;
    let offer = stream.offer_of(id).await?;
    let event = &offer.line["event"];
    ensure!(offer.kind() == "run_requested" && event["prompt"] == "Say hello", "{event}");
    ensure!(event["agentSession"]["id"] == id && event["agentSession"]["local"] == true, "{event}");
    finish(&worker, &[&offer]).await?;
    assert_eq!(system.activities(id).await?, Vec::<Value>::new());
    Ok(())
}

pub async fn a_run_that_a_person_starts_on_an_issue_is_one_event_though_linear_tells_of_it_too(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let mut hooks = system.new_session();
    let wish = json!({"linearIssueId": hooks.issue_id, "prompt": "Please"});
    let run = owner(&system, Method::POST, "/api/sessions", &wish).await?;
    ensure!([201, 202].contains(&run.status), "{run:?}");
    let offer = stream.offer_of(&hooks.issue_id).await?;
    ensure!(offer.kind() == "session_created", "{offer:?}");
    // Linear's own webhook about the session that the hub opened there.
    let opened = offer.line["event"]["agentSession"]["id"].as_str().context("no agent session")?;
    hooks.agent_session_id = opened.to_owned();
    system
        .send(&hooks.created_by_delegation(delivery::now_ms()))
        .await?
        .assert_outcome("Linear's own", "duplicate");
    finish(&worker, &[&offer]).await?;
    mark(&system, &mut stream, &[&hooks.issue_id]).await
}

pub async fn a_check_carries_its_result_back_in_the_done_ack(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let wish = json!({"executor": "claude"});
    let asked = owner(&system, Method::POST, "/api/codegen/test", &wish);
    let answered = async {
        let line = stream.next_of("event").await?;
        let offer = Offer::of(line)?;
        ensure!(
            offer.kind() == "check_requested" && offer.line["event"]["executor"] == "claude",
            "{offer:?}"
        );
        let result = json!({"result": {"ok": true, "version": "2.1.330"}});
        assert_eq!(worker.ack_saying(offer.seq, offer.token, "done", &result).await?, "ok");
        anyhow::Ok(())
    };
    let (asked, answered) = tokio::join!(asked, answered);
    answered?;
    let asked = asked?;
    ensure!(asked.status == 200 && asked.body["ok"] == true, "{asked:?}");
    ensure!(asked.body.to_string().contains("2.1.330"), "{asked:?}");
    Ok(())
}

pub async fn a_check_with_no_worker_on_line_says_so(system: Arc<System>) -> Result<()> {
    RawWorker::alone(&system).await?;
    let asked = owner(&system, Method::POST, "/api/codegen/test", &json!({"executor": "claude"})).await?;
    ensure!(asked.status == 200 && asked.body["ok"] == false, "{asked:?}");
    ensure!(asked.body.to_string().contains("no worker is on line"), "{asked:?}");
    Ok(())
}

pub async fn a_revoked_key_ends_its_streams_and_frees_its_sessions_at_once(
    system: Arc<System>,
) -> Result<()> {
    RawWorker::alone(&system).await?;
    let made = owner(&system, Method::POST, "/api/worker-keys", &json!({"name": "short-lived"})).await?;
    let (key, id) = (made.body["key"].as_str().context("key")?, made.body["id"].as_str().context("id")?);
    let doomed = RawWorker::under_key(&system, key, &json!({})).await?;
    let mut stream = doomed.stream().await?;
    let hooks = created(&system).await?;
    let offer = accept_next(&mut stream, &hooks).await?;
    let next = RawWorker::beside_others(&system).await?;
    let mut other = next.stream().await?;
    let revoked = owner(&system, Method::DELETE, &format!("/api/worker-keys/{id}"), &json!({})).await?;
    ensure!((200..300).contains(&revoked.status), "{revoked:?}");
    // Whatever it is told before, its stream ends.
    e2e::poll::until("the end of its stream", Duration::from_secs(10), async || {
        Ok(stream.next_telling().await?.is_none().then_some(()))
    })
    .await?;
    let moved = other.offer_of(&hooks.issue_id).await?;
    ensure!(moved.seq == offer.seq && moved.token > offer.token && moved.says("takeover"), "{moved:?}");
    for (path, body) in [
        ("/v1/workers", e2e::raw_worker::registration()),
        ("/v1/acks", json!([{"seq": offer.seq, "token": offer.token, "state": "done"}])),
        ("/v1/heartbeats", json!({"leases": [], "slots": 1, "used": 0})),
        ("/v1/workers/me/drain", json!({})),
    ] {
        doomed.post(path, &body).await?.assert_refused(path, 401, "unauthorized");
    }
    for path in ["/v1/events", "/v1/tokens/linear", "/v1/deliveries", "/v1/status"] {
        doomed.get(path).await?.assert_refused(path, 401, "unauthorized");
    }
    ensure!(crate::open::shown_of(&next, &doomed.id).await?["state"] == "revoked");
    finish(&next, &[&moved]).await
}

pub async fn a_change_of_the_configuration_is_a_line_on_every_stream_and_in_the_next_hello(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut lines) = connected(&system).await?;
    let other = RawWorker::beside_others(&system).await?;
    let mut messages = other.stream_over(Transport::WebSocket).await?;
    let before = lines.hello["configEtag"].clone();
    let repository = json!({"name": "another", "path": "/srv/another", "remote": null, "baseBranch": "main", "linearWorkspaceId": null});
    let added = worker.panel(Method::POST, "/api/repositories", &repository).await?;
    ensure!((200..300).contains(&added.status), "{added:?}");
    let etag = lines.next_of("config").await?["etag"].clone();
    ensure!(etag.is_string() && etag != before, "{before} then {etag}");
    assert_eq!(messages.next_of("config").await?["etag"], etag);
    assert_eq!(worker.heartbeat(&[]).await?["configEtag"], etag);
    drop(lines);
    assert_eq!(worker.stream().await?.hello["configEtag"], etag);
    Ok(())
}
