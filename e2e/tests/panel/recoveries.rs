//! Work of a worker that lost its lease: told under an old token, shown with its session.

use std::sync::Arc;

use anyhow::Result;
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::held::Held;
use crate::person::ask;

const PATH: &str = "/api/workers/me/recoveries";
const RUN: &str = "run_01jd0000000000000000000000";

fn told(held: &Held) -> Value {
    json!({
        "sessionKey": held.hooks.issue_id, "token": held.token, "runId": RUN, "branch": "e2e-1-recovered-ab-cd",
        "commit": "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00", "remote": "example.test/e2e/app"
    })
}

pub async fn recovered_work_is_told_under_an_old_token_and_shown_once(system: Arc<System>) -> Result<()> {
    let mut held = Held::new(&system).await?;
    let said = told(&held);
    let newer = held.take_follow_up(&system).await?;
    held.show_lease(newer).await?;
    for _ in 0..2 {
        let kept = held.worker.panel(Method::POST, PATH, &said).await?;
        assert_eq!((kept.status, &kept.body["branch"]), (200, &said["branch"]), "{kept:?}");
    }
    let mut later = said.clone();
    later["commit"] = json!("0123456789012345678901234567890123456789");
    held.worker.panel(Method::POST, PATH, &later).await?;
    let shown = system.owner_get(&format!("/api/sessions/{}", held.id)).await?;
    let all = shown["recoveries"].as_array().map(Vec::len);
    assert_eq!((all, &shown["recoveries"][0]["commit"]), (Some(1), &later["commit"]), "{shown}");
    assert_eq!(shown["recoveries"][0]["remote"], "example.test/e2e/app");
    held.token = newer;
    held.finish().await
}

pub async fn nasty_recoveries_are_refused_and_nothing_is_kept(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    for (field, value) in [
        ("branch", json!("")),
        ("branch", json!("-x")),
        ("branch", json!("a\u{0}b")),
        ("branch", json!("x".repeat(256))),
        ("commit", json!("HEAD")),
        ("commit", json!("c0ffee")),
        ("remote", json!("")),
        ("remote", json!("x".repeat(501))),
        ("sessionKey", json!("")),
        ("runId", json!("ses_01jd0000000000000000000000")),
        ("token", json!("1")),
    ] {
        let mut body = told(&held);
        body[field] = value;
        let answer = held.worker.panel(Method::POST, PATH, &body).await?;
        answer.assert_refused(&body.to_string(), 400, "invalid_request");
    }
    ask(&system, Method::POST, PATH, &told(&held)).await?.assert_refused("a person", 403, "forbidden");
    let shown = system.owner_get(&format!("/api/sessions/{}", held.id)).await?;
    assert_eq!(shown["recoveries"], json!([]));
    held.finish().await
}
