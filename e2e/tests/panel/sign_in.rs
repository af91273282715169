//! The owner's one-time link, the cookie it gives, and what that cookie may do. The tests here go in this order, on the one link there is.

use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use e2e::delivery;
use e2e::system::System;
use serde_json::json;

/// `name=value` of the one browser that was signed in.
static COOKIE: OnceLock<String> = OnceLock::new();

fn cookie() -> Result<&'static str> {
    COOKIE.get().map(String::as_str).context("nobody was signed in by the link; see that test")
}

fn origin(system: &System) -> Result<String> {
    let url = reqwest::Url::parse(&system.up.sign_in_url)?;
    Ok(url.origin().ascii_serialization())
}

pub async fn a_look_ahead_does_not_use_the_link_up(system: Arc<System>) -> Result<()> {
    let request = system.http.get(&system.up.sign_in_url).header("sec-purpose", "prefetch;prerender");
    let answer = delivery::answer(request).await?;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let wrong = format!("{}/auth/sign-in?token={}", origin(&system)?, "0".repeat(64));
    assert_eq!(delivery::answer(system.http.get(wrong)).await?.status, 410);
    assert_eq!(
        delivery::answer(system.http.get(format!("{}/auth/sign-in", origin(&system)?))).await?.status,
        410
    );
    Ok(())
}

pub async fn of_ten_browsers_at_once_one_is_signed_in_and_the_link_is_used_up(
    system: Arc<System>,
) -> Result<()> {
    let mut browsers = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let request = system.http.get(&system.up.sign_in_url);
        browsers.spawn(request.send());
    }
    let (mut signed_in, mut refused) = (Vec::new(), 0);
    while let Some(response) = browsers.join_next().await {
        let response = response??;
        match response.status().as_u16() {
            303 => signed_in.push(response),
            410 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((signed_in.len(), refused), (1, 9));
    let response = &signed_in[0];
    let header = |name: &str| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    assert_eq!(header("location"), "/", "the token is not handed on");
    assert_eq!(
        (header("referrer-policy").as_str(), header("cache-control").as_str()),
        ("no-referrer", "no-store")
    );
    let set = header("set-cookie");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(set.split("; ").any(|have| have.starts_with(part)), "no {part} in {set}");
    }
    let pair = set.split(';').next().context("a cookie")?.to_owned();
    let token = system.up.sign_in_url.rsplit('=').next().unwrap_or_default();
    assert!(!pair.contains(token), "the cookie is not the link's token");
    let _ = COOKIE.set(pair);
    // Used up for ever, also for the browser that used it; and it says so to a person.
    let again = system.http.get(&system.up.sign_in_url).header("cookie", cookie()?).send().await?;
    assert_eq!(again.status(), 410);
    assert!(again.headers().get("set-cookie").is_none());
    assert!(again.text().await?.contains("<h1>"));
    let me =
        delivery::answer(system.http.get(format!("{}/api/me", origin(&system)?)).header("cookie", cookie()?))
            .await?;
    assert_eq!((me.status, &me.body["role"]), (200, &json!("owner")));
    Ok(())
}

pub async fn writes_with_a_cookie_must_come_from_the_panels_own_pages(system: Arc<System>) -> Result<()> {
    let own = origin(&system)?;
    let write = |from: Option<&str>| {
        let mut request = system
            .http
            .post(format!("{own}/api/worker-keys"))
            .header("cookie", cookie()?)
            .json(&json!({"name": "by cookie"}));
        if let Some(from) = from {
            request = request.header("origin", from);
        }
        anyhow::Ok(request)
    };
    let other_port = own.rsplit_once(':').map(|(host, _)| format!("{host}:1")).context("a port")?;
    let https = own.replacen("http://", "https://", 1);
    let longer = format!("{own}.evil.example");
    for from in [
        None,
        Some("https://evil.example"),
        Some("null"),
        Some(""),
        Some(other_port.as_str()),
        Some(https.as_str()),
        Some(longer.as_str()),
    ] {
        delivery::answer(write(from)?).await?.assert_refused(
            &format!("from {from:?}"),
            403,
            "origin_mismatch",
        );
    }
    assert_eq!(delivery::answer(write(Some(&own))?).await?.status, 201);
    Ok(())
}

pub async fn after_signing_out_the_cookie_opens_nothing(system: Arc<System>) -> Result<()> {
    let own = origin(&system)?;
    let sign_out =
        || anyhow::Ok(system.http.post(format!("{own}/auth/sign-out")).header("cookie", cookie()?));
    let me = || anyhow::Ok(system.http.get(format!("{own}/api/me")).header("cookie", cookie()?));
    let answer = delivery::answer(sign_out()?.header("origin", "https://evil.example")).await?;
    answer.assert_refused("another site signs out", 403, "origin_mismatch");
    assert_eq!(delivery::answer(me()?).await?.status, 200);
    assert_eq!(delivery::answer(sign_out()?.header("origin", &own)).await?.status, 204);
    delivery::answer(me()?).await?.assert_refused("signed out", 401, "unauthorized");
    Ok(())
}
