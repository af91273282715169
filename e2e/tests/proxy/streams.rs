//! Registration and the event stream, spoken by hand.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::delivery::{self, now_ms};
use e2e::raw_worker::{RawWorker, registration};
use e2e::system::System;
use serde_json::json;

pub async fn a_stream_says_hello_first_and_then_shows_that_it_lives(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let hello = stream.hello.clone();
    assert_eq!((&hello["workerId"], &hello["protocol"]), (&json!(worker.id), &json!(2)), "{hello}");
    assert_eq!((&hello["leases"], &hello["accepted"]), (&json!([]), &json!([])), "{hello}");
    assert_eq!(
        (&hello["intervals"]["heartbeatLineMs"], &hello["intervals"]["offerMs"]),
        (&json!(1000), &json!(4000))
    );
    assert!(hello["serverTime"].as_str().is_some_and(|time| time.ends_with('Z')), "{hello}");
    // A quiet stream beats.
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        let line = stream.next().await?.context("the stream ended")?;
        assert_eq!(line, json!({"type": "heartbeat"}));
    }
    assert!(begun.elapsed() > Duration::from_millis(1900), "three beats within {:?}", begun.elapsed());
    Ok(())
}

pub async fn an_event_that_waits_is_offered_as_soon_as_a_stream_opens(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let hooks = system.new_session();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("nobody on line", "stored");
    let mut stream = worker.stream().await?;
    let offer = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!((offer.attempt, offer.token), (1, 1));
    assert_eq!((&offer.line["takeover"], &offer.line["ask"]), (&json!(false), &json!(false)));
    let event = &offer.line["event"];
    assert_eq!(event["kind"], "session_created");
    assert_eq!(event["workspaceId"], system.up.linear_organization_id.as_str());
    assert_eq!(event["agentSession"]["id"], hooks.agent_session_id.as_str());
    assert_eq!(event["agentSession"]["issue"]["identifier"], hooks.identifier.as_str());
    assert_eq!(event["agentSession"]["issue"]["title"], hooks.title.as_str());
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    Ok(())
}

pub async fn a_second_stream_of_a_worker_closes_the_first_with_replaced(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut first = worker.stream().await?;
    let mut second = worker.stream().await?;
    assert_eq!(first.next_telling().await?, Some(json!({"type": "replaced"})));
    assert_eq!(first.next_telling().await?, None, "the first stream ends");
    // The second one lives, and offers come on it.
    let hooks = system.new_session();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("for the second", "stored");
    let offer = second.offer_of(&hooks.issue_id).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    Ok(())
}

pub async fn an_unknown_key_and_no_key_are_refused(system: Arc<System>) -> Result<()> {
    let good = &system.up.worker_key;
    let unknown = format!(
        "{}{}",
        &good[..good.len() - 8],
        if good.ends_with("00000000") { "11111111" } else { "00000000" }
    );
    let upper = good.to_uppercase();
    let keys = [
        ("unknown", unknown.as_str()),
        ("upper-case", &upper),
        ("short", "cyw_x"),
        ("empty", ""),
        ("the owner's", &system.up.owner_api_key),
    ];
    for (what, key) in keys {
        for (method, path) in [
            ("POST", "/v1/workers"),
            ("GET", "/v1/events"),
            ("POST", "/v1/acks"),
            ("POST", "/v1/heartbeats"),
            ("GET", "/v1/tokens/linear"),
        ] {
            let method = reqwest::Method::from_bytes(method.as_bytes())?;
            let mut request = system
                .http
                .request(method.clone(), format!("{}{path}", system.up.proxy_url))
                .bearer_auth(key);
            if method == reqwest::Method::POST {
                request = request.json(&registration());
            }
            let answer = delivery::answer(request).await?;
            answer.assert_refused(&format!("{what} key at {path}"), 401, "unauthorized");
            assert!(key.is_empty() || !answer.body.to_string().contains(key), "a key is never repeated");
        }
    }
    let bare = delivery::answer(system.http.get(format!("{}/v1/events", system.up.proxy_url))).await?;
    bare.assert_refused("no key", 401, "unauthorized");
    Ok(())
}

pub async fn a_worker_that_never_registered_is_told_to(system: Arc<System>) -> Result<()> {
    for id in ["wrk_01jd0000000000000000000000", "nonsense", "' OR 1=1 --"] {
        let request = system.http.get(format!("{}/v1/events", system.up.proxy_url));
        let request = request.bearer_auth(&system.up.worker_key).header("cyrus-worker", id);
        delivery::answer(request).await?.assert_refused(id, 404, "worker_unknown");
    }
    Ok(())
}

pub async fn another_protocol_is_refused_with_the_version_to_install(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    for protocol in [0, 3, 99] {
        let mut other = registration();
        other["protocol"] = json!(protocol);
        let answer = worker.post("/v1/workers", &other).await?;
        answer.assert_refused("another protocol", 426, "protocol_unsupported");
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains(&protocol.to_string()) && detail.contains(env!("CARGO_PKG_VERSION")),
            "{detail}"
        );
    }
    Ok(())
}

pub async fn nasty_registrations_and_acks_are_refused_without_harm(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    for nasty in [
        json!(null),
        json!([]),
        json!({}),
        json!("x"),
        json!({"name": 1}),
        json!({"name": "x", "version": "0", "protocol": -1, "slots": 1}),
    ] {
        worker.post("/v1/workers", &nasty).await?.assert_refused(&nasty.to_string(), 400, "invalid_request");
    }
    for nasty in [
        json!(null),
        json!({}),
        json!([1]),
        json!([{"seq": -1, "token": 1, "state": "done"}]),
        json!([{"seq": 1, "token": 1, "state": "eaten"}]),
    ] {
        worker.post("/v1/acks", &nasty).await?.assert_refused(&nasty.to_string(), 400, "invalid_request");
    }
    let huge = json!([{"seq": 1, "token": 1, "state": "retry", "reason": "x".repeat(2 * 1024 * 1024)}]);
    worker.post("/v1/acks", &huge).await?.assert_refused("2 MiB of ack", 413, "too_large");
    assert_eq!(worker.acks(&json!([])).await?, json!([]));
    worker.stream().await.map(drop)
}

pub async fn the_linear_token_goes_to_a_worker_key_alone(system: Arc<System>) -> Result<()> {
    let url = format!("{}/v1/tokens/linear", system.up.proxy_url);
    let answer = delivery::answer(system.http.get(&url).bearer_auth(&system.up.worker_key)).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["workspaceId"], system.up.linear_organization_id.as_str());
    let of = async |workspace: &str| {
        let asked = system.http.get(format!("{url}?workspaceId={workspace}"));
        delivery::answer(asked.bearer_auth(&system.up.worker_key)).await
    };
    assert_eq!(of(&system.up.linear_organization_id).await?.body, answer.body);
    of("another").await?.assert_refused("a workspace that is not connected", 404, "not_connected");
    let long = "x".repeat(129);
    for nasty in ["", "a%20b", "%27--", "%00", long.as_str()] {
        of(nasty).await?.assert_refused(nasty, 400, "invalid_request");
    }
    // It is one that the stand-in takes.
    let api = answer.body["apiUrl"].as_str().context("apiUrl")?;
    let query = system.http.post(api).json(&json!({"query": "query { viewer { id } }"}));
    let told = delivery::answer(
        query.header("authorization", answer.body["authorization"].as_str().context("authorization")?),
    )
    .await?;
    assert_eq!(told.body["data"]["viewer"]["id"], system.up.linear_app_user_id.as_str(), "{told:?}");
    Ok(())
}
