//! Session records: made and changed by the lease's holder alone.

use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::delivery::{self, Answer, uuid};
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

/// `POST /api/sessions` of the lease's holder under an `Idempotency-Key`, with some fields laid over the usual ones.
async fn create_under(system: &System, held: &Held, key: &str, over: Value) -> Result<Answer> {
    let mut body = json!({
        "sessionKey": held.hooks.issue_id, "token": held.token, "linearIssueTitle": "Once",
        "agentType": "builder", "executorType": "local", "workerName": "by hand",
    });
    for (name, value) in over.as_object().into_iter().flatten() {
        body[name.as_str()] = value.clone();
    }
    let url = format!("{}/api/sessions", system.up.panel_url);
    let request = system.http.post(url).bearer_auth(&held.worker.key).header("idempotency-key", key);
    delivery::answer(request.json(&body)).await
}

/// The ids of all sessions under the lease's key.
async fn ids_of(system: &System, held: &Held) -> Result<Vec<String>> {
    let page = system.owner_get("/api/sessions?limit=200").await?;
    let items = page["items"].as_array().context("items")?;
    let own = items.iter().filter(|item| item["sessionKey"] == held.hooks.issue_id.as_str());
    Ok(own.filter_map(|item| item["id"].as_str()).map(str::to_owned).collect())
}

pub async fn one_idempotency_key_of_a_worker_is_one_record_however_often_it_is_sent(
    system: Arc<System>,
) -> Result<()> {
    let mut held = Held::new(&system).await?;
    let key = uuid();
    let (first, second, third) = tokio::join!(
        create_under(&system, &held, &key, json!({})),
        create_under(&system, &held, &key, json!({})),
        create_under(&system, &held, &key, json!({}))
    );
    let answers = [first?, second?, third?];
    let mut statuses = answers.each_ref().map(|answer| answer.status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 201], "{answers:?}");
    let id = answers[0].body["id"].as_str().context("id")?;
    assert!(answers.iter().all(|answer| answer.body["id"] == id), "{answers:?}");
    // The token proves the lease and is no part of what is asked.
    held.token = held.take_follow_up(&system).await?;
    assert_eq!(held.show_lease(held.token).await?.status, 200);
    let again = create_under(&system, &held, &key, json!({})).await?;
    assert_eq!((again.status, again.body["id"].as_str()), (200, Some(id)), "{again:?}");
    for over in [
        json!({"linearIssueTitle": "Another"}),
        json!({"workerName": "another"}),
        json!({"agentSessionId": uuid()}),
        json!({"agentSessionId": held.hooks.agent_session_id}),
    ] {
        let other = create_under(&system, &held, &key, over.clone()).await?;
        other.assert_refused(&over.to_string(), 409, "not_possible");
    }
    let next = create_under(&system, &held, &uuid(), json!({})).await?;
    let next_id = next.body["id"].as_str().context("id")?;
    assert!(next.status == 201 && next_id != id, "{next:?}");
    let mut made = ids_of(&system, &held).await?;
    let mut expected = vec![held.id.clone(), id.to_owned(), next_id.to_owned()];
    made.sort_unstable();
    expected.sort_unstable();
    assert_eq!(made, expected);
    held.finish().await
}

pub async fn a_key_and_an_agent_session_that_is_known_give_the_known_record(
    system: Arc<System>,
) -> Result<()> {
    let held = Held::new(&system).await?;
    let (key, known) = (uuid(), json!({"agentSessionId": held.hooks.agent_session_id}));
    for _ in 0..2 {
        let joined = create_under(&system, &held, &key, known.clone()).await?;
        assert_eq!((joined.status, joined.body["id"].as_str()), (200, Some(held.id.as_str())), "{joined:?}");
    }
    let other = create_under(&system, &held, &key, json!({"agentSessionId": uuid()})).await?;
    other.assert_refused("another agent session under the same key", 409, "not_possible");
    assert_eq!(ids_of(&system, &held).await?, std::slice::from_ref(&held.id));
    held.finish().await
}

pub async fn a_refused_request_does_not_use_its_idempotency_key_up(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    for key in ["", "\u{e9}", &"k".repeat(256)] {
        let answer = create_under(&system, &held, key, json!({})).await?;
        answer.assert_refused("a key that is none", 400, "invalid_request");
    }
    let key = uuid();
    let stale = create_under(&system, &held, &key, json!({"token": held.token + 1})).await?;
    stale.assert_refused("a token that was never given", 409, "token_stale");
    let wrong = create_under(&system, &held, &key, json!({"agentType": "wizard"})).await?;
    wrong.assert_refused("a kind that is none", 400, "invalid_request");
    let unknown = json!({"agentSessionId": "ses_01jd0000000000000000000000"});
    let unknown = create_under(&system, &held, &key, unknown).await?;
    unknown.assert_refused("a run that nobody began", 404, "not_found");
    let made = create_under(&system, &held, &key, json!({})).await?;
    assert_eq!(made.status, 201, "{made:?}");
    // A person's run under the same key is another thing.
    let url = format!("{}/api/sessions", system.up.panel_url);
    let request = system.http.post(url).bearer_auth(&system.up.owner_api_key).header("idempotency-key", &key);
    let run = delivery::answer(request.json(&json!({"prompt": "Never mind"}))).await?;
    assert!(run.status == 201 && run.body["id"] != made.body["id"], "{run:?}");
    let stop =
        format!("{}/api/sessions/{}/stop", system.up.panel_url, run.body["id"].as_str().context("id")?);
    let stop = delivery::answer(system.http.post(stop).bearer_auth(&system.up.owner_api_key)).await?;
    assert_eq!(stop.status, 202, "{stop:?}");
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
