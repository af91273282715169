//! `/api/deliveries` and `/api/status`: what people see of the hub.

use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::held::Held;
use crate::person::{ask, look};

pub async fn a_filter_that_is_none_is_refused_by_name(system: Arc<System>) -> Result<()> {
    let long = "x".repeat(300);
    let long_key = format!("sessionKey={long}");
    let nasty = [
        ("limit", "limit=0"),
        ("limit", "limit=201"),
        ("limit", "limit=-1"),
        ("limit", "limit="),
        ("limit", "limit=1e2"),
        ("limit", "limit=99999999999999999999"),
        ("state", "state="),
        ("state", "state=Dead"),
        ("state", "state=dead'--"),
        ("state", "state=dead,done"),
        ("workerId", "workerId=x"),
        ("workerId", "workerId="),
        ("workerId", "workerId=ses_01jd0000000000000000000000"),
        ("sessionKey", "sessionKey="),
        ("sessionKey", "sessionKey=a%00b"),
        ("sessionKey", long_key.as_str()),
        ("agentSessionId", "agentSessionId="),
        ("agentSessionId", "agentSessionId=%0a"),
        ("cursor", "cursor="),
        ("cursor", "cursor=nonsense"),
        ("cursor", "cursor=%27%20OR%201=1"),
    ];
    for (name, query) in nasty {
        let answer = look(&system, &format!("/api/deliveries?{query}")).await?;
        answer.assert_refused(query, 400, "invalid_request");
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(name), "{query}: {detail}");
    }
    for fine in ["", "limit=1", "limit=200", "state=dead", "sessionKey=%27--", "other=1"] {
        let page = system.owner_get(&format!("/api/deliveries?{fine}")).await?;
        assert!(page["items"].is_array() && page.get("next").is_some(), "{fine}: {page}");
    }
    Ok(())
}

pub async fn each_delivery_of_a_session_is_shown_with_its_way(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    let by_key = format!("/api/deliveries?sessionKey={}", held.hooks.issue_id);
    let page = system.owner_get(&by_key).await?;
    let items = page["items"].as_array().context("items")?;
    assert_eq!(items.len(), 1, "{page}");
    let record = &items[0];
    assert_eq!(
        (&record["state"], &record["kind"], &record["workerId"], &record["token"]),
        (&json!("accepted"), &json!("session_created"), &json!(held.worker.id), &json!(held.token))
    );
    assert!(record["acceptedAt"].is_string() && record["endedAt"].is_null(), "{record}");
    for filter in [
        format!("agentSessionId={}", held.hooks.agent_session_id),
        format!("sessionKey={}&state=accepted&workerId={}", held.hooks.issue_id, held.worker.id),
    ] {
        let found = system.owner_get(&format!("/api/deliveries?{filter}")).await?;
        assert_eq!(found["items"][0]["id"], record["id"], "{filter}");
    }
    let none = system.owner_get(&format!("{by_key}&state=dead")).await?;
    assert_eq!(none["items"], json!([]));
    let id = record["id"].as_str().context("id")?.to_owned();
    held.worker.ack(held.seq, held.token, "done").await?;
    assert_eq!(system.owner_get(&by_key).await?["items"][0]["state"], "done");
    let again = ask(&system, Method::POST, &format!("/api/deliveries/{id}/replay"), &Value::Null).await?;
    again.assert_refused("what is done", 409, "not_replayable");
    held.finish().await
}

pub async fn unknown_deliveries_are_neither_replayed_nor_dismissed(system: Arc<System>) -> Result<()> {
    let long = "x".repeat(300);
    for id in ["evt_01jd0000000000000000000000", "nonsense", "%27%20OR%201=1", "%ff", "%00", long.as_str()] {
        for verb in ["replay", "dismiss"] {
            let path = format!("/api/deliveries/{id}/{verb}");
            ask(&system, Method::POST, &path, &Value::Null).await?.assert_refused(&path, 404, "not_found");
            let get = look(&system, &path).await?;
            get.assert_refused(&path, 405, "method_not_allowed");
            let url = format!("{}{path}", system.up.panel_url);
            let worker = system.http.post(url).bearer_auth(&system.up.worker_key);
            e2e::delivery::answer(worker).await?.assert_refused(&path, 403, "forbidden");
        }
    }
    Ok(())
}

pub async fn the_status_counts_workers_and_what_waits(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    let status = system.owner_get("/api/status").await?;
    let own = |list: &Value| {
        list.as_array().into_iter().flatten().find(|worker| worker["id"] == held.worker.id.as_str()).cloned()
    };
    let worker = own(&status["workers"]).context("this worker")?;
    assert_eq!((&worker["state"], &worker["slots"]), (&json!("working"), &json!(8)), "{worker}");
    assert!(status["queue"]["accepted"].as_u64() >= Some(1), "{status}");
    assert!(status["oldestUndoneMs"].is_u64() && status["wakes"]["requests"].as_u64() >= Some(1), "{status}");
    let listed = own(&system.owner_get("/api/workers").await?["items"]).context("this worker")?;
    assert_eq!(
        (&listed["weight"], &listed["queue"], &listed["strikes"]),
        (&json!(1), &json!(1), &json!(0)),
        "{listed}"
    );
    held.finish().await
}
