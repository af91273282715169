//! The cases written by hand: sound bodies of every kind, and each nasty thing that has a name.

use anyhow::Result;
use e2e::delivery::{self, Answer, now_ms, uuid};
use e2e::system::System;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};
use testkit::webhook::sign;

use super::Case;

/// The bodies that Linear sends here, by name.
pub fn bodies(system: &System, now: i64) -> Vec<(&'static str, Value)> {
    let hooks = system.new_session();
    let other = |kind: &str, action: &str, data: Value| {
        json!({
            "type": kind, "action": action, "createdAt": "2026-11-22T10:15:25.781Z", "organizationId": hooks.organization_id,
            "data": data, "url": "https://linear.app/demo/issue/DEMO-1", "webhookTimestamp": now, "webhookId": hooks.webhook_id,
        })
    };
    vec![
        ("delegated", hooks.created_by_delegation(now)),
        ("mentioned", system.new_session().created_by_mention("@cyrus <b>fix</b> \u{1f600}", now)),
        ("prompted", system.new_session().prompted(&uuid(), "More, please", now)),
        ("stop", system.new_session().stop(&uuid(), now)),
        ("an issue", other("Issue", "update", json!({"id": uuid(), "title": "T", "labels": []}))),
        ("a comment", other("Comment", "create", json!({"id": uuid(), "body": "b", "issue": null}))),
        ("a notification", other("AppUserNotification", "issueMention", json!({"id": uuid()}))),
        ("the app was removed", other("OAuthApp", "revoked", json!({"oauthClientId": "x"}))),
    ]
}

/// Sends a case to the proxy.
pub async fn send(system: &System, case: &Case) -> Result<Answer> {
    if case.method == "POST" {
        return system.post_webhook(&uuid(), case.signature.as_deref(), case.body.clone()).await;
    }
    let method = reqwest::Method::from_bytes(case.method.as_bytes())?;
    let mut request = system.http.request(method, format!("{}/webhooks/linear", system.up.proxy_url));
    if let Some(signature) = &case.signature {
        request = request.header("linear-signature", signature);
    }
    delivery::answer(if case.method == "GET" { request } else { request.body(case.body.clone()) }).await
}

/// All cases by hand.
pub fn all(system: &System) -> Vec<Case> {
    let secret = system.up.webhook_secrets.linear.clone();
    let signed = |name: &str, body: Vec<u8>| Case {
        name: name.to_owned(),
        method: "POST",
        signature: Some(sign(&secret, &body)),
        body,
    };
    let mut cases: Vec<Case> = bodies(system, now_ms())
        .into_iter()
        .map(|(name, body)| signed(name, body.to_string().into_bytes()))
        .collect();
    let fresh = || system.new_session().created_by_delegation(now_ms());
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body = fresh();
        change(&mut body);
        body.to_string()
    };
    let title = |text: &str| {
        let text = text.to_owned();
        changed(&move |body| body["agentSession"]["issue"]["title"] = json!(text))
    };
    let now = now_ms();
    for (name, text) in [
        ("spaced", serde_json::to_string_pretty(&fresh()).unwrap_or_default()),
        ("an unknown field", changed(&|body| body["later"] = json!({"a": [1, 2, {"b": null}]}))),
        ("every plane of Unicode", title("Ünï 漢字 \u{1f600} \0 \u{2028} \u{202e} \u{10ffff}")),
        ("a long text", title(&"x".repeat(100_000))),
        ("half of a surrogate pair, as a cut text has it", title("HALF").replace("HALF", "cut \\ud83d")),
        ("halves in the wrong order", title("HALF").replace("HALF", "\\udd80\\ud83e")),
        ("a key that is half of a pair", fresh().to_string().replacen('{', "{\"\\udc00\":1,", 1)),
        ("a prototype key", fresh().to_string().replacen('{', "{\"__proto__\":{\"type\":1},", 1)),
        ("an agent session without an issue", changed(&|body| body["agentSession"]["issue"] = Value::Null)),
        ("empty", String::new()),
        ("a word", "hello".into()),
        ("half", fresh().to_string().chars().take(300).collect()),
        ("two documents", format!("{0}{0}", fresh())),
        ("a byte order mark", format!("\u{feff}{}", fresh())),
        ("a trailing comma", format!("{},}}", fresh().to_string().trim_end_matches('}'))),
        ("single quotes", fresh().to_string().replace('"', "'")),
        ("null", "null".into()),
        ("a list", "[]".into()),
        ("a number", "7".into()),
        ("a comment before", format!("/* */{}", fresh())),
        ("a raw line break in a text", fresh().to_string().replacen("DEMO", "DE\nMO", 1)),
        (
            "a number that no double holds",
            fresh().to_string().replacen("\"title\":\"", "\"title\":1e400,\"was\":\"", 1),
        ),
        ("such a number in a field that nobody reads", fresh().to_string().replacen('{', "{\"x\":1e400,", 1)),
        ("nested 64 deep", nested(&fresh(), 63)),
        ("nested 65 deep", nested(&fresh(), 64)),
        ("nested 200,000 deep", nested(&fresh(), 200_000)),
        ("a stamp twice", fresh().to_string().replacen('{', "{\"webhookTimestamp\":1,", 1)),
        ("a type twice", fresh().to_string().replacen('{', "{\"type\":\"Issue\",", 1)),
        ("an unknown field twice", fresh().to_string().replacen('{', "{\"a\":1,\"a\":2,", 1)),
    ] {
        cases.push(signed(name, text.into_bytes()));
    }
    cases.push(signed(
        "broken UTF-8",
        [&b"{\"x\":\"\xff\","[..], &fresh().to_string().as_bytes()[1..]].concat(),
    ));
    for field in ["type", "organizationId", "agentSession", "webhookTimestamp", "action", "appUserId"] {
        let body = changed(&|body| drop(body.as_object_mut().map(|fields| fields.remove(field))));
        cases.push(signed(&format!("no {field}"), body.into_bytes()));
    }
    for stamp in [
        "null".into(),
        "0".into(),
        "-0".into(),
        format!("{}", now / 1000),
        format!("\"{now}\""),
        "1e400".into(),
        "-1e400".into(),
        "1e308".into(),
        "true".into(),
        format!("[{now}]"),
        "{}".into(),
        format!("{}", now - 120_000),
        format!("{}", now + 120_000),
        format!("{}", now - 30_000),
        format!("{}", now + 30_000),
        format!("{now}.5"),
        format!("{now}e0"),
        "NaN".into(),
        "0x10".into(),
        "\"2026-11-22T10:15:25.781Z\"".into(),
        format!("{now}0"),
        "9".repeat(300),
        format!("0{now}"),
    ] {
        let body = changed(&|body| body["webhookTimestamp"] = json!("STAMP")).replace("\"STAMP\"", &stamp);
        cases.push(signed(
            &format!("stamp {}", stamp.chars().take(30).collect::<String>()),
            body.into_bytes(),
        ));
    }
    cases.push(signed("over 5 MiB", title(&"x".repeat(5 * 1024 * 1024)).into_bytes()));
    for (name, make) in wrong_signatures() {
        let body = fresh().to_string().into_bytes();
        let signature = make(&secret, &body);
        cases.push(Case { name: format!("signature {name}"), method: "POST", signature, body });
    }
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let body = if method == "GET" { Vec::new() } else { fresh().to_string().into_bytes() };
        cases.push(Case { name: method.into(), method, signature: Some(sign(&secret, &body)), body });
    }
    cases
}

/// Makes a signature header from secret and body.
pub type MakeSignature = fn(&str, &[u8]) -> Option<String>;

/// Signature headers that are not right.
pub fn wrong_signatures() -> Vec<(&'static str, MakeSignature)> {
    vec![
        ("none", |_, _| None),
        ("empty", |_, _| Some(String::new())),
        ("upper-case", |secret, body| Some(sign(secret, body).to_uppercase())),
        ("with a prefix", |secret, body| Some(format!("sha256={}", sign(secret, body)))),
        ("of another secret", |_, body| Some(sign("another", body))),
        ("of another body", |secret, _| Some(sign(secret, b"{}"))),
        ("short", |secret, body| Some(sign(secret, body)[2..].to_owned())),
        ("long", |secret, body| Some(format!("{}00", sign(secret, body)))),
        ("twice", |secret, body| Some(format!("{0},{0}", sign(secret, body)))),
        ("zeros", |_, _| Some("0".repeat(64))),
        ("with one digit changed", |secret, body| {
            let mut digits = sign(secret, body).into_bytes();
            digits[17] = if digits[17] == b'0' { b'1' } else { b'0' };
            String::from_utf8(digits).ok()
        }),
    ]
}

/// The body with an array of this depth in it, which makes it one deeper.
pub fn nested(body: &Value, depth: usize) -> String {
    let deep = format!("{{\"deep\":{}{},", "[".repeat(depth), "]".repeat(depth));
    body.to_string().replacen('{', &deep, 1)
}

/// How deep brackets nest outside of texts.
pub fn depth(body: &[u8]) -> usize {
    let (mut depth, mut most, mut text, mut escaped) = (0_usize, 0, false, false);
    for byte in body {
        match (text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => text = !text,
            (false, b'[' | b'{') => {
                depth += 1;
                most = most.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// Whether the outermost object says one of its fields twice.
pub fn says_a_field_twice(body: &[u8]) -> bool {
    struct Fields;
    impl<'de> Visitor<'de> for Fields {
        type Value = bool;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
            let mut seen = std::collections::BTreeSet::new();
            let mut twice = false;
            while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                twice |= !seen.insert(key);
            }
            Ok(twice)
        }
    }
    serde::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_slice(body), Fields)
        .unwrap_or(false)
}
