//! `/api/deliveries` and `/api/status`: what people see of the hub.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use e2e::delivery::{self, now_ms};
use e2e::raw_worker::{RawStream, RawWorker};
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::held::Held;
use crate::others::another_organization;
use crate::person::{ask, look};

/// A delivery that a worker gave back until it was given up, as the panel shows it.
async fn dead_letter(system: &System, worker: &RawWorker, stream: &mut RawStream) -> Result<Value> {
    let hooks = system.new_session();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    let back = json!({"reason": "the disk is full", "afterMs": 1});
    for _ in 0..10 {
        let offer = stream.offer_of(&hooks.issue_id).await?;
        assert_eq!(worker.ack(offer.seq, offer.token, "accepted").await?, "ok");
        assert_eq!(worker.ack_saying(offer.seq, offer.token, "retry", &back).await?, "ok");
        let page = system.owner_get(&format!("/api/deliveries?sessionKey={}", hooks.issue_id)).await?;
        if page["items"][0]["state"] == "dead" {
            return Ok(page["items"][0].clone());
        }
    }
    bail!("it was given back ten times and is no dead letter")
}

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
        ("cursor", "cursor=9007199254740993"),
        ("seq", "seq="),
        ("seq", "seq=-1"),
        ("seq", "seq=1.5"),
        ("seq", "seq=1%20OR%201=1"),
        ("seq", "seq=evt_01jd0000000000000000000000"),
        ("seq", "seq=9007199254740993"),
        ("seq", "seq=99999999999999999999"),
    ];
    for (name, query) in nasty {
        let answer = look(&system, &format!("/api/deliveries?{query}")).await?;
        answer.assert_refused(query, 400, "invalid_request");
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(name), "{query}: {detail}");
    }
    for fine in ["", "limit=1", "limit=200", "state=dead", "sessionKey=%27--", "seq=0", "other=1"] {
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

pub async fn a_dismissed_dead_letter_says_so_until_it_is_replayed(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let dead = dead_letter(&system, &worker, &mut stream).await?;
    assert!(dead.get("dismissed").is_none(), "{dead}");
    let (id, key) = (dead["id"].as_str().context("id")?, dead["sessionKey"].as_str().context("key")?);
    let (replay, dismiss) = (format!("/api/deliveries/{id}/replay"), format!("/api/deliveries/{id}/dismiss"));
    for _ in 0..2 {
        let dismissed = ask(&system, Method::POST, &dismiss, &Value::Null).await?;
        assert_eq!(
            (dismissed.status, &dismissed.body["state"], &dismissed.body["dismissed"]),
            (200, &json!("dead"), &json!(true)),
            "{dismissed:?}"
        );
    }
    let (by_key, by_number) = (format!("sessionKey={key}"), format!("seq={}", dead["seq"]));
    for filter in [&by_key, &by_number] {
        let people = system.owner_get(&format!("/api/deliveries?{filter}")).await?;
        let workers = worker.get(&format!("/v1/deliveries?{filter}")).await?.body;
        for page in [people, workers] {
            assert_eq!(page["items"][0]["dismissed"], true, "{filter}: {page}");
        }
    }
    let among_the_dead = system.owner_get(&format!("/api/deliveries?{by_key}&state=dead")).await?;
    assert_eq!(among_the_dead["items"], json!([]));
    // A person may think better of it.
    let replayed = ask(&system, Method::POST, &replay, &Value::Null).await?;
    assert_eq!(replayed.status, 200, "{replayed:?}");
    assert!(replayed.body["state"] != "dead" && replayed.body.get("dismissed").is_none(), "{replayed:?}");
    let again = stream.offer_of(key).await?;
    assert_eq!((json!(again.seq), again.attempt), (dead["seq"].clone(), 1), "{again:?}");
    assert_eq!(worker.ack(again.seq, again.token, "done").await?, "ok");
    Ok(())
}

pub async fn one_delivery_is_found_by_its_number_whatever_came_after_it(system: Arc<System>) -> Result<()> {
    let mut held = Held::new(&system).await?;
    let later = system.new_session();
    system.send(&later.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    let next = held.stream.offer_of(&later.issue_id).await?;
    let number = format!("seq={}", held.seq);
    // A page that it is not on.
    let newest = system.owner_get("/api/deliveries?limit=1").await?;
    assert_eq!(newest["items"][0]["seq"], next.seq, "{newest}");
    let found = system.owner_get(&format!("/api/deliveries?{number}")).await?;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(
        (&found["items"][0]["sessionKey"], &found["next"]),
        (&json!(held.hooks.issue_id), &Value::Null)
    );
    let by_worker = held.worker.get(&format!("/v1/deliveries?{number}")).await?;
    assert_eq!((by_worker.status, &by_worker.body), (200, &found));
    let refused = held.worker.get("/v1/deliveries?seq=9007199254740993").await?;
    refused.assert_refused("a number that is none", 400, "invalid_request");
    for none in
        [format!("{number}&state=dead"), format!("{number}&sessionKey=x"), "seq=9007199254740991".to_owned()]
    {
        let page = system.owner_get(&format!("/api/deliveries?{none}")).await?;
        assert_eq!((&page["items"], &page["next"]), (&json!([]), &Value::Null), "{none}");
    }
    // Each organization has numbers of its own.
    let other = another_organization(&system).await?;
    let request = system.http.get(format!("{}/api/deliveries?{number}", system.up.panel_url));
    let theirs = delivery::answer(request.bearer_auth(&other)).await?;
    assert_eq!((theirs.status, &theirs.body["items"]), (200, &json!([])), "{theirs:?}");
    assert_eq!(held.worker.ack(next.seq, next.token, "done").await?, "ok");
    held.finish().await
}
