//! Manual runs: `POST /api/sessions` by a person.

use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::delivery::{self, Answer, uuid};
use e2e::raw_worker::RawWorker;
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::held::line;
use crate::person::{ManualRun, ask, ask_bytes, nasty_bodies, request};

async fn run(system: &System, body: &Value) -> Result<Answer> {
    ask(system, Method::POST, "/api/sessions", body).await
}

async fn run_under(system: &System, key: &str, body: &Value) -> Result<Answer> {
    let request = request(system, Method::POST, "/api/sessions").header("idempotency-key", key);
    delivery::answer(request.json(body)).await
}

async fn count(system: &System) -> Result<usize> {
    let page = system.owner_get("/api/sessions?limit=200").await?;
    Ok(page["items"].as_array().context("items")?.len())
}

pub async fn nasty_runs_are_refused_and_nothing_is_made(system: Arc<System>) -> Result<()> {
    let before = count(&system).await?;
    let issue = uuid();
    for body in [
        json!({}),
        json!({"prompt": ""}),
        json!({"prompt": " \n\t "}),
        json!({"prompt": null}),
        json!({"prompt": 7}),
        json!({"prompt": ["a"]}),
        json!({"title": "no prompt"}),
        json!({"prompt": "x", "repositoryId": "nonsense"}),
        json!({"prompt": "x", "repositoryId": "rep_01jd0000000000000000000000"}),
        json!({"prompt": "x", "repositoryId": "' OR 1=1"}),
        json!({"prompt": "x", "title": "t".repeat(1001)}),
        json!({"prompt": "x", "linearIssueIdentifier": "ENG-1"}),
        json!({"prompt": "x", "linearIssueId": "ENG-1"}),
        json!({"prompt": "x", "linearIssueId": ""}),
        json!({"linearIssueId": issue, "linearIssueIdentifier": "E".repeat(1001)}),
        json!({"linearIssueId": 7}),
    ] {
        run(&system, &body).await?.assert_refused(&body.to_string(), 400, "invalid_request");
    }
    let long = "x".repeat(64 * 1024 + 1);
    run(&system, &json!({"prompt": long})).await?.assert_refused("64 KB and one", 413, "too_large");
    let on_issue = json!({"prompt": long, "linearIssueId": issue});
    run(&system, &on_issue).await?.assert_refused("the same on an issue", 413, "too_large");
    for (body, status, code) in nasty_bodies() {
        let what = format!("{:?}", body.get(..40).unwrap_or(&body));
        ask_bytes(&system, "/api/sessions", body).await?.assert_refused(&what, status, code);
    }
    for key in ["", "\u{e9}", &"k".repeat(256)] {
        let answer = run_under(&system, key, &json!({"prompt": "x"})).await?;
        answer.assert_refused("a key that is none", 400, "invalid_request");
    }
    assert_eq!(count(&system).await?, before);
    Ok(())
}

pub async fn a_run_without_an_issue_has_its_record_first_and_reaches_a_worker(
    system: Arc<System>,
) -> Result<()> {
    // The longest prompt there may be, in the characters that take most room on the way.
    let prompt = "\u{1}".repeat(64 * 1024);
    let run = ManualRun::begin(&system, &prompt).await?;
    let event = &run.offer.line["event"];
    assert_eq!(
        (event["kind"].as_str(), event["agentSession"]["id"].as_str(), &event["agentSession"]["local"]),
        (Some("run_requested"), Some(run.id.as_str()), &json!(true)),
        "{}",
        event["kind"]
    );
    assert_eq!(event["prompt"], prompt.as_str());
    let record = system.owner_get(&format!("/api/sessions/{}", run.id)).await?;
    assert_eq!((&record["status"], &record["agentSessionId"]), (&json!("running"), &Value::Null));
    assert_eq!(record["sessionKey"], run.id.as_str());
    // A worker that records the session finds the one that is there.
    let own = json!({
        "sessionKey": run.id, "agentSessionId": run.id, "token": run.offer.token,
        "agentType": "builder", "executorType": "local", "workerName": "by hand",
    });
    let stored = run.worker.panel(Method::POST, "/api/sessions", &own).await?;
    assert_eq!(
        (stored.status, &stored.body["id"], &stored.body["workerName"]),
        (200, &json!(run.id), &json!("by hand"))
    );
    let lines = json!({"token": run.offer.token, "lines": [line(1, "hello")]});
    let logs = run.worker.panel(Method::POST, &format!("/api/sessions/{}/logs", run.id), &lines).await?;
    assert_eq!(logs.status, 200, "{logs:?}");
    // Under another id of the same form nothing is made.
    let mut other = own.clone();
    other["agentSessionId"] = json!("ses_01jd0000000000000000000000");
    run.worker.panel(Method::POST, "/api/sessions", &other).await?.assert_refused(
        "no such run",
        404,
        "not_found",
    );
    run.set("completed").await?;
    run.done().await
}

pub async fn one_idempotency_key_is_one_run_however_often_it_is_sent(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let (key, wish) = (uuid(), json!({"prompt": "Add a note", "title": "Once"}));
    let (first, second, third) = tokio::join!(
        run_under(&system, &key, &wish),
        run_under(&system, &key, &wish),
        run_under(&system, &key, &wish)
    );
    let id = first?.body["id"].as_str().context("id")?.to_owned();
    for answer in [second?, third?, run_under(&system, &key, &wish).await?] {
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        assert_eq!(answer.body["id"], id.as_str());
    }
    let other = run_under(&system, &key, &json!({"prompt": "Something else"})).await?;
    other.assert_refused("another run under the same key", 409, "not_possible");
    let offer = stream.offer_of(&id).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    // What comes next is another run, not this one again.
    let next = run(&system, &wish).await?;
    let next = next.body["id"].as_str().context("id")?;
    assert_ne!(next, id);
    let offer = stream.only(next, std::slice::from_ref(&id)).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    Ok(())
}

pub async fn a_run_on_an_issue_opens_one_agent_session_in_linear(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let (issue, key) = (uuid(), uuid());
    let wish = json!({"linearIssueId": issue, "linearIssueIdentifier": "MAN-1", "title": "By hand"});
    let made = run_under(&system, &key, &wish).await?;
    assert_eq!(made.status, 201, "{made:?}");
    let agent_session = made.body["agentSessionId"].as_str().context("agentSessionId")?.to_owned();
    assert_eq!(
        (&made.body["sessionKey"], &made.body["linearIssueIdentifier"], &made.body["status"]),
        (&json!(issue), &json!("MAN-1"), &json!("queued"))
    );
    let again = run_under(&system, &key, &wish).await?;
    assert_eq!((again.status, &again.body["id"]), (200, &made.body["id"]), "{again:?}");
    let offer = stream.offer_of(&issue).await?;
    let event = &offer.line["event"];
    assert_eq!(
        (&event["kind"], &event["agentSession"]["id"]),
        (&json!("session_created"), &json!(agent_session)),
        "{event}"
    );
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    assert_eq!(system.sessions_of(&agent_session).await?.len(), 1);
    Ok(())
}

pub async fn a_run_that_linear_does_not_open_yet_is_queued_and_holds_nothing_back(
    system: Arc<System>,
) -> Result<()> {
    let faults = format!("{}/_test/faults", system.up.linear_url);
    let fault = json!({"operation": "agentSessionCreateOnIssue", "kind": "http_500", "times": 100});
    assert_eq!(system.http.post(&faults).json(&fault).send().await?.status(), 200);
    let (key, wish) = (uuid(), json!({"linearIssueId": uuid(), "prompt": "Go on"}));
    let queued = run_under(&system, &key, &wish).await?;
    let made = ask(&system, Method::POST, "/api/worker-keys", &json!({"name": "behind it"})).await?;
    assert_eq!(system.http.delete(&faults).send().await?.status(), 200);
    assert_eq!((queued.status, &queued.body["queued"]), (202, &json!(true)), "{queued:?}");
    assert!(queued.body["commandId"].is_string(), "{queued:?}");
    assert_eq!((made.status, &made.body["active"]), (201, &json!(true)), "{made:?}");
    // Asked again, it is tried again, and Linear opens one session for both.
    let begun = run_under(&system, &key, &wish).await?;
    assert_eq!(begun.status, 200, "{begun:?}");
    let again = run_under(&system, &key, &wish).await?;
    assert_eq!(begun.body["id"], again.body["id"]);
    let stop = ask(
        &system,
        Method::POST,
        &format!("/api/sessions/{}/stop", begun.body["id"].as_str().context("id")?),
        &json!({}),
    )
    .await?;
    assert_eq!(stop.status, 202, "{stop:?}");
    Ok(())
}

pub async fn a_run_that_the_hub_refuses_for_good_is_told_and_holds_nothing_back(
    system: Arc<System>,
) -> Result<()> {
    let (name, remote) = (format!("r-{}", uuid()), format!("example.test/{}", uuid()));
    let elsewhere = json!({"name": name, "path": "/tmp", "remote": remote, "linearWorkspaceId": uuid()});
    let repository = ask(&system, Method::POST, "/api/repositories", &elsewhere).await?;
    assert_eq!(repository.status, 201, "{repository:?}");
    let (key, wish) = (uuid(), json!({"linearIssueId": uuid(), "repositoryId": repository.body["id"]}));
    for _ in 0..2 {
        let refused = run_under(&system, &key, &wish).await?;
        refused.assert_refused("a workspace that nobody connected", 404, "not_connected");
    }
    let made = ask(&system, Method::POST, "/api/worker-keys", &json!({"name": "behind it"})).await?;
    assert_eq!((made.status, &made.body["active"]), (201, &json!(true)), "{made:?}");
    Ok(())
}
