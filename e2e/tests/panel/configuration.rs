//! The configuration's version: on `GET /api/repositories`, and on every worker's stream when it changes.

use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::delivery::{self, uuid};
use e2e::raw_worker::RawWorker;
use e2e::system::System;
use reqwest::Method;
use serde_json::json;

use crate::person::{ask, ask_bytes, nasty_bodies, request};

const PATH: &str = "/api/repositories";

async fn etag(system: &System) -> Result<String> {
    let response = request(system, Method::GET, PATH).send().await?;
    assert_eq!(response.status(), 200);
    let etag = response.headers().get("etag").context("no ETag")?.to_str()?.to_owned();
    assert!(etag.starts_with("W/\"") && etag.ends_with('"'), "{etag}");
    Ok(etag)
}

async fn known_as(system: &System, tags: &str) -> Result<u16> {
    let response = request(system, Method::GET, PATH).header("if-none-match", tags).send().await?;
    Ok(response.status().as_u16())
}

pub async fn what_is_known_already_is_not_sent_again(system: Arc<System>) -> Result<()> {
    let etag = etag(&system).await?;
    let strong = etag.trim_start_matches("W/");
    for tags in [etag.as_str(), strong, "*", &format!("\"x\", {etag}")] {
        assert_eq!(known_as(&system, tags).await?, 304, "{tags}");
    }
    for tags in ["\"x\"", "", "W/\"\"", "W/*", "\u{7f}"] {
        let Ok(value) = reqwest::header::HeaderValue::from_str(tags) else { continue };
        let response = request(&system, Method::GET, PATH).header("if-none-match", value).send().await?;
        assert_eq!(response.status(), 200, "{tags:?}");
    }
    Ok(())
}

pub async fn a_change_and_nothing_else_reaches_the_workers_stream(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let before = etag(&system).await?;
    let (name, remote) = (format!("r-{}", uuid()), format!("example.test/e2e/{}", uuid()));
    let wish = json!({"name": name, "path": "/tmp/r", "remote": remote, "baseBranch": "main"});
    let made = ask(&system, Method::POST, PATH, &wish).await?;
    assert_eq!(made.status, 201, "{made:?}");
    let second = etag(&system).await?;
    assert_ne!(before, second);
    let bare = |etag: &str| etag.trim_start_matches("W/").trim_matches('"').to_owned();
    let mut stream = worker.stream().await?;
    assert_eq!(stream.hello["configEtag"], bare(&second).as_str(), "{}", stream.hello);
    // The same again, and a worker's other path, change nothing.
    assert_eq!(ask(&system, Method::POST, PATH, &wish).await?.status, 200);
    let mut others = wish.clone();
    others["path"] = json!("/srv/other");
    let answer = worker.panel(Method::POST, PATH, &others).await?;
    assert_eq!((answer.status, &answer.body["path"]), (200, &json!("/tmp/r")));
    assert_eq!(etag(&system).await?, second);
    let mut changed = wish.clone();
    changed["baseBranch"] = json!("develop");
    let answer = ask(&system, Method::POST, PATH, &changed).await?;
    assert_eq!(
        (answer.status, &answer.body["baseBranch"], &answer.body["id"]),
        (200, &json!("develop"), &made.body["id"])
    );
    let third = etag(&system).await?;
    assert_ne!(third, second);
    // The first line of that kind is the third version: nothing was told in between.
    loop {
        let line = stream.next_telling().await?.context("the stream ended")?;
        if line["type"] == "config" {
            assert_eq!(line["etag"], bare(&third).as_str());
            return Ok(());
        }
    }
}

pub async fn nasty_repositories_are_refused_and_change_nothing(system: Arc<System>) -> Result<()> {
    let before = etag(&system).await?;
    let name = system.up.repositories.first().context("a repository")?.name.clone();
    for body in [
        json!({}),
        json!({"name": "", "path": "/tmp"}),
        json!({"name": "x".repeat(201), "path": "/tmp"}),
        json!({"name": "x", "path": "p".repeat(4097)}),
        json!({"name": "x", "path": "/tmp", "remote": ""}),
        json!({"name": "x", "path": "/tmp", "remote": "r".repeat(501)}),
        json!({"name": "x", "path": "/tmp", "baseBranch": ""}),
        json!({"name": "x", "path": "/tmp", "baseBranch": "b".repeat(256)}),
        json!({"name": "x", "path": "/tmp", "linearWorkspaceId": ""}),
        json!({"name": 7, "path": "/tmp"}),
        json!({"name": "x", "path": null}),
    ] {
        let answer = ask(&system, Method::POST, PATH, &body).await?;
        answer.assert_refused(&body.to_string(), 400, "invalid_request");
    }
    let taken = json!({"name": name, "path": "/tmp", "remote": "example.test/another/one"});
    ask(&system, Method::POST, PATH, &taken).await?.assert_refused(
        "a name that is taken",
        409,
        "not_possible",
    );
    for (body, status, code) in nasty_bodies() {
        let what = format!("{:?}", body.get(..40).unwrap_or(&body));
        ask_bytes(&system, PATH, body).await?.assert_refused(&what, status, code);
    }
    let stranger = system.http.get(format!("{}{PATH}", system.up.panel_url)).header("if-none-match", &before);
    delivery::answer(stranger).await?.assert_refused("a stranger who knows the tag", 401, "unauthorized");
    assert_eq!(etag(&system).await?, before);
    Ok(())
}
