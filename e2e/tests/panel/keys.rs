//! Worker keys: listed without their text, revoked for good.

use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::delivery;
use e2e::raw_worker::registration;
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::person::{ask, ask_bytes, look, nasty_bodies};

async fn listed(system: &System, id: &str) -> Result<Option<Value>> {
    let mut cursor = String::new();
    loop {
        let page = system.owner_get(&format!("/api/worker-keys?limit=2{cursor}")).await?;
        let items = page["items"].as_array().context("items")?;
        assert!(items.len() <= 2);
        if let Some(found) = items.iter().find(|key| key["id"] == id) {
            return Ok(Some(found.clone()));
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(None),
        }
    }
}

pub async fn a_revoked_key_opens_nothing_any_more(system: Arc<System>) -> Result<()> {
    let made = ask(&system, Method::POST, "/api/worker-keys", &json!({"name": "to go"})).await?;
    assert_eq!(made.status, 201, "{made:?}");
    let (id, key) = (made.body["id"].as_str().context("id")?, made.body["key"].as_str().context("key")?);
    let shown = listed(&system, id).await?.context("it is listed")?;
    assert_eq!(
        (&shown["name"], &shown["state"], &shown["revokedAt"]),
        (&json!("to go"), &json!("active"), &Value::Null)
    );
    let register = async || {
        let url = format!("{}/v1/workers", system.up.proxy_url);
        delivery::answer(system.http.post(url).bearer_auth(key).json(&registration())).await
    };
    assert_eq!(register().await?.status, 200);
    for _ in 0..2 {
        let path = format!("/api/worker-keys/{id}");
        let revoked = ask(&system, Method::DELETE, &path, &Value::Null).await?;
        assert_eq!((revoked.status, &revoked.body["state"]), (200, &json!("revoked")), "{revoked:?}");
        assert!(revoked.body["revokedAt"].is_string());
    }
    register().await?.assert_refused("the proxy", 401, "unauthorized");
    let me = system.http.get(format!("{}/api/me", system.up.panel_url)).bearer_auth(key);
    delivery::answer(me).await?.assert_refused("the panel", 401, "unauthorized");
    assert_eq!(listed(&system, id).await?.context("it stays listed")?["state"], "revoked");
    Ok(())
}

pub async fn no_list_of_keys_holds_a_key(system: Arc<System>) -> Result<()> {
    let text = look(&system, "/api/worker-keys?limit=200").await?.body.to_string();
    let hash = shared::digest::sha256_hex(system.up.worker_key.as_bytes());
    let secret = system.up.worker_key.rsplit('_').next().unwrap_or_default();
    assert!(text.contains("key_") && secret.len() > 16);
    assert!(!text.contains(secret) && !text.contains(&hash) && !text.contains("cyw_"), "{text}");
    // An owner's own key is no worker key.
    assert!(!text.contains("owner, made by set-up"), "{text}");
    Ok(())
}

pub async fn nasty_ids_and_bodies_revoke_and_make_nothing(system: Arc<System>) -> Result<()> {
    let before = system.owner_get("/api/worker-keys?limit=200").await?;
    for id in
        ["key_01jd0000000000000000000000", "nonsense", "%00", "' OR 1=1", "ses_01jd0000000000000000000000"]
    {
        let path = format!("/api/worker-keys/{id}");
        ask(&system, Method::DELETE, &path, &Value::Null).await?.assert_refused(&path, 404, "not_found");
        let url = format!("{}{path}", system.up.panel_url);
        let worker = system.http.delete(url).bearer_auth(&system.up.worker_key);
        delivery::answer(worker).await?.assert_refused(&path, 403, "forbidden");
    }
    let list = system.http.get(format!("{}/api/worker-keys", system.up.panel_url));
    let list = delivery::answer(list.bearer_auth(&system.up.worker_key)).await?;
    list.assert_refused("a worker that lists keys", 403, "forbidden");
    for query in ["limit=0", "limit=x", "cursor=x", "cursor=1.ses_01jd0000000000000000000000", "cursor="] {
        let answer = look(&system, &format!("/api/worker-keys?{query}")).await?;
        answer.assert_refused(query, 400, "invalid_request");
    }
    for (body, status, code) in nasty_bodies() {
        let what = format!("{:?}", body.get(..40).unwrap_or(&body));
        ask_bytes(&system, "/api/worker-keys", body).await?.assert_refused(&what, status, code);
    }
    assert_eq!(system.owner_get("/api/worker-keys?limit=200").await?, before);
    Ok(())
}
