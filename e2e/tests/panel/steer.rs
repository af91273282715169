//! What a person tells a session: feedback, answers, stop, retry.

use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::delivery::Answer;
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::held::Held;
use crate::person::{ManualRun, ask, ask_bytes, look, nasty_bodies};

const VERBS: [&str; 4] = ["feedback", "answers", "stop", "retry"];

fn assert_taken(answer: &Answer) -> String {
    assert_eq!((answer.status, &answer.body["confirmed"]), (202, &json!(true)), "{answer:?}");
    let id = answer.body["commandId"].as_str().unwrap_or_default();
    assert!(id.starts_with("cmd_"), "{answer:?}");
    id.to_owned()
}

async fn status(system: &System, id: &str) -> Result<Value> {
    Ok(system.owner_get(&format!("/api/sessions/{id}")).await?["status"].clone())
}

pub async fn nobody_can_tell_an_unknown_session_anything(system: Arc<System>) -> Result<()> {
    for id in ["ses_01jd0000000000000000000000", "nonsense", "%00", "' OR 1=1", "..%2fetc"] {
        for verb in VERBS {
            let path = format!("/api/sessions/{id}/{verb}");
            let body = json!({"text": "x", "value": "x"});
            ask(&system, Method::POST, &path, &body).await?.assert_refused(&path, 404, "not_found");
            let get = look(&system, &path).await?;
            get.assert_refused(&path, 405, "method_not_allowed");
        }
    }
    let answer = ask(&system, Method::POST, "/api/sessions/x/dance", &json!({})).await?;
    answer.assert_refused("a verb that is none", 404, "not_found");
    Ok(())
}

pub async fn nasty_words_are_refused_and_reach_nobody(system: Arc<System>) -> Result<()> {
    let mut run = ManualRun::begin(&system, "Add a note").await?;
    run.set("awaiting_input").await?;
    let long = "x".repeat(64 * 1024 + 1);
    for text in [json!(null), json!(""), json!(" \n"), json!(7), json!(["x"]), json!({"a": 1})] {
        let answer = run.tell(&system, "feedback", &json!({"text": text})).await?;
        answer.assert_refused(&text.to_string(), 400, "invalid_request");
    }
    for value in [json!(null), json!(""), json!("\t"), json!([1]), json!({"a": 1})] {
        let answer = run.tell(&system, "answers", &json!({"value": value})).await?;
        answer.assert_refused(&value.to_string(), 400, "invalid_request");
    }
    for (verb, name) in [("feedback", "text"), ("answers", "value"), ("retry", "text")] {
        let answer = run.tell(&system, verb, &json!({name: long})).await?;
        answer.assert_refused(verb, 413, "too_large");
    }
    for verb in VERBS {
        for (body, code_status, code) in nasty_bodies() {
            let what = format!("{verb}: {:?}", body.get(..40).unwrap_or(&body));
            let answer = ask_bytes(&system, &format!("/api/sessions/{}/{verb}", run.id), body).await?;
            answer.assert_refused(&what, code_status, code);
        }
    }
    for verb in ["feedback", "answers"] {
        let answer = run.tell(&system, verb, &json!({})).await?;
        answer.assert_refused(verb, 400, "invalid_request");
        // A worker's key is not a person.
        let path = format!("/api/sessions/{}/{verb}", run.id);
        let answer = run.worker.panel(Method::POST, &path, &json!({"text": "x", "value": "x"})).await?;
        answer.assert_refused(verb, 403, "forbidden");
    }
    // The next event is the good one.
    assert_taken(&run.tell(&system, "answers", &json!({"value": 42})).await?);
    let offer = run.stream.offer_of(&run.id).await?;
    assert_eq!(offer.line["event"]["text"], "42");
    run.worker.ack(offer.seq, offer.token, "done").await?;
    run.done().await
}

pub async fn feedback_reaches_the_worker_of_a_linear_session(system: Arc<System>) -> Result<()> {
    let mut held = Held::new(&system).await?;
    let path = format!("/api/sessions/{}/feedback", held.id);
    let text = "Use tabs \u{1f600}; '--";
    let answer = ask(&system, Method::POST, &path, &json!({"text": text})).await?;
    let command = assert_taken(&answer);
    let offer = held.stream.offer_of(&held.hooks.issue_id).await?;
    let event = &offer.line["event"];
    assert_eq!(
        (&event["kind"], &event["fromPanel"], &event["text"], &event["deliveryId"]),
        (&json!("session_prompted"), &json!(true), &json!(text), &json!(command)),
        "{event}"
    );
    assert_eq!(event["agentSession"]["id"], held.hooks.agent_session_id.as_str());
    assert_eq!(event["agentSession"]["issue"]["identifier"], held.hooks.identifier.as_str());
    assert_eq!(
        event["workspaceId"],
        system.up.linear_organization_id.as_str(),
        "the hub knows the session's own"
    );
    assert!(event["agentSession"].get("local").is_none(), "{event}");
    assert_eq!(offer.token, held.token, "within the lease");
    held.worker.ack(offer.seq, offer.token, "done").await?;
    held.finish().await
}

pub async fn what_a_session_cannot_take_now_is_refused_with_a_reason(system: Arc<System>) -> Result<()> {
    let run = ManualRun::begin(&system, "Add a note").await?;
    let refused = async |state: &str, verbs: &[&str]| -> Result<()> {
        run.set(state).await?;
        for verb in verbs {
            let answer = run.tell(&system, verb, &json!({"text": "x", "value": "x"})).await?;
            answer.assert_refused(&format!("{verb} while {state}"), 409, "not_possible");
        }
        Ok(())
    };
    for state in ["queued", "running", "verifying"] {
        refused(state, &["answers", "retry"]).await?;
    }
    refused("awaiting_input", &["retry"]).await?;
    refused("parked", &["retry"]).await?;
    refused("completed", &["answers", "stop"]).await?;
    refused("failed", &["answers", "stop", "feedback"]).await?;
    refused("stopped", &["answers", "stop", "feedback"]).await?;
    assert_eq!(status(&system, &run.id).await?, "stopped", "a refusal changes nothing");
    run.done().await
}

pub async fn feedback_to_a_completed_session_resumes_it(system: Arc<System>) -> Result<()> {
    let mut run = ManualRun::begin(&system, "Add a note").await?;
    run.set("completed").await?;
    run.done().await?;
    assert_taken(&run.tell(&system, "feedback", &json!({"text": "One more"})).await?);
    run.offer = run.stream.offer_of(&run.id).await?;
    let event = &run.offer.line["event"];
    assert_eq!((&event["kind"], &event["text"]), (&json!("session_prompted"), &json!("One more")));
    run.take().await?;
    run.set("completed").await?;
    run.done().await
}

pub async fn a_retry_is_a_new_run_of_the_same_session_and_two_at_once_are_one(
    system: Arc<System>,
) -> Result<()> {
    let mut run = ManualRun::begin(&system, "Add a note").await?;
    run.set("failed").await?;
    run.done().await?;
    let (nothing, words) = (json!({}), json!({"text": "Look at the tests"}));
    let (one, two) = tokio::join!(run.tell(&system, "retry", &words), run.tell(&system, "retry", &nothing));
    let (one, two) = (one?, two?);
    let mut answers = [one.status, two.status];
    answers.sort_unstable();
    assert_eq!(answers, [202, 409], "{one:?} {two:?}");
    run.offer = run.stream.offer_of(&run.id).await?;
    let event = &run.offer.line["event"];
    assert_eq!(event["kind"], "run_requested");
    let prompt = event["prompt"].as_str().context("prompt")?;
    assert!(prompt.starts_with("Add a note"), "{prompt}");
    assert_eq!(prompt.contains("Look at the tests"), one.status == 202);
    run.take().await?;
    run.set("completed").await?;
    run.done().await?;
    assert_eq!(system.owner_get(&format!("/api/sessions/{}", run.id)).await?["errorMessage"], Value::Null);
    Ok(())
}

pub async fn a_stop_overtakes_a_run_that_nobody_began(system: Arc<System>) -> Result<()> {
    let worker = e2e::raw_worker::RawWorker::register(&system).await?;
    let made = ask(&system, Method::POST, "/api/sessions", &json!({"prompt": "Never mind"})).await?;
    let id = made.body["id"].as_str().context("id")?.to_owned();
    let stopped = ask_bytes(&system, &format!("/api/sessions/{id}/stop"), "").await?;
    assert_taken(&stopped);
    assert_eq!(status(&system, &id).await?, "stopped");
    let again = ask_bytes(&system, &format!("/api/sessions/{id}/stop"), "").await?;
    again.assert_refused("a second stop", 409, "not_possible");
    // Whoever comes is not given the run; the stop itself may come.
    let mut stream = worker.stream().await?;
    let later = ask(&system, Method::POST, "/api/sessions", &json!({"prompt": "Something"})).await?;
    let later = later.body["id"].as_str().context("id")?.to_owned();
    loop {
        let line = stream.next_telling().await?.context("the stream ended")?;
        if line["type"] != "event" {
            continue;
        }
        let (seq, token) = (line["seq"].as_u64().context("seq")?, line["token"].as_u64().context("token")?);
        assert!(line["sessionKey"] != id.as_str() || line["event"]["kind"] == "session_stopped", "{line}");
        worker.ack(seq, token, "done").await?;
        if line["sessionKey"] == later.as_str() {
            return Ok(());
        }
    }
}
