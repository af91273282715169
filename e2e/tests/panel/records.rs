//! Session records: made and changed by the lease's holder alone.

use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::delivery;
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::held::{Held, line};

pub async fn the_same_agent_session_is_one_record(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    for _ in 0..2 {
        let again = held.create(json!({"linearIssueTitle": "Another title"})).await?;
        assert_eq!((again.status, again.body["id"].as_str()), (200, Some(held.id.as_str())), "{again:?}");
        assert_eq!(again.body["linearIssueTitle"], held.hooks.title.as_str(), "a repeat changes nothing");
    }
    assert_eq!(system.sessions_of(&held.hooks.agent_session_id).await?.len(), 1);
    held.finish().await
}

pub async fn an_unknown_session_is_not_found_by_any_route(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    let other_kind = held.id.replacen("ses_", "run_", 1);
    for id in [
        "ses_01jd0000000000000000000000",
        "ses_",
        "nonsense",
        "..%2f..%2fetc",
        "' OR 1=1",
        other_kind.as_str(),
        "%00",
        "ses_01JD0000000000000000000000",
    ] {
        for path in [format!("/api/sessions/{id}"), format!("/api/sessions/{id}/logs")] {
            let url = format!("{}{path}", system.up.panel_url);
            let answer = delivery::answer(system.http.get(url).bearer_auth(&system.up.owner_api_key)).await?;
            answer.assert_refused(&path, 404, "not_found");
        }
        let update = held
            .worker
            .panel(Method::PATCH, &format!("/api/sessions/{id}"), &json!({"token": held.token}))
            .await?;
        update.assert_refused(id, 404, "not_found");
        let lines = json!({"token": held.token, "lines": [line(1, "x")]});
        let logs = held.worker.panel(Method::POST, &format!("/api/sessions/{id}/logs"), &lines).await?;
        logs.assert_refused(id, 404, "not_found");
    }
    held.finish().await
}

pub async fn nasty_texts_come_back_as_they_were(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    let nasty = [
        "'; DROP TABLE agent_sessions; --",
        "<script>alert(1)</script>",
        "\u{202e}txt.exe\u{0}",
        "漢字 😀 \u{1f468}\u{200d}\u{1f469}",
        "\\\"\n\r\t{{}}${x}$(id)`id`",
    ];
    for text in nasty {
        let made = held
            .create(json!({"agentSessionId": delivery::uuid(), "linearIssueTitle": text, "workerName": text}))
            .await?;
        assert_eq!(made.status, 201, "{made:?}");
        let id = made.body["id"].as_str().context("id")?;
        let shown = system.owner_get(&format!("/api/sessions/{id}")).await?;
        assert_eq!(
            (shown["linearIssueTitle"].as_str(), shown["workerName"].as_str()),
            (Some(text), Some(text))
        );
    }
    let long = "x".repeat(100_000);
    let updated = held
        .update(held.token, json!({"branch": nasty[0], "errorMessage": long, "status": "failed"}))
        .await?;
    assert_eq!(
        (updated.body["branch"].as_str(), updated.body["errorMessage"].as_str()),
        (Some(nasty[0]), Some(long.as_str()))
    );
    held.finish().await
}

pub async fn nasty_bodies_are_refused_and_change_nothing(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    let before = system.owner_get(&format!("/api/sessions/{}", held.id)).await?;
    let deep: Value = serde_json::from_str(&format!("{}1{}", "[".repeat(80), "]".repeat(80)))?;
    for over in [
        json!({"agentType": "wizard"}),
        json!({"token": "1"}),
        json!({"token": -1}),
        json!({"sessionKey": null}),
        json!({"linearIssueTitle": 7}),
    ] {
        held.create(over.clone()).await?.assert_refused(&over.to_string(), 400, "invalid_request");
    }
    for body in [
        json!({"status": "eaten"}),
        json!({"run": {}}),
        json!({"startedAt": "yesterday"}),
        json!({"branch": 7}),
    ] {
        held.update(held.token, body.clone()).await?.assert_refused(
            &body.to_string(),
            400,
            "invalid_request",
        );
    }
    held.update(held.token, json!({"deep": deep})).await?.assert_refused("80 deep", 400, "too_deep");
    held.update(held.token, json!({"branch": "x".repeat(2 * 1024 * 1024)})).await?.assert_refused(
        "2 MiB",
        413,
        "too_large",
    );
    assert_eq!(system.owner_get(&format!("/api/sessions/{}", held.id)).await?, before);
    held.finish().await
}

pub async fn under_an_old_token_nothing_is_written(system: Arc<System>) -> Result<()> {
    let mut held = Held::new(&system).await?;
    held.post_numbers(1..=3).await?;
    let old = held.token;
    let new = held.take_follow_up(&system).await?;
    let shown = held.show_lease(new).await?;
    assert_eq!((shown.status, &shown.body["nextSeq"]), (200, &json!(4)), "{shown:?}");
    // `held` still carries the old token in what it sends.
    held.show_lease(old).await?.assert_refused("the lease", 409, "token_stale");
    held.post_lines(&[line(4, "late")]).await?.assert_refused("lines", 409, "token_stale");
    held.update(old, json!({"status": "failed"})).await?.assert_refused("the state", 409, "token_stale");
    held.create(json!({"agentSessionId": delivery::uuid()})).await?.assert_refused(
        "a record",
        409,
        "token_stale",
    );
    let record = system.owner_get(&format!("/api/sessions/{}", held.id)).await?;
    assert_eq!((&record["status"], &record["nextSeq"]), (&json!("queued"), &json!(4)));
    held.token = new;
    held.post_numbers(4..=5).await?;
    assert_eq!(held.update(new, json!({"status": "completed"})).await?.body["status"], "completed");
    held.finish().await
}

pub async fn a_token_that_was_never_shown_writes_nothing(system: Arc<System>) -> Result<()> {
    let mut held = Held::new(&system).await?;
    for token in [held.token + 1, 0, 1 << 40] {
        held.show_lease(token).await?.assert_refused("a token nobody gave", 409, "token_stale");
        held.update(token, json!({"status": "failed"})).await?.assert_refused(
            "its state",
            409,
            "token_stale",
        );
    }
    // Given by the hub, but not shown yet: showing is the first act.
    let new = held.take_follow_up(&system).await?;
    held.update(new, json!({"status": "failed"})).await?.assert_refused(
        "before it is shown",
        409,
        "token_stale",
    );
    assert_eq!(held.show_lease(new).await?.status, 200);
    held.token = new;
    held.finish().await
}
