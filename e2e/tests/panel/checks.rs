//! `POST /api/codegen/test`: an executor is tried by a worker.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::raw_worker::{RawStream, RawWorker};
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::person::{ask, ask_bytes, nasty_bodies};

const PATH: &str = "/api/codegen/test";

/// Answers the next check with this result.
async fn answer_check(stream: &mut RawStream, result: &Value) -> Result<Value> {
    loop {
        let line = stream.next_telling().await?.context("the stream ended")?;
        let Some(seq) = line["seq"].as_u64() else { continue };
        if line["event"]["kind"] != "check_requested" {
            stream.worker.ack(seq, line["token"].as_u64().context("token")?, "done").await?;
            continue;
        }
        let ack = json!([{"seq": seq, "token": line["token"], "state": "done", "result": result}]);
        assert_eq!(stream.worker.acks(&ack).await?, json!(["ok"]));
        return Ok(line["event"].clone());
    }
}

pub async fn nasty_checks_are_refused(system: Arc<System>) -> Result<()> {
    for executor in
        [json!(""), json!("a b"), json!("x;rm"), json!("x".repeat(65)), json!(7), json!(["claude"])]
    {
        let answer = ask(&system, Method::POST, PATH, &json!({"executor": executor})).await?;
        answer.assert_refused(&executor.to_string(), 400, "invalid_request");
    }
    for (body, status, code) in nasty_bodies() {
        let what = format!("{:?}", body.get(..40).unwrap_or(&body));
        ask_bytes(&system, PATH, body).await?.assert_refused(&what, status, code);
    }
    let url = format!("{}{PATH}", system.up.panel_url);
    let worker = e2e::delivery::answer(system.http.post(url).bearer_auth(&system.up.worker_key)).await?;
    worker.assert_refused("a worker that asks", 403, "forbidden");
    Ok(())
}

pub async fn with_no_worker_on_line_a_check_says_so_at_once(system: Arc<System>) -> Result<()> {
    // Registered, but without a stream: nobody is on line.
    RawWorker::register(&system).await?;
    let answer = ask_bytes(&system, PATH, "").await?;
    assert_eq!(
        (answer.status, &answer.body),
        (200, &json!({"ok": false, "reason": "no worker is on line"})),
        "{answer:?}"
    );
    assert!(answer.took < Duration::from_secs(5), "{answer:?}");
    Ok(())
}

pub async fn a_workers_result_comes_back_as_it_gave_it(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let result = json!({"ok": true, "version": "1.2.3", "note": "<b>\u{1f600}</b>"});
    let (answer, event) = tokio::join!(ask_bytes(&system, PATH, ""), answer_check(&mut stream, &result));
    let (answer, event) = (answer?, event?);
    assert_eq!(
        (&event["executor"], &event["agentSession"]["local"]),
        (&json!("codegen"), &json!(true)),
        "{event}"
    );
    assert_eq!((answer.status, &answer.body), (200, &json!({"ok": true, "result": result})), "{answer:?}");
    let bad = json!({"ok": false, "reason": "no credential"});
    let named = json!({"executor": "claude"});
    let (answer, event) =
        tokio::join!(ask(&system, Method::POST, PATH, &named), answer_check(&mut stream, &bad));
    assert_eq!(event?["executor"], "claude");
    assert_eq!(answer?.body, json!({"ok": false, "result": bad}));
    Ok(())
}
