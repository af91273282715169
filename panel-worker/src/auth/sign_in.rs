//! One-time sign-in links, and signing out.
//!
//! A link is used up by one statement, so two requests at once cannot both use it. Only its hash is stored.

use serde::Deserialize;
use shared::digest::sha256_hex;
use shared::id::OrgId;
use shared::problem::{Problem, ProblemCode};
use shared::time::Timestamp;
use worker::{Env, Request, Response, ResponseBuilder};
use worker_shell::failure::Answer;
use worker_shell::{clock, log, random};

use super::{caller, cookie};
use crate::db::Db;

/// How long a link that nobody used works, in ms.
const LINK_LIFE_MS: i64 = 24 * 3_600_000;

/// Makes a link that signs in once.
pub async fn new_link(db: &Db, request: &Request, org: OrgId, role: &str, now: Timestamp) -> Answer<String> {
    let token = sha256_hex(&random::bytes::<32>());
    db.run(
        "INSERT INTO sign_in_links (hash, organization_id, role, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
        vec![
            sha256_hex(token.as_bytes()).into(),
            org.to_string().into(),
            role.into(),
            now.into(),
            now.plus_millis(LINK_LIFE_MS).into(),
        ],
    )
    .await?;
    Ok(format!("{}/auth/sign-in?token={token}", request.url()?.origin().ascii_serialization()))
}

/// `GET /auth/sign-in?token=…`: signs the browser in and sends it to the first page; a used link says so.
pub async fn sign_in(request: &Request, env: &Env) -> Answer<Response> {
    #[derive(Deserialize)]
    struct Row {
        organization_id: OrgId,
        role: String,
    }
    // A browser that only looks ahead must not use the link up.
    if request.headers().get("sec-purpose")?.is_some_and(|purpose| purpose.contains("prefetch")) {
        return Err(Problem::new(ProblemCode::InvalidRequest, "a sign-in link cannot be prefetched").into());
    }
    let url = request.url()?;
    let token = url.query_pairs().find(|(name, _)| name == "token").map(|(_, value)| value.into_owned());
    let (db, now) = (Db::of(env)?, clock::now());
    let used: Option<Row> = db
        .first(
            "UPDATE sign_in_links SET used_at = ?1 WHERE hash = ?2 AND used_at IS NULL AND expires_at > ?1 RETURNING organization_id, role",
            vec![now.into(), sha256_hex(token.unwrap_or_default().as_bytes()).into()],
        )
        .await?;
    let Some(link) = used else {
        log::info("sign_in.refused", &[]);
        return refusal();
    };
    let secret = sha256_hex(&random::bytes::<32>());
    db.run(
        "INSERT INTO browser_sessions (hash, organization_id, role, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
        vec![
            sha256_hex(secret.as_bytes()).into(),
            link.organization_id.to_string().into(),
            link.role.as_str().into(),
            now.into(),
            now.plus_millis(cookie::LIFE_S * 1000).into(),
        ],
    )
    .await?;
    log::info("sign_in.done", &[("role", &link.role)]);
    Ok(ResponseBuilder::new()
        .with_status(303)
        .with_header("location", "/")?
        .with_header("cache-control", "no-store")?
        .with_header("referrer-policy", "no-referrer")?
        .with_header("set-cookie", &cookie::store(request, &secret, cookie::LIFE_S)?)?
        .empty())
}

/// `POST /auth/sign-out`.
pub async fn sign_out(request: &Request, env: &Env) -> Answer<Response> {
    caller::check_origin(request)?;
    if let Some(secret) = cookie::read(request)? {
        Db::of(env)?
            .run("DELETE FROM browser_sessions WHERE hash = ?", vec![sha256_hex(secret.as_bytes()).into()])
            .await?;
    }
    Ok(ResponseBuilder::new()
        .with_status(204)
        .with_header("set-cookie", &cookie::store(request, "", 0)?)?
        .empty())
}

/// A page for a person, since a browser is what opens links.
fn refusal() -> Answer<Response> {
    let problem = Problem::new(ProblemCode::LinkUsed, "");
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Cyrus: sign-in link</title><link rel=\"stylesheet\" href=\"/assets/plain.css\">\
         <main><h1>{}</h1><p>A link signs in one browser, once. Start <code>cargo xtask up</code> again for a new one, \
         or ask whoever runs this panel.</p></main></html>",
        problem.title,
    );
    Ok(ResponseBuilder::new()
        .with_status(problem.status)
        .with_header("cache-control", "no-store")?
        .with_header("referrer-policy", "no-referrer")?
        .from_html(page)?)
}
