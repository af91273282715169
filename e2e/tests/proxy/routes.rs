//! Every refusal on every `/v1` route is a problem document with a stable code, short, and without what was sent.

use std::sync::Arc;

use anyhow::{Result, ensure};
use e2e::delivery::{self, Answer};
use e2e::raw_worker::{RawWorker, registration};
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::open::mark;

/// Every route with the method that it takes.
const ROUTES: [(&str, &str); 9] = [
    ("POST", "/v1/workers"),
    ("GET", "/v1/events"),
    ("POST", "/v1/acks"),
    ("POST", "/v1/heartbeats"),
    ("POST", "/v1/workers/me/drain"),
    ("GET", "/v1/tokens/linear"),
    ("GET", "/v1/deliveries"),
    ("POST", "/v1/deliveries/evt_01jd0000000000000000000000/replay"),
    ("GET", "/v1/status"),
];

async fn send(
    system: &System,
    method: &str,
    path: &str,
    key: Option<&str>,
    worker: Option<&str>,
) -> Result<Answer> {
    let method = Method::from_bytes(method.as_bytes())?;
    let mut request = system.http.request(method.clone(), format!("{}{path}", system.up.proxy_url));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    if let Some(worker) = worker {
        request = request.header("cyrus-worker", worker);
    }
    if method == Method::POST && path == "/v1/workers" {
        request = request.json(&registration());
    }
    delivery::answer(request).await
}

fn short(what: &str, answer: &Answer) {
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    assert!(detail.len() <= 500, "{what}: {} bytes of detail: {}…", detail.len(), &detail[..200]);
}

pub async fn every_route_refuses_other_methods_and_names_the_right_one(system: Arc<System>) -> Result<()> {
    for (method, path) in ROUTES {
        for other in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            if other == method {
                continue;
            }
            let what = format!("{other} {path}");
            let answer = send(&system, other, path, Some(&system.up.worker_key), None).await?;
            answer.assert_refused(&what, 405, "method_not_allowed");
            assert_eq!(answer.allow.as_deref(), Some(method), "{what}");
        }
    }
    Ok(())
}

pub async fn every_route_wants_a_worker_key_that_the_hub_knows(system: Arc<System>) -> Result<()> {
    let good = &system.up.worker_key;
    let last = if good.ends_with('0') { "1" } else { "0" };
    let changed = format!("{}{last}", &good[..good.len() - 1]);
    let mut other = good.clone();
    // Another organization's, well formed.
    other.replace_range(4..30, "01jd0000000000000000000000");
    let keys = [
        None,
        Some(""),
        Some("cyw_"),
        Some("null"),
        Some(changed.as_str()),
        Some(other.as_str()),
        Some(system.up.owner_api_key.as_str()),
    ];
    for (method, path) in ROUTES {
        for key in keys {
            let answer = send(&system, method, path, key, None).await?;
            let what = format!("{path} with {key:?}");
            answer.assert_refused(&what, 401, "unauthorized");
            ensure!(
                key.is_none_or(|key| key.len() < 10 || !answer.body.to_string().contains(key)),
                "{what}: {answer:?}"
            );
        }
    }
    let request = system.http.get(format!("{}/v1/status", system.up.proxy_url));
    let basic = delivery::answer(request.basic_auth("cyrus", Some(good))).await?;
    basic.assert_refused("Basic instead of Bearer", 401, "unauthorized");
    Ok(())
}

pub async fn a_worker_that_the_key_never_registered_is_unknown_to_every_route_that_wants_one(
    system: Arc<System>,
) -> Result<()> {
    for id in
        ["wrk_01jd0000000000000000000000", "nonsense", "' OR 1=1 --", "ses_01jd0000000000000000000000", "*"]
    {
        for (method, path) in [("GET", "/v1/events"), ("POST", "/v1/workers/me/drain")] {
            let answer = send(&system, method, path, Some(&system.up.worker_key), Some(id)).await?;
            answer.assert_refused(&format!("{path} as {id}"), 404, "worker_unknown");
        }
    }
    Ok(())
}

pub async fn nothing_of_the_hubs_own_interface_is_reachable_from_outside(system: Arc<System>) -> Result<()> {
    for path in [
        "/workers",
        "/workers/list",
        "/deliveries",
        "/deliveries/list",
        "/deliveries/replay",
        "/commands",
        "/leases/check",
        "/connections/linear",
        "/events",
        "/acks",
        "/v1/",
        "/v1",
        "/v1/commands",
        "/v1/workers/list",
        "/v1/leases/check",
        "/v1/deliveries/list",
        "/v1/deliveries/x/eat",
        "/v1/deliveries//replay",
        "/v1/workers/me",
        "/v1/tokens",
        "/v1/tokens/gitlab",
        "/v1/acks/",
        "/v1/acks/1",
        "/V1/acks",
        "/v1//acks",
        "/v1/events/..%2f..%2fcommands",
        "/",
        "/v2/events",
    ] {
        for method in ["GET", "POST"] {
            let answer = send(&system, method, path, Some(&system.up.worker_key), None).await?;
            answer.assert_refused(&format!("{method} {path}"), 404, "not_found");
        }
    }
    Ok(())
}

pub async fn nasty_bodies_are_refused_on_every_route_with_a_short_reason_and_change_nothing(
    system: Arc<System>,
) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let long = "x".repeat(200_000);
    let raw: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("a word", b"hello".to_vec()),
        ("half", b"{\"name\":".to_vec()),
        ("not UTF-8", b"{\"name\":\"\xff\xfe\"}".to_vec()),
        ("truncated UTF-8", b"{\"name\":\"\xe2\x82".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("NUL", vec![0; 100]),
        ("two documents", b"{}{}".to_vec()),
        ("null", b"null".to_vec()),
        ("a number", b"1e400".to_vec()),
        ("200,000 brackets", vec![b'['; 200_000]),
        ("65 deep", [vec![b'['; 65], vec![b']'; 65]].concat()),
        ("a text of 200,000", format!("\"{long}\"").into_bytes()),
    ];
    for path in ["/v1/workers", "/v1/acks", "/v1/heartbeats"] {
        for (what, body) in &raw {
            let request = worker
                .request(Method::POST, path)
                .header("content-type", "application/json")
                .body(body.clone());
            let answer = delivery::answer(request).await?;
            let what = format!("{what} at {path}");
            ensure!(
                ["invalid_request", "not_json", "too_deep"].contains(&answer.code()),
                "{what}: {answer:?}"
            );
            answer.assert_refused(&what, 400, answer.code());
            short(&what, &answer);
        }
        let huge = worker.request(Method::POST, path).body(vec![b' '; 2 * 1024 * 1024]);
        delivery::answer(huge).await?.assert_refused(&format!("2 MiB at {path}"), 413, "too_large");
    }
    let shapes: Vec<(&str, Value)> = vec![
        ("/v1/workers", json!([])),
        ("/v1/workers", json!({"name": "x"})),
        ("/v1/workers", said(json!({"workerId": "ses_01jd0000000000000000000000"}))),
        ("/v1/workers", said(json!({"workerId": long}))),
        ("/v1/workers", said(json!({"slots": -1}))),
        ("/v1/workers", said(json!({"slots": 0}))),
        ("/v1/workers", said(json!({"slots": u32::MAX}))),
        ("/v1/workers", said(json!({"teams": vec!["T"; 1_001]}))),
        ("/v1/workers", said(json!({"repositories": ["r".repeat(301)]}))),
        ("/v1/workers", said(json!({"slots": 4_294_967_296_u64}))),
        ("/v1/workers", said(json!({"slots": 1.5}))),
        ("/v1/workers", said(json!({"weight": "1"}))),
        ("/v1/workers", said(json!({"teams": "ENG"}))),
        ("/v1/workers", said(json!({"repositories": [null]}))),
        ("/v1/workers", said(json!({"name": null}))),
        ("/v1/acks", json!({})),
        ("/v1/acks", json!([null])),
        ("/v1/acks", json!([{"seq": 1}])),
        ("/v1/acks", json!(vec![json!({"seq": 1, "token": 1, "state": "done"}); 1_001])),
        ("/v1/acks", json!([{"seq": -1, "token": 1, "state": "done"}])),
        ("/v1/acks", json!([{"seq": 1.5, "token": 1, "state": "done"}])),
        ("/v1/acks", json!([{"seq": "1", "token": 1, "state": "done"}])),
        ("/v1/acks", json!([{"seq": 1, "token": 1, "state": "eaten"}])),
        ("/v1/acks", json!([{"seq": 1, "token": 1, "state": long}])),
        ("/v1/acks", json!([{"seq": 1, "token": 1, "state": "retry", "reason": 7}])),
        ("/v1/acks", json!([{"seq": 1, "token": 1, "state": "retry", "afterMs": -1}])),
        ("/v1/heartbeats", json!([])),
        ("/v1/heartbeats", json!({"leases": {}, "slots": 1, "used": 0})),
        ("/v1/heartbeats", json!({"leases": [{"sessionKey": 7, "token": 1}], "slots": 1, "used": 0})),
        ("/v1/heartbeats", json!({"leases": [{"sessionKey": "k"}], "slots": 1, "used": 0})),
        ("/v1/heartbeats", json!({"leases": [], "slots": 1, "used": -1})),
        ("/v1/heartbeats", json!({"leases": [], "used": 0})),
    ];
    for (path, body) in shapes {
        let answer = worker.post(path, &body).await?;
        let what = format!("{path} {}", body.to_string().chars().take(120).collect::<String>());
        answer.assert_refused(&what, 400, "invalid_request");
        short(&what, &answer);
    }
    // Numbers at the ends of their range are sound and mean nothing here.
    for seq in [0, u64::from(u32::MAX), 1 << 53, (1 << 63) - 1, 1 << 63, u64::MAX] {
        let answer = worker.acks(&json!([{"seq": seq, "token": u64::MAX, "state": "done"}])).await?;
        assert_eq!(answer, json!(["unknown"]), "{seq}");
    }
    let claims =
        [("", 1), ("\0", u64::MAX), ("' OR 1=1 --", 1 << 63)].map(|(key, token)| (key.to_owned(), token));
    let lost = worker.heartbeat(&claims).await?;
    assert_eq!(lost["lost"].as_array().map(Vec::len), Some(3), "{lost}");
    let mut stream = worker.stream().await?;
    mark(&system, &mut stream, &[]).await
}

fn said(over: Value) -> Value {
    let mut said = registration();
    for (name, value) in over.as_object().into_iter().flatten() {
        said[name.as_str()] = value.clone();
    }
    said
}

pub async fn nasty_registrations_that_are_sound_are_taken_as_they_are(system: Arc<System>) -> Result<()> {
    for over in [
        json!({"slots": 1, "weight": 0}),
        json!({"slots": 10_000, "weight": u32::MAX}),
        json!({"name": "\u{202e}<script>\0'; --", "teams": ["", "\0"], "repositories": ["../../etc"]}),
        json!({"later": {"unknown": [1, null]}}),
    ] {
        let worker = RawWorker::as_said(&system, &over).await?;
        let shown = crate::open::shown(&worker).await?;
        let name = over["name"].as_str().unwrap_or("by hand");
        ensure!(shown["name"] == name && shown["state"] == "offline", "{over}: {shown}");
    }
    Ok(())
}

pub async fn nasty_queries_of_deliveries_are_refused_and_sound_ones_page_through_all(
    system: Arc<System>,
) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    for _ in 0..3 {
        mark(&system, &mut stream, &[]).await?;
    }
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "limit=99999999999999999999",
        "state=eaten",
        "state=DONE",
        "cursor=nonsense",
        "cursor=%00",
        "cursor=-1",
        "workerId=nonsense",
        "workerId=ses_01jd0000000000000000000000",
    ] {
        let answer = worker.get(&format!("/v1/deliveries?{query}")).await?;
        answer.assert_refused(query, 400, "invalid_request");
        short(query, &answer);
    }
    for query in [
        "sessionKey=%27%20OR%201%3D1",
        "agentSessionId=nobody",
        "sessionKey=%00",
        "state=cancelled&sessionKey=x",
    ] {
        let answer = worker.get(&format!("/v1/deliveries?{query}")).await?;
        ensure!(answer.status == 200 && answer.body["items"] == json!([]), "{query}: {answer:?}");
    }
    let (mut seqs, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = worker.get(&format!("/v1/deliveries?state=done&limit=2{cursor}")).await?;
        ensure!(page.status == 200, "{page:?}");
        let items = page.body["items"].as_array().cloned().unwrap_or_default();
        ensure!(items.len() <= 2, "{page:?}");
        seqs.extend(items.iter().filter_map(|item| item["seq"].as_u64()));
        match page.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut sorted = seqs.clone();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    sorted.dedup();
    ensure!(seqs.len() >= 3 && seqs == sorted, "newest first, each once: {seqs:?}");
    Ok(())
}
