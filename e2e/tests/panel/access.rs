//! Who may do what, by key.

use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::delivery::{self, Answer};
use e2e::raw_worker::{RawWorker, registration};
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

async fn ask(
    system: &System,
    method: Method,
    path: &str,
    key: Option<&str>,
    body: Option<&Value>,
) -> Result<Answer> {
    let mut request = system.http.request(method, format!("{}{path}", system.up.panel_url));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    delivery::answer(request).await
}

const PAGES: [&str; 8] = [
    "/api/me",
    "/api/overview",
    "/api/sessions",
    "/api/repositories",
    "/api/workers",
    "/api/worker-keys",
    "/api/deliveries",
    "/api/status",
];
const SESSION: &str = "/api/sessions/ses_01jd0000000000000000000000";

pub async fn the_owner_sees_who_they_are_and_every_first_page(system: Arc<System>) -> Result<()> {
    let me = system.owner_get("/api/me").await?;
    assert_eq!(me["role"], "owner");
    assert!(me["organizationId"].as_str().is_some_and(|id| id.starts_with("org_")), "{me}");
    for path in PAGES {
        let page = system.owner_get(path).await?;
        let is_list = !["/api/me", "/api/overview", "/api/status"].contains(&path);
        assert!(!is_list || (page["items"].is_array() && page.get("next").is_some()), "{path}: {page}");
    }
    Ok(())
}

pub async fn strangers_are_refused(system: Arc<System>) -> Result<()> {
    let good = &system.up.owner_api_key;
    let changed = format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    let keys = [
        None,
        Some(""),
        Some("x"),
        Some(changed.as_str()),
        Some("' OR '1'='1"),
        Some(system.up.webhook_secrets.linear.as_str()),
    ];
    for key in keys {
        for path in PAGES.into_iter().chain([SESSION]) {
            let answer = ask(&system, Method::GET, path, key, None).await?;
            answer.assert_refused(&format!("{path} as {key:?}"), 401, "unauthorized");
        }
        let answer = ask(&system, Method::POST, "/api/worker-keys", key, Some(&json!({"name": "x"}))).await?;
        answer.assert_refused("a key for a stranger", 401, "unauthorized");
        let answer =
            ask(&system, Method::POST, "/setup", key, Some(&json!({"organizationName": "x"}))).await?;
        answer.assert_refused("set-up by a stranger", 401, "unauthorized");
    }
    Ok(())
}

pub async fn a_worker_key_cannot_do_what_people_do(system: Arc<System>) -> Result<()> {
    let key = Some(system.up.worker_key.as_str());
    let answer =
        ask(&system, Method::POST, "/api/worker-keys", key, Some(&json!({"name": "another"}))).await?;
    answer.assert_refused("a worker that makes a key", 403, "forbidden");
    let answer = ask(&system, Method::POST, "/setup", key, Some(&json!({"organizationName": "x"}))).await?;
    answer.assert_refused("a worker that sets up", 401, "unauthorized");
    assert_eq!(ask(&system, Method::GET, "/api/me", key, None).await?.body["role"], "worker");
    Ok(())
}

pub async fn a_persons_key_cannot_do_what_workers_do(system: Arc<System>) -> Result<()> {
    let key = Some(system.up.owner_api_key.as_str());
    let log = format!("{SESSION}/logs");
    let new = json!({"sessionKey": "k", "token": 0, "agentType": "builder", "executorType": "local", "workerName": "me"});
    let cases = [
        (Method::PUT, "/api/leases/some-issue", json!({"token": 1})),
        (Method::PATCH, SESSION, json!({"token": 1, "status": "completed"})),
        (Method::POST, log.as_str(), json!({"token": 1, "lines": []})),
    ];
    for (method, path, body) in cases {
        let answer = ask(&system, method, path, key, Some(&body)).await?;
        answer.assert_refused(path, 403, "forbidden");
    }
    // A person's own route is another thing (a manual run); what must not happen is a worker's record.
    let before = system.owner_get("/api/sessions").await?["items"].clone();
    let answer = ask(&system, Method::POST, "/api/sessions", key, Some(&new)).await?;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(system.owner_get("/api/sessions").await?["items"], before);
    // Nor does it open the proxy.
    let url = format!("{}/v1/tokens/linear", system.up.proxy_url);
    delivery::answer(system.http.get(url).bearer_auth(&system.up.owner_api_key)).await?.assert_refused(
        "a token",
        401,
        "unauthorized",
    );
    Ok(())
}

pub async fn a_new_worker_key_works_at_the_proxy_at_once(system: Arc<System>) -> Result<()> {
    let made = ask(
        &system,
        Method::POST,
        "/api/worker-keys",
        Some(&system.up.owner_api_key),
        Some(&json!({"name": "second"})),
    )
    .await?;
    assert_eq!((made.status, &made.body["active"]), (201, &json!(true)), "{made:?}");
    let key = made.body["key"].as_str().context("key")?;
    let register = system
        .http
        .post(format!("{}/v1/workers", system.up.proxy_url))
        .bearer_auth(key)
        .json(&registration());
    let answer = delivery::answer(register).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    // A worker of one key is unknown to another key.
    let worker = RawWorker::beside_others(&system).await?;
    let stream = system
        .http
        .get(format!("{}/v1/events", system.up.proxy_url))
        .bearer_auth(key)
        .header("cyrus-worker", &worker.id);
    delivery::answer(stream).await?.assert_refused("another key's worker", 404, "worker_unknown");
    Ok(())
}

pub async fn unknown_paths_and_wrong_methods_get_a_problem_document(system: Arc<System>) -> Result<()> {
    let key = Some(system.up.owner_api_key.as_str());
    for path in ["/api/nothing", "/api/sessions/a/b/c", "/api/../api/nothing"] {
        ask(&system, Method::GET, path, key, None).await?.assert_refused(path, 404, "not_found");
    }
    for (method, path) in [
        (Method::DELETE, "/api/sessions"),
        (Method::PUT, "/api/me"),
        (Method::PATCH, "/api/worker-keys"),
        (Method::POST, "/api/status"),
        (Method::GET, "/api/codegen/test"),
        (Method::POST, SESSION),
    ] {
        ask(&system, method, path, key, None).await?.assert_refused(path, 405, "method_not_allowed");
    }
    Ok(())
}
