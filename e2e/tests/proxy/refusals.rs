//! What is refused, with which status and code, and that a refusal leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::delivery::{self, Answer, now_ms, uuid};
use e2e::raw_worker::RawWorker;
use e2e::system::System;
use serde_json::{Value, json};
use testkit::webhook::{AgentSessionWebhooks, sign};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A sound body of a new session, as text.
fn sound(hooks: &AgentSessionWebhooks) -> String {
    hooks.created_by_delegation(now_ms()).to_string()
}

pub async fn a_signature_that_is_not_right_is_refused_and_each_wrong_one_is_named(
    system: Arc<System>,
) -> Result<()> {
    wrong_signatures(&system).await.map(drop)
}

/// Sends each and gives the session keys that must never be seen.
async fn wrong_signatures(system: &System) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    let secret = system.up.webhook_secrets.linear.as_str();
    type Make = fn(&str, &[u8]) -> Option<String>;
    let cases: [(&str, Make, &str); 12] = [
        ("missing", |_, _| None, "signature_missing"),
        ("empty", |_, _| Some(String::new()), "signature_malformed"),
        ("upper-case", |secret, body| Some(sign(secret, body).to_uppercase()), "signature_malformed"),
        ("one upper-case digit", |secret, body| Some(one_upper(&sign(secret, body))), "signature_malformed"),
        (
            "with a prefix",
            |secret, body| Some(format!("sha256={}", sign(secret, body))),
            "signature_malformed",
        ),
        ("one digit short", |secret, body| Some(sign(secret, body)[1..].to_owned()), "signature_malformed"),
        ("two digits long", |secret, body| Some(format!("{}00", sign(secret, body))), "signature_malformed"),
        ("not hex", |_, _| Some("z".repeat(64)), "signature_malformed"),
        (
            "two, separated by a comma",
            |secret, body| Some(format!("{0},{0}", sign(secret, body))),
            "signature_malformed",
        ),
        ("of another secret", |_, body| Some(sign("another", body)), "signature_wrong"),
        ("of an empty secret", |_, body| Some(sign("", body)), "signature_wrong"),
        ("of another body", |secret, _| Some(sign(secret, b"{}")), "signature_wrong"),
    ];
    for (what, make, code) in cases {
        let hooks = system.new_session();
        let body = sound(&hooks).into_bytes();
        let answer = system.post_webhook(&uuid(), make(secret, &body).as_deref(), body).await?;
        answer.assert_refused(what, 401, code);
        keys.push(hooks.issue_id);
    }
    // The signature is judged before anything of the body is.
    let answer = system.post_webhook(&uuid(), None, b"not json".to_vec()).await?;
    answer.assert_refused("no signature and no JSON", 401, "signature_missing");
    // One changed byte of a large body, which the platform's own crypto checks.
    let mut hooks = system.new_session();
    hooks.description = "x".repeat(200_000);
    let body = sound(&hooks).into_bytes();
    let signature = sign(secret, &body);
    let changed = String::from_utf8(body)?.replacen("xx", "xy", 1).into_bytes();
    system.post_webhook(&uuid(), Some(&signature), changed).await?.assert_refused(
        "a changed large body",
        401,
        "signature_wrong",
    );
    keys.push(hooks.issue_id);
    Ok(keys)
}

/// A right signature but for the case of one letter. One without any letter has odds of 1 in 10^13.
fn one_upper(signature: &str) -> String {
    let at = signature.find(|digit: char| digit.is_ascii_lowercase()).unwrap_or(0);
    format!("{}{}{}", &signature[..at], signature[at..=at].to_uppercase(), &signature[at + 1..])
}

pub async fn a_stamp_that_is_not_fresh_is_refused_and_each_wrong_one_is_named(
    system: Arc<System>,
) -> Result<()> {
    wrong_stamps(&system).await.map(drop)
}

async fn wrong_stamps(system: &System) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    type Stamp = fn() -> Option<String>;
    let cases: [(&str, Stamp, &str); 14] = [
        ("missing", || None, "stamp_missing"),
        ("null", || Some("null".into()), "stamp_missing"),
        ("in seconds", || Some((now_ms() / 1000).to_string()), "stamp_stale"),
        ("in microseconds", || Some((now_ms() * 1000).to_string()), "stamp_stale"),
        ("as a string", || Some(format!("\"{}\"", now_ms())), "stamp_not_a_number"),
        ("as a date", || Some("\"2026-11-22T10:15:25.781Z\"".into()), "stamp_not_a_number"),
        ("true", || Some("true".into()), "stamp_not_a_number"),
        ("a list", || Some(format!("[{}]", now_ms())), "stamp_not_a_number"),
        ("0", || Some("0".into()), "stamp_stale"),
        ("negative", || Some((-now_ms()).to_string()), "stamp_stale"),
        ("1e308", || Some("1e308".into()), "stamp_stale"),
        ("1e400, which no double holds", || Some("1e400".into()), "not_json"),
        ("-1e400", || Some("-1e400".into()), "not_json"),
        ("NaN", || Some("NaN".into()), "not_json"),
    ];
    for (what, stamp, code) in cases {
        let hooks = system.new_session();
        let body = with_stamp(&hooks, stamp().as_deref())?;
        system.send_bytes(&uuid(), body).await?.assert_refused(what, 400, code);
        keys.push(hooks.issue_id);
    }
    for offset in [-61_000, 61_000] {
        keys.push(just_out_of_the_window(system, offset).await?);
    }
    Ok(keys)
}

/// 61 s in the future is in the window again a second later, so an answer that was slow proves nothing and is asked for anew.
async fn just_out_of_the_window(system: &System, offset: i64) -> Result<String> {
    for _ in 0..20 {
        let hooks = system.new_session();
        let body = with_stamp(&hooks, Some(&(now_ms() + offset).to_string()))?;
        let answer = system.send_bytes(&uuid(), body).await?;
        if answer.took < Duration::from_millis(900) || offset < 0 {
            answer.assert_refused(&format!("{offset} ms off"), 400, "stamp_stale");
            return Ok(hooks.issue_id);
        }
    }
    anyhow::bail!("the proxy never answered within 900 ms")
}

fn with_stamp(hooks: &AgentSessionWebhooks, stamp: Option<&str>) -> Result<Vec<u8>> {
    let mut body = hooks.created_by_delegation(now_ms());
    let fields = body.as_object_mut().context("an object")?;
    fields.remove("webhookTimestamp");
    let text = body.to_string();
    Ok(match stamp {
        None => text,
        Some(stamp) => text.replacen('{', &format!("{{\"webhookTimestamp\":{stamp},"), 1),
    }
    .into_bytes())
}

pub async fn a_body_that_is_no_sound_json_is_refused_and_each_wrong_one_is_named(
    system: Arc<System>,
) -> Result<()> {
    unsound_bodies(&system).await.map(drop)
}

async fn unsound_bodies(system: &System) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    let stamp = now_ms();
    let fixed: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", b"".to_vec(), "not_json"),
        ("a word", b"hello".to_vec(), "not_json"),
        ("half an object", b"{\"type\":".to_vec(), "not_json"),
        ("two objects", b"{} {}".to_vec(), "not_json"),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec(), "not_json"),
        ("UTF-16", "{}".encode_utf16().flat_map(u16::to_le_bytes).collect(), "not_json"),
        ("a list", b"[]".to_vec(), "wrong_shape"),
        ("null", b"null".to_vec(), "wrong_shape"),
        ("brackets 200,000 deep", "[".repeat(200_000).into_bytes(), "too_deep"),
        ("braces 200,000 deep", "{\"a\":".repeat(200_000).into_bytes(), "too_deep"),
        ("nothing but a stamp", json!({"webhookTimestamp": stamp}).to_string().into_bytes(), "wrong_shape"),
        (
            "a type that is a number",
            json!({"webhookTimestamp": stamp, "type": 7, "organizationId": "x"}).to_string().into_bytes(),
            "wrong_shape",
        ),
    ];
    for (what, body, code) in fixed {
        system.send_bytes(&uuid(), body).await?.assert_refused(what, 400, code);
    }
    // Sound but for one thing, so that the one thing is what is judged.
    type Spoil = fn(&mut Value);
    let spoiled: [(&str, Spoil, &str); 12] = [
        (
            "no workspace",
            |body| drop(body.as_object_mut().map(|map| map.remove("organizationId"))),
            "wrong_shape",
        ),
        ("a workspace that is a number", |body| body["organizationId"] = json!(7), "wrong_shape"),
        (
            "no agent session",
            |body| drop(body.as_object_mut().map(|map| map.remove("agentSession"))),
            "wrong_shape",
        ),
        ("an agent session that is a text", |body| body["agentSession"] = json!("x"), "wrong_shape"),
        ("an agent session that is a list", |body| body["agentSession"] = json!([1]), "wrong_shape"),
        ("no agent session id", |body| body["agentSession"]["id"] = Value::Null, "wrong_shape"),
        ("an empty agent session id", |body| body["agentSession"]["id"] = json!(""), "wrong_shape"),
        (
            "a huge agent session id",
            |body| body["agentSession"]["id"] = json!("x".repeat(10_000)),
            "wrong_shape",
        ),
        (
            "an issue without an id",
            |body| body["agentSession"]["issue"] = json!({"title": "x"}),
            "wrong_shape",
        ),
        ("a prompt without an activity", |body| body["action"] = json!("prompted"), "wrong_shape"),
        (
            "a prompt whose activity has no text",
            |body| {
                body["action"] = json!("prompted");
                body["agentActivity"] = json!({"id": "a", "content": {"type": "prompt"}});
            },
            "wrong_shape",
        ),
        (
            "nested 65 deep where nobody looks",
            |body| {
                let deep: String = format!("{}1{}", "[".repeat(64), "]".repeat(64));
                body["guidance"] = serde_json::from_str(&deep).unwrap_or_default();
            },
            "too_deep",
        ),
    ];
    for (what, spoil, code) in spoiled {
        let hooks = system.new_session();
        let mut body = hooks.created_by_delegation(now_ms());
        spoil(&mut body);
        system.send(&body).await?.assert_refused(what, 400, code);
        keys.push(hooks.issue_id);
    }
    let hooks = system.new_session();
    let mut body = sound(&hooks).into_bytes();
    let at = body.windows(5).position(|bytes| bytes == b"Each ").context("the description")?;
    body[at] = 0xff;
    system.send_bytes(&uuid(), body).await?.assert_refused("not UTF-8", 400, "not_json");
    keys.push(hooks.issue_id);
    let hooks = system.new_session();
    let deep = sound(&hooks).replacen(
        '{',
        &format!("{{\"deep\":{}{},", "[".repeat(200_000), "]".repeat(200_000)),
        1,
    );
    system.send_bytes(&uuid(), deep.into_bytes()).await?.assert_refused(
        "200,000 deep and closed",
        400,
        "too_deep",
    );
    keys.push(hooks.issue_id);
    Ok(keys)
}

pub async fn a_body_over_five_mebibytes_is_refused_without_reading_it(system: Arc<System>) -> Result<()> {
    // Declared and never sent: an answer can come only from what was declared.
    let (status, problem) = half_sent(&system, &format!("content-length: {}", 6 * 1024 * 1024), &[]).await?;
    assert_eq!(
        (status.as_str(), &problem["code"]),
        ("413", &json!("too_large")),
        "6 MiB, declared: {problem}"
    );
    // Chunked, so that nothing is declared: the answer comes while the body is still open.
    let chunk =
        [format!("{:x}\r\n", 1024 * 1024).into_bytes(), vec![b' '; 1024 * 1024], b"\r\n".to_vec()].concat();
    let (status, problem) = half_sent(&system, "transfer-encoding: chunked", &chunk.repeat(6)).await?;
    assert_eq!(
        (status.as_str(), &problem["code"]),
        ("413", &json!("too_large")),
        "6 MiB, chunked: {problem}"
    );
    oversized(&system).await.map(drop)
}

/// All of 6 MiB, well signed, by an ordinary client. The proxy may hang up on it while it is still sending.
async fn oversized(system: &System) -> Result<Vec<String>> {
    let mut hooks = system.new_session();
    hooks.description = "x".repeat(3 * 1024 * 1024); // The text is there twice: in the issue and in the prompt's context.
    let body = sound(&hooks).into_bytes();
    assert!(body.len() > 6 * 1024 * 1024, "{}", body.len());
    if let Ok(answer) = system.send_bytes(&uuid(), body).await {
        answer.assert_refused("6 MiB", 413, "too_large");
    }
    Ok(vec![hooks.issue_id])
}

pub async fn a_body_just_under_five_mebibytes_is_taken(system: Arc<System>) -> Result<()> {
    let mut hooks = system.new_session();
    hooks.description = "ü".repeat(1_250_000);
    let body = sound(&hooks).into_bytes();
    assert!((4_900_000..5 * 1024 * 1024).contains(&body.len()), "{}", body.len());
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    system.send_bytes(&uuid(), body).await?.assert_outcome("nearly 5 MiB", "stored");
    let offer = stream.offer_of(&hooks.issue_id).await?;
    // In the hub it lay in several rows.
    assert_eq!(
        offer.line["event"]["agentSession"]["issue"]["description"].as_str(),
        Some(hooks.description.as_str())
    );
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    Ok(())
}

/// Sends a request's head and some of its body, leaves the body open, and gives the answer's status and body.
async fn half_sent(system: &System, length: &str, some: &[u8]) -> Result<(String, Value)> {
    let host = system.up.proxy_url.trim_start_matches("http://");
    let head = format!(
        "POST /webhooks/linear HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\nlinear-signature: {}\r\n{length}\r\n\r\n",
        "0".repeat(64)
    );
    let (mut read, mut write) = tokio::net::TcpStream::connect(host).await?.into_split();
    let bytes = [head.as_bytes(), some].concat();
    // The other side may stop reading before everything is written: that is what is asked of it.
    let writing = tokio::spawn(async move {
        let _ = write.write_all(&bytes).await;
        // Open until the answer is here: whoever waits for the rest waits for ever.
        std::future::pending::<()>().await;
        drop(write);
    });
    let mut answer = Vec::new();
    let reading = async {
        while !answer.ends_with(b"}") {
            answer.push(read.read_u8().await?);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(15), reading)
        .await
        .context("no answer while the body is open")??;
    writing.abort();
    let text = String::from_utf8(answer)?;
    let body = &text[text.find('{').context("no document")?..];
    Ok((text.split(' ').nth(1).unwrap_or_default().to_owned(), serde_json::from_str(body)?))
}

pub async fn types_and_workspaces_that_are_not_ours_are_answered_200_and_not_stored(
    system: Arc<System>,
) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let keys = not_ours(&system).await?;
    let good = system.new_session();
    system.send(&good.created_by_delegation(now_ms())).await?.assert_outcome("the next good one", "stored");
    let offer = stream.only(&good.issue_id, &keys).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    Ok(())
}

async fn not_ours(system: &System) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 5] = [
        ("an unknown type", |body| body["type"] = json!("WeatherReport")),
        ("a known type of another kind", |body| body["type"] = json!("Issue")),
        ("an unknown action", |body| body["action"] = json!("sighed")),
        ("no action", |body| body["action"] = Value::Null),
        ("an unknown workspace", |body| {
            body["organizationId"] = json!("00000000-0000-4000-8000-000000000000")
        }),
    ];
    for (what, change) in cases {
        let hooks = system.new_session();
        let mut body = hooks.created_by_delegation(now_ms());
        change(&mut body);
        system.send(&body).await?.assert_outcome(what, "ignored");
        keys.push(hooks.issue_id);
    }
    Ok(keys)
}

pub async fn methods_other_than_post_are_refused_with_allow(system: Arc<System>) -> Result<()> {
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let request = system.http.request(method.clone(), format!("{}/webhooks/linear", system.up.proxy_url));
        let answer: Answer = delivery::answer(request).await?;
        answer.assert_refused(method.as_str(), 405, "method_not_allowed");
        assert_eq!(answer.allow.as_deref(), Some("POST"), "{method}");
    }
    Ok(())
}

pub async fn after_every_refusal_nothing_is_stored_and_the_next_good_one_works(
    system: Arc<System>,
) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut keys = wrong_signatures(&system).await?;
    keys.extend(wrong_stamps(&system).await?);
    keys.extend(unsound_bodies(&system).await?);
    keys.extend(oversized(&system).await?);
    keys.extend(not_ours(&system).await?);
    assert!(keys.len() > 40);
    // Whatever of it were stored would be offered now, before the good one, since the hub offers in its own order.
    let good = system.new_session();
    system.send(&good.created_by_delegation(now_ms())).await?.assert_outcome("the next good one", "stored");
    let mut stream = worker.stream().await?;
    let offer = stream.only(&good.issue_id, &keys).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    let sessions = system.owner_get("/api/sessions?limit=200").await?;
    for item in sessions["items"].as_array().context("items")? {
        assert!(!keys.iter().any(|key| item["linearIssueId"] == key.as_str()), "{item}");
    }
    Ok(())
}

pub async fn a_body_signed_with_a_secret_of_the_list_is_taken_whatever_its_size(
    system: Arc<System>,
) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    // Small ones are checked in the Worker, large ones by the platform; the bound between them is 64 KiB.
    for length in [0, 20_000, 32_000, 33_000, 40_000, 500_000] {
        let mut hooks = system.new_session();
        hooks.description = "y".repeat(length);
        system
            .send(&hooks.created_by_delegation(now_ms()))
            .await?
            .assert_outcome(&format!("{length} bytes twice"), "stored");
        let offer = stream.offer_of(&hooks.issue_id).await?;
        assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    }
    Ok(())
}

pub async fn over_the_organizations_rate_a_sender_is_told_when_to_come_back(
    _system: Arc<System>,
) -> Result<()> {
    let system = System::start(&["--edges", "0", "--set", "webhooksPerMinute=5"]).await?;
    let mut refused = None;
    // A minute of the clock may begin anew on the way, so more than twice the rate is sent.
    for _ in 0..12 {
        let answer = system.send(&system.new_session().created_by_delegation(now_ms())).await?;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.context("twelve webhooks were taken at five a minute")?;
    refused.assert_refused("over the rate", 429, "rate_limited");
    let wait: u64 = refused.retry_after.as_deref().context("no Retry-After")?.parse()?;
    assert!((1..=60).contains(&wait), "{wait} s");
    Ok(())
}
