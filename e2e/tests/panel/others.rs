//! Who may see and do what: another organization (invariant P1), and roles that may do less than an owner.

use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::delivery::{self, Answer, uuid};
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};
use shared::digest::sha256_hex;
use shared::id::{KeyId, OrgId, new_uuid};
use shared::time::Timestamp;

use crate::database::run_sql;
use crate::held::{Held, line};

fn fresh() -> uuid::Uuid {
    let mut random = [0; 10];
    random.iter_mut().zip(uuid::Uuid::new_v4().into_bytes()).for_each(|(to, from)| *to = from);
    new_uuid(Timestamp::from_millis(delivery::now_ms()), random)
}

fn key_row(org: &str, role: &str) -> (String, Value) {
    let key = format!("cyp_{}", sha256_hex(uuid().as_bytes()));
    let id = KeyId::from_uuid(fresh()).to_string();
    let text = "INSERT INTO api_keys (hash, id, organization_id, kind, role, name, created_at) VALUES (?, ?, ?, 'person', ?, ?, ?)";
    let row = json!([text, [sha256_hex(key.as_bytes()), id, org, role, role, delivery::now_ms()]]);
    (key, row)
}

/// A key of the system's own organization with this role.
async fn with_role(system: &System, role: &str) -> Result<String> {
    let me = system.owner_get("/api/me").await?;
    let (key, row) = key_row(me["organizationId"].as_str().context("organizationId")?, role);
    run_sql(system, json!([row])).await?;
    Ok(key)
}

/// The owner's key of a new organization.
pub async fn another_organization(system: &System) -> Result<String> {
    let org = OrgId::from_uuid(fresh()).to_string();
    let (key, row) = key_row(&org, "owner");
    // Set-up takes the oldest organization, which stays the system's own.
    let made = json!([
        "INSERT INTO organizations (id, name, created_at) VALUES (?, 'Others', ?)",
        [org, delivery::now_ms()]
    ]);
    run_sql(system, json!([made, row])).await?;
    Ok(key)
}

async fn by(system: &System, key: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
    let mut request = system.http.request(method, format!("{}{path}", system.up.panel_url)).bearer_auth(key);
    if let Some(body) = body {
        request = request.json(body);
    }
    delivery::answer(request).await
}

pub async fn another_organization_sees_and_changes_nothing(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    held.post_numbers(1..=2).await?;
    let keys = system.owner_get("/api/worker-keys").await?;
    let key_id = keys["items"][0]["id"].as_str().context("a key")?.to_owned();
    let deliveries = system.owner_get(&format!("/api/deliveries?sessionKey={}", held.hooks.issue_id)).await?;
    let event = deliveries["items"][0]["id"].as_str().context("an event")?.to_owned();
    let repository = &system.up.repositories.first().context("a repository")?.id;
    let record = system.owner_get(&format!("/api/sessions/{}", held.id)).await?;

    let other = another_organization(&system).await?;
    let get = async |path: &str| by(&system, &other, Method::GET, path, None).await;
    for list in ["sessions", "repositories", "workers", "worker-keys", "deliveries"] {
        let page = get(&format!("/api/{list}")).await?;
        assert_eq!((page.status, &page.body["items"]), (200, &json!([])), "{list}: {page:?}");
    }
    let overview = get("/api/overview").await?.body;
    assert!(overview.as_object().context("numbers")?.values().all(|number| *number == 0), "{overview}");
    let status = get("/api/status").await?.body;
    assert_eq!((&status["workers"], &status["queue"]["accepted"]), (&json!([]), &json!(0)), "{status}");
    let session = format!("/api/sessions/{}", held.id);
    for path in [session.clone(), format!("{session}/logs")] {
        get(&path).await?.assert_refused(&path, 404, "not_found");
    }
    let words = json!({"text": "x", "value": "x"});
    for verb in ["feedback", "answers", "stop", "retry"] {
        let told = by(&system, &other, Method::POST, &format!("{session}/{verb}"), Some(&words)).await?;
        told.assert_refused(verb, 404, "not_found");
    }
    for id in [&event, &held.hooks.issue_id] {
        for verb in ["replay", "dismiss"] {
            let path = format!("/api/deliveries/{id}/{verb}");
            by(&system, &other, Method::POST, &path, None).await?.assert_refused(&path, 404, "not_found");
        }
    }
    let path = format!("/api/worker-keys/{key_id}");
    by(&system, &other, Method::DELETE, &path, None).await?.assert_refused("a key", 404, "not_found");
    let run = json!({"prompt": "x", "repositoryId": repository});
    let run = by(&system, &other, Method::POST, "/api/sessions", Some(&run)).await?;
    run.assert_refused("a run in a repository of others", 400, "invalid_request");

    // Nor by a worker's key of theirs, which knows the token.
    let made = by(&system, &other, Method::POST, "/api/worker-keys", Some(&json!({"name": "x"}))).await?;
    let worker = made.body["key"].as_str().context("key")?;
    let token = json!({"token": held.token});
    let lease = format!("/api/leases/{}", held.hooks.issue_id);
    let lease = by(&system, worker, Method::PUT, &lease, Some(&token)).await?;
    lease.assert_refused("the lease", 409, "token_stale");
    let update = json!({"token": held.token, "status": "failed"});
    let update = by(&system, worker, Method::PATCH, &session, Some(&update)).await?;
    update.assert_refused("the record", 404, "not_found");
    let lines = json!({"token": held.token, "lines": [line(3, "x")]});
    let lines = by(&system, worker, Method::POST, &format!("{session}/logs"), Some(&lines)).await?;
    lines.assert_refused("lines", 404, "not_found");

    assert_eq!(system.owner_get(&session).await?, record);
    assert_eq!(system.owner_get("/api/worker-keys").await?, keys);
    held.finish().await
}

pub async fn one_idempotency_key_in_two_organizations_is_two_runs(system: Arc<System>) -> Result<()> {
    let other = another_organization(&system).await?;
    let (key, url) = (uuid(), format!("{}/api/sessions", system.up.panel_url));
    let mut ids = Vec::new();
    for owner in [system.up.owner_api_key.as_str(), other.as_str()] {
        let request = system.http.post(&url).bearer_auth(owner).header("idempotency-key", &key);
        let made = delivery::answer(request.json(&json!({"prompt": "Never mind"}))).await?;
        assert_eq!(made.status, 201, "{made:?}");
        let id = made.body["id"].as_str().context("id")?.to_owned();
        let stop = by(&system, owner, Method::POST, &format!("/api/sessions/{id}/stop"), None).await?;
        assert_eq!(stop.status, 202, "{stop:?}");
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1]);
    by(&system, &other, Method::GET, &format!("/api/sessions/{}", ids[0]), None).await?.assert_refused(
        "the other's run",
        404,
        "not_found",
    );
    Ok(())
}

pub async fn a_viewer_looks_and_an_operator_revokes_no_key(system: Arc<System>) -> Result<()> {
    let (viewer, operator) = (with_role(&system, "viewer").await?, with_role(&system, "operator").await?);
    let pages = ["sessions", "repositories", "workers", "worker-keys", "deliveries", "status", "overview"];
    for page in pages {
        let answer = by(&system, &viewer, Method::GET, &format!("/api/{page}"), None).await?;
        assert_eq!(answer.status, 200, "{page}: {answer:?}");
    }
    let session = "/api/sessions/ses_01jd0000000000000000000000";
    let writes = [
        (Method::POST, "/api/sessions".to_owned()),
        (Method::POST, format!("{session}/feedback")),
        (Method::POST, format!("{session}/answers")),
        (Method::POST, format!("{session}/stop")),
        (Method::POST, format!("{session}/retry")),
        (Method::POST, "/api/deliveries/evt_01jd0000000000000000000000/replay".to_owned()),
        (Method::POST, "/api/deliveries/evt_01jd0000000000000000000000/dismiss".to_owned()),
        (Method::POST, "/api/codegen/test".to_owned()),
        (Method::POST, "/api/repositories".to_owned()),
        (Method::POST, "/api/worker-keys".to_owned()),
        (Method::DELETE, "/api/worker-keys/key_01jd0000000000000000000000".to_owned()),
    ];
    let body = json!({"prompt": "x", "text": "x", "value": "x", "name": "x", "path": "/tmp"});
    for (method, path) in writes {
        by(&system, &viewer, method, &path, Some(&body)).await?.assert_refused(&path, 403, "forbidden");
    }
    let made = by(&system, &operator, Method::POST, "/api/worker-keys", Some(&json!({"name": "x"}))).await?;
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/api/worker-keys/{}", made.body["id"].as_str().context("id")?);
    by(&system, &operator, Method::DELETE, &path, None).await?.assert_refused(
        "an operator",
        403,
        "forbidden",
    );
    let admin = with_role(&system, "admin").await?;
    assert_eq!(by(&system, &admin, Method::DELETE, &path, None).await?.status, 200);
    Ok(())
}

pub async fn a_command_that_nobody_can_read_holds_nothing_back(system: Arc<System>) -> Result<()> {
    let org = system.owner_get("/api/me").await?["organizationId"].clone();
    // As another version of the panel may have left them: no JSON, no order, an order that no hub takes.
    let row = "INSERT INTO hub_outbox (id, organization_id, command, created_at) VALUES (?, ?, ?, ?)";
    let rows: Vec<Value> = ["", "{}", "{\"id\":\"x\",\"order\":{\"kind\":\"dance\"}}"]
        .iter()
        .map(|text| json!([row, [format!("cmd_{}", uuid()), org, text, 1]]))
        .collect();
    run_sql(&system, json!(rows)).await?;
    // The next command goes out behind them at once.
    let key = system.up.owner_api_key.as_str();
    let made = by(&system, key, Method::POST, "/api/worker-keys", Some(&json!({"name": "x"}))).await?;
    assert_eq!((made.status, &made.body["active"]), (201, &json!(true)), "{made:?}");
    Ok(())
}
