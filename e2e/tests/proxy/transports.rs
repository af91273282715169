//! NDJSON and WebSocket: the same lines on the same URL.

use std::sync::Arc;

use anyhow::{Result, ensure};
use e2e::delivery::{now_ms, uuid};
use e2e::raw_worker::{RawWorker, Transport};
use e2e::system::System;
use serde_json::{Value, json};

use crate::open::{accept_next, connected, created, finish, mark, stopped};

fn without_token(line: &Value) -> Value {
    let mut line = line.clone();
    line["token"] = Value::Null;
    line
}

pub async fn both_transports_carry_the_same_lines(system: Arc<System>) -> Result<()> {
    let (worker, mut lines) = connected(&system).await?;
    let hooks = created(&system).await?;
    let by_line = lines.offer_of(&hooks.issue_id).await?;
    drop(lines);
    let mut messages = worker.stream_over(Transport::WebSocket).await?;
    let by_message = messages.offer_of(&hooks.issue_id).await?;
    // An offer that ended comes under a token of its own; all else is the same to the letter.
    assert_eq!(without_token(&by_message.line), without_token(&by_line.line));
    assert_eq!(worker.ack(by_message.seq, by_message.token, "accepted").await?, "ok");
    drop(messages);
    let by_line = worker.stream().await?.hello.clone();
    let by_message = worker.stream_over(Transport::WebSocket).await?.hello.clone();
    let without_time = |hello: &Value| {
        let mut hello = hello.clone();
        hello["serverTime"] = Value::Null;
        hello
    };
    assert_eq!(without_time(&by_line), without_time(&by_message));
    let offer = by_message["accepted"][0].as_u64().unwrap_or_default();
    let token = by_message["leases"][0]["token"].as_u64().unwrap_or_default();
    assert_eq!(worker.ack(offer, token, "done").await?, "ok");
    Ok(())
}

pub async fn a_websocket_answers_a_heartbeat_with_the_same_text_and_passes_over_anything_else(
    system: Arc<System>,
) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream_over(Transport::WebSocket).await?;
    for _ in 0..3 {
        stream.send(r#"{"type":"heartbeat"}"#).await?;
        assert_eq!(stream.next().await?, Some(json!({"type": "heartbeat"})));
    }
    for nasty in ["", "heartbeat", "{", "[[[[", "\u{0}", &"x".repeat(100_000), r#"{"type":"heartbeat" }"#] {
        stream.send(nasty).await?;
    }
    mark(&system, &mut stream, &[]).await
}

pub async fn a_stream_of_either_transport_replaces_the_other(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    for (first, second) in [
        (Transport::Ndjson, Transport::WebSocket),
        (Transport::WebSocket, Transport::Ndjson),
        (Transport::WebSocket, Transport::WebSocket),
    ] {
        let mut old = worker.stream_over(first).await?;
        let mut new = worker.stream_over(second).await?;
        assert_eq!(old.next_telling().await?, Some(json!({"type": "replaced"})), "{first:?} then {second:?}");
        assert_eq!(old.next_telling().await?, None, "the first stream ends");
        mark(&system, &mut new, &[]).await?;
    }
    Ok(())
}

pub async fn a_body_over_a_mebibyte_arrives_whole_over_either_transport(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    for (transport, letters) in [
        (Transport::Ndjson, 600_000),
        (Transport::WebSocket, 600_000),
        (Transport::Ndjson, 1_250_000),
        (Transport::WebSocket, 1_250_000),
    ] {
        let mut stream = worker.stream_over(transport).await?;
        let mut hooks = system.new_session();
        // Two bytes each, and the borders of the stored pieces fall inside some of them.
        hooks.description = format!("a{}", "ü".repeat(letters));
        let body = hooks.created_by_delegation(now_ms()).to_string().into_bytes();
        system.send_bytes(&uuid(), body).await?.assert_outcome("a large body", "stored");
        let offer = stream.offer_of(&hooks.issue_id).await?;
        let told = offer.line["event"]["agentSession"]["issue"]["description"].as_str().unwrap_or_default();
        ensure!(
            told == hooks.description,
            "{transport:?}: {} bytes of {}",
            told.len(),
            hooks.description.len()
        );
        finish(&worker, &[&offer]).await?;
    }
    Ok(())
}

pub async fn a_stop_overtakes_over_a_websocket_too(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream_over(Transport::WebSocket).await?;
    let hooks = created(&system).await?;
    let running = accept_next(&mut stream, &hooks).await?;
    stopped(&system, &hooks).await?;
    let stop = accept_next(&mut stream, &hooks).await?;
    ensure!(stop.kind() == "session_stopped" && stop.token == running.token, "{stop:?}");
    finish(&worker, &[&running, &stop]).await
}
