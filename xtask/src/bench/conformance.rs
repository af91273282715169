//! What both proxies must do before either is measured: the same refusals, the same answer to duplicates, nothing lost over a kill.
//!
//! It runs against ours and against the JavaScript Worker alike; the first thing that differs ends the benchmark by its name.

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::load::{Webhook, now_ms, session};
use super::reader::{self, Worker};
use super::side::{Side, Tenant};

/// Runs all of it on a tenant of its own and gives the number of things that were checked.
pub async fn check(side: &mut Side) -> Result<usize> {
    let name = side.whose.name();
    let tenant = side.tenant().await?;
    let mut checked = refusals(side, &tenant).await.with_context(|| format!("{name}: refusals"))?;
    checked += duplicates(side, &tenant).await.with_context(|| format!("{name}: duplicates"))?;
    checked += order(side, &tenant).await.with_context(|| format!("{name}: order and tokens"))?;
    checked += restart(side).await.with_context(|| format!("{name}: restart"))?;
    Ok(checked)
}

struct Case {
    what: &'static str,
    method: Method,
    signature: Option<String>,
    body: Vec<u8>,
    expected: (u16, &'static str),
}

async fn refusals(side: &Side, tenant: &Tenant) -> Result<usize> {
    let cases = cases(side, tenant);
    for case in &cases {
        let mut request =
            side.http.request(case.method.clone(), side.url("/webhooks/linear")).body(case.body.clone());
        request = request.header("linear-delivery", uuid::Uuid::new_v4().to_string());
        if let Some(signature) = &case.signature {
            request = request.header("linear-signature", signature);
        }
        let response = request.send().await.with_context(|| case.what)?;
        let (status, kind) = (response.status(), response.headers().get("content-type").cloned());
        let body: Value = response.json().await.with_context(|| case.what)?;
        let word = if status == StatusCode::OK { &body["status"] } else { &body["code"] };
        ensure!(
            (status.as_u16(), word.as_str().unwrap_or_default()) == case.expected,
            "{}: {status} {body}, expected {:?}",
            case.what,
            case.expected
        );
        let problem = kind.is_some_and(|kind| kind == "application/problem+json");
        ensure!(problem == (status != StatusCode::OK), "{}: its content type", case.what);
    }
    // Nothing of it was stored: the first event that a worker gets is one that comes now.
    let worker = Worker::register(side, tenant, 8, &[]).await?;
    let (out, mut lines) = mpsc::unbounded_channel();
    let (_, reading) = worker.stream(0, out).await?;
    let good = Webhook::created(side, tenant);
    ensure!(send(side, &good).await? == "stored", "a good webhook after the refused ones");
    let first = reader::event(&mut lines, None).await?;
    ensure!(
        first.line["sessionKey"] == good.session_key.as_str(),
        "a refused webhook was offered: {}",
        first.line
    );
    worker.ack(&first.line, "done").await?;
    reading.abort();
    Ok(cases.len() + 1)
}

fn cases(side: &Side, tenant: &Tenant) -> Vec<Case> {
    let good = session(tenant).created_by_delegation(now_ms());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        body.to_string().into_bytes()
    };
    let sign = |body: &[u8]| testkit::webhook::sign(&side.secret, body);
    let mut cases = Vec::new();
    let plain = good.to_string().into_bytes();
    cases.push(Case {
        what: "not POST",
        method: Method::PUT,
        signature: Some(sign(&plain)),
        body: plain.clone(),
        expected: (405, "method_not_allowed"),
    });
    let signatures = [
        ("no signature", None, "signature_missing"),
        ("an upper-case signature", Some(sign(&plain).to_uppercase()), "signature_malformed"),
        ("a prefixed signature", Some(format!("sha256={}", sign(&plain))), "signature_malformed"),
        ("a short signature", Some("ab".repeat(31)), "signature_malformed"),
        ("another body's signature", Some(sign(b"{}")), "signature_wrong"),
        ("another secret's signature", Some(testkit::webhook::sign("other", &plain)), "signature_wrong"),
    ];
    for (what, signature, code) in signatures {
        cases.push(Case {
            what,
            method: Method::POST,
            signature,
            body: plain.clone(),
            expected: (401, code),
        });
    }
    cases.push(Case {
        what: "a wrong signature on what is not JSON",
        method: Method::POST,
        signature: Some("ab".repeat(32)),
        body: b"hello".to_vec(),
        expected: (401, "signature_wrong"),
    });
    let stamp = |stamp: Value| with(&|body: &mut Value| body["webhookTimestamp"] = stamp.clone());
    let signed: [(&'static str, Vec<u8>, (u16, &'static str)); 21] = [
        ("5 MiB and a byte", vec![b' '; 5 * 1024 * 1024 + 1], (413, "too_large")),
        ("nothing", Vec::new(), (400, "not_json")),
        ("not JSON", b"hello".to_vec(), (400, "not_json")),
        ("two values", b"{} {}".to_vec(), (400, "not_json")),
        ("not UTF-8", vec![0xff, 0xfe, b'{', b'}'], (400, "not_json")),
        ("an array", b"[]".to_vec(), (400, "wrong_shape")),
        ("null", b"null".to_vec(), (400, "wrong_shape")),
        (
            "65 levels",
            format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64)).into_bytes(),
            (400, "too_deep"),
        ),
        (
            "no stamp",
            with(&|body| {
                body.as_object_mut().map(|map| map.remove("webhookTimestamp"));
            }),
            (400, "stamp_missing"),
        ),
        ("a stamp of null", stamp(Value::Null), (400, "stamp_missing")),
        ("a stamp as text", stamp(json!(now_ms().to_string())), (400, "stamp_not_a_number")),
        ("a stamp in seconds", stamp(json!(now_ms() / 1000)), (400, "stamp_stale")),
        ("a stamp 70 s old", stamp(json!(now_ms() - 70_000)), (400, "stamp_stale")),
        ("a stamp 70 s ahead", stamp(json!(now_ms() + 70_000)), (400, "stamp_stale")),
        ("no organization", with(&|body| body["organizationId"] = Value::Null), (400, "wrong_shape")),
        ("a type that is no text", with(&|body| body["type"] = json!(7)), (400, "wrong_shape")),
        ("no session", with(&|body| body["agentSession"] = Value::Null), (400, "wrong_shape")),
        (
            "a session without an id",
            with(&|body| body["agentSession"]["id"] = json!("")),
            (400, "wrong_shape"),
        ),
        (
            "an issue without an id",
            with(&|body| body["agentSession"]["issue"] = json!({})),
            (400, "wrong_shape"),
        ),
        ("a type that is not ours", with(&|body| body["type"] = json!("Weather")), (200, "ignored")),
        (
            "a workspace that is not ours",
            with(&|body| body["organizationId"] = json!("elsewhere")),
            (200, "ignored"),
        ),
    ];
    for (what, body, expected) in signed {
        cases.push(Case { what, method: Method::POST, signature: Some(sign(&body)), body, expected });
    }
    cases
}

async fn duplicates(side: &Side, tenant: &Tenant) -> Result<usize> {
    let first = Webhook::created(side, tenant);
    ensure!(send(side, &first).await? == "stored", "the first");
    ensure!(send(side, &first).await? == "duplicate", "the same once more");
    let other_id = Webhook { delivery: uuid::Uuid::new_v4().to_string(), ..first.clone() };
    ensure!(send(side, &other_id).await? == "duplicate", "the same meaning under another delivery id");
    let other_body = Webhook { delivery: first.delivery.clone(), ..Webhook::created(side, tenant) };
    ensure!(send(side, &other_body).await? == "duplicate", "another body under the same delivery id");
    let racing = Webhook::created(side, tenant);
    let all: Vec<_> =
        (0..16).map(|_| (side.http.clone(), side.url("/webhooks/linear"), racing.clone())).collect();
    let sent = all
        .into_iter()
        .map(|(http, url, webhook)| tokio::spawn(async move { post(&http, &url, &webhook).await }));
    let mut stored = 0;
    for answer in sent.collect::<Vec<_>>() {
        stored += usize::from(answer.await?? == "stored");
    }
    ensure!(stored == 1, "16 at once were stored {stored} times");
    Ok(5)
}

async fn order(side: &mut Side, _: &Tenant) -> Result<usize> {
    let tenant = side.tenant().await?;
    let worker = Worker::register(side, &tenant, 8, &[]).await?;
    let hooks = session(&tenant);
    let bodies = [
        hooks.created_by_delegation(now_ms()),
        hooks.prompted("activity-1", "one", now_ms()),
        hooks.prompted("activity-2", "two", now_ms()),
    ];
    for body in &bodies {
        let answer = send(side, &Webhook::of(side, &hooks, &body.to_string())).await?;
        ensure!(answer == "stored", "{answer}: {}", body["action"]);
    }
    let (out, mut lines) = mpsc::unbounded_channel();
    let (_, reading) = worker.stream(0, out).await?;
    for kind in ["session_created", "session_prompted", "session_prompted"] {
        let offer = reader::event(&mut lines, None).await?.line;
        ensure!(offer["event"]["kind"] == kind, "out of order: {offer}");
        ensure!(lines.try_recv().is_err(), "the next was offered before this one was accepted");
        let mut wrong = offer.clone();
        wrong["token"] = json!(offer["token"].as_u64().unwrap_or(0) + 1);
        ensure!(worker.ack(&wrong, "accepted").await? == "stale", "a token that nobody has");
        ensure!(worker.ack(&offer, "accepted").await? == "ok", "accepted");
        ensure!(worker.ack(&offer, "accepted").await? == "ok", "accepted once more");
    }
    reading.abort();
    Ok(12)
}

/// A tenant of its own: one event accepted, one offered, one waiting, then SIGKILL.
async fn restart(side: &mut Side) -> Result<usize> {
    let tenant = side.tenant().await?;
    let worker = Worker::register(side, &tenant, 2, &[]).await?;
    let webhooks = [(); 3].map(|()| Webhook::created(side, &tenant));
    let (out, mut lines) = mpsc::unbounded_channel();
    let (_, reading) = worker.stream(0, out).await?;
    for webhook in &webhooks {
        ensure!(send(side, webhook).await? == "stored", "stored");
    }
    let accepted = reader::event(&mut lines, Some(&webhooks[0].session_key)).await?.line;
    ensure!(worker.ack(&accepted, "accepted").await? == "ok", "accepted");
    reader::event(&mut lines, Some(&webhooks[1].session_key)).await?;
    side.restart(&json!({})).await?;
    reading.abort();
    for webhook in &webhooks {
        let again = Webhook { delivery: uuid::Uuid::new_v4().to_string(), ..webhook.clone() };
        ensure!(
            send(side, &again).await? == "duplicate",
            "what was stored before the kill is known after it"
        );
    }
    let (out, mut lines) = mpsc::unbounded_channel();
    let (hello, reading) = worker.stream(0, out).await?;
    ensure!(hello["accepted"] == json!([accepted["seq"]]), "hello lists what was accepted: {hello}");
    let again = reader::event(&mut lines, Some(&webhooks[1].session_key)).await?.line;
    ensure!(
        worker.ack(&again, "done").await? == "ok",
        "the offer from before the kill, under a token that holds"
    );
    let last = reader::event(&mut lines, Some(&webhooks[2].session_key)).await?.line;
    ensure!(worker.ack(&last, "done").await? == "ok", "what waited for room");
    ensure!(worker.ack(&accepted, "done").await? == "ok", "what was accepted before the kill");
    reading.abort();
    Ok(8)
}

async fn send(side: &Side, webhook: &Webhook) -> Result<String> {
    post(&side.http, &side.url("/webhooks/linear"), webhook).await
}

async fn post(http: &reqwest::Client, url: &str, webhook: &Webhook) -> Result<String> {
    let request = http
        .post(url)
        .header("linear-signature", &webhook.signature)
        .header("linear-delivery", &webhook.delivery);
    let response = request.body(webhook.body.clone()).send().await?;
    let (status, text) = (response.status(), response.text().await?);
    ensure!(status == 200, "a good webhook was answered {status}: {text}");
    let body: Value = serde_json::from_str(&text)?;
    Ok(body["status"].as_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::side::Whose;
    use super::*;
    use crate::tools::Tools;

    /// Ours is checked by the tests of the proxy and again before each benchmark; the opponent would be checked by nobody.
    #[test]
    fn the_javascript_worker_refuses_deduplicates_and_survives_a_kill_as_the_proxy_does() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let tools = Tools::find().unwrap();
            let mut side = Side::start(&tools, Whose::Theirs, folder.path(), &json!({})).await.unwrap();
            assert!(check(&mut side).await.unwrap() > 40);
        });
    }
}
