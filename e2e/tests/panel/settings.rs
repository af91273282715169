//! What people set for workers: in a repository, in a worker's slots, in credentials. And what a worker gets of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::delivery::{self, Answer, uuid};
use e2e::raw_worker::{RawStream, RawWorker};
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::database::rows;
use crate::others::another_organization;
use crate::person::{ask, look};

const CONFIG: &str = "/api/workers/me/config";
/// In this time a worker hears of a change.
const HEARD: Duration = Duration::from_secs(5);

fn as_worker(system: &System, worker: &RawWorker, known: &str) -> reqwest::RequestBuilder {
    let request = system.http.get(format!("{}{CONFIG}", system.up.panel_url)).bearer_auth(&worker.key);
    request.header("cyrus-worker", &worker.id).header("if-none-match", known)
}

async fn config(system: &System, worker: &RawWorker) -> Result<Value> {
    let answer = delivery::answer(as_worker(system, worker, "")).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(answer.body)
}

/// The next `config` line's version, which comes in time.
async fn told(stream: &mut RawStream) -> Result<String> {
    tokio::time::timeout(HEARD, async {
        loop {
            let line = stream.next_telling().await?.context("the stream ended")?;
            if line["type"] == "config" {
                return Ok(line["etag"].as_str().context("etag")?.to_owned());
            }
        }
    })
    .await?
}

async fn repository(system: &System) -> Result<(String, String)> {
    let name = format!("r-{}", uuid());
    let wish = json!({"name": name, "path": "/tmp/r", "remote": format!("example.test/e2e/{name}")});
    let made = ask(system, Method::POST, "/api/repositories", &wish).await?;
    ensure!(made.status == 201, "{made:?}");
    Ok((made.body["id"].as_str().context("id")?.to_owned(), name))
}

async fn change(system: &System, id: &str, wish: Value) -> Result<Answer> {
    ask(system, Method::PATCH, &format!("/api/repositories/{id}"), &wish).await
}

pub async fn what_is_set_for_a_repository_reaches_a_worker_within_five_seconds(
    system: Arc<System>,
) -> Result<()> {
    let (id, name) = repository(&system).await?;
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let wish = json!({
        "model": "claude-opus-4-6", "fallbackModel": "claude-sonnet-4-6", "allowedTools": ["Read", "Bash(git *)"],
        "disallowedTools": [], "permissions": "ask", "maxSessions": 2
    });
    let changed = change(&system, &id, wish.clone()).await?;
    assert_eq!(changed.status, 200, "{changed:?}");
    let etag = told(&mut stream).await?;
    let answer = delivery::answer(as_worker(&system, &worker, "")).await?;
    assert_eq!((answer.status, &answer.body["etag"]), (200, &json!(etag)), "{answer:?}");
    let set =
        answer.body["repositories"].as_array().into_iter().flatten().find(|set| set["name"] == name.as_str());
    let set = set.context("the repository")?;
    for (key, value) in wish.as_object().context("wish")? {
        assert_eq!((&set[key.as_str()], &changed.body[key.as_str()]), (value, value), "{key}");
    }
    assert_eq!((&set["id"], set.get("executionStrategy")), (&json!(id), None), "nobody chose that one");
    assert!(answer.body.get("slots").is_none(), "{:?}", answer.body);
    // What it has is not sent again, and nobody may keep it.
    for known in [format!("\"{etag}\""), format!("W/\"{etag}\", \"x\"")] {
        let response = as_worker(&system, &worker, &known).send().await?;
        assert_eq!(response.status(), 304);
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    let fresh = as_worker(&system, &worker, "\"x\"").send().await?;
    assert_eq!(fresh.headers()["etag"], format!("\"{etag}\"").as_str());
    assert_eq!(fresh.headers()["cache-control"], "no-store");
    // The same again is no change; null and blanks unset, and what is left out stays.
    assert_eq!(change(&system, &id, wish).await?.status, 200);
    let unset = change(&system, &id, json!({"model": null, "fallbackModel": " ", "slots": 5})).await?;
    assert_eq!(
        (&unset.body["model"], &unset.body["fallbackModel"], &unset.body["maxSessions"]),
        (&Value::Null, &Value::Null, &json!(5)),
        "{unset:?}"
    );
    assert_eq!(unset.body["allowedTools"], json!(["Read", "Bash(git *)"]));
    let second = told(&mut stream).await?;
    assert_ne!(second, etag);
    assert_eq!(config(&system, &worker).await?["etag"], second.as_str());
    assert_eq!(look(&system, &format!("/api/repositories/{id}")).await?.body, unset.body);
    Ok(())
}

pub async fn a_repository_that_was_known_by_its_name_gets_the_remote_that_a_worker_tells(
    system: Arc<System>,
) -> Result<()> {
    const PATH: &str = "/api/repositories";
    let worker = RawWorker::register(&system).await?;
    let name = format!("r-{}", uuid());
    let remote = format!("example.test/e2e/{name}");
    let mut wish = json!({"name": name, "path": "/tmp/r"});
    let made = worker.panel(Method::POST, PATH, &wish).await?;
    assert_eq!((made.status, &made.body["remote"]), (201, &Value::Null), "{made:?}");
    wish["remote"] = json!(remote);
    let known = worker.panel(Method::POST, PATH, &wish).await?;
    assert_eq!(
        (known.status, &known.body["id"], &known.body["remote"]),
        (200, &made.body["id"], &json!(remote))
    );
    // Another one of that name is another repository.
    wish["remote"] = json!("example.test/fork/it");
    let fork = worker.panel(Method::POST, PATH, &wish).await?;
    fork.assert_refused("a fork under the same name", 409, "not_possible");
    Ok(())
}

pub async fn slots_that_are_set_for_one_worker_reach_that_one_alone(system: Arc<System>) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let other = RawWorker::beside_others(&system).await?;
    let mut stream = worker.stream().await?;
    let path = format!("/api/workers/{}", worker.id);
    let set = ask(&system, Method::PATCH, &path, &json!({"slots": 3})).await?;
    assert_eq!(
        (set.status, &set.body["wantedSlots"], &set.body["slots"]),
        (200, &json!(3), &json!(8)),
        "{set:?}"
    );
    let etag = told(&mut stream).await?;
    let told_to_it = config(&system, &worker).await?;
    assert_eq!((&told_to_it["slots"], &told_to_it["etag"]), (&json!(3), &json!(etag)));
    assert!(config(&system, &other).await?.get("slots").is_none());
    for nasty in [
        json!({"slots": 0}),
        json!({"slots": 257}),
        json!({"slots": -1}),
        json!({"slots": "3"}),
        json!({"weight": 3}),
    ] {
        let answer = ask(&system, Method::PATCH, &path, &nasty).await?;
        answer.assert_refused(&nasty.to_string(), 400, "invalid_request");
    }
    assert_eq!(config(&system, &worker).await?["slots"], 3);
    let unknown = "/api/workers/wrk_01jd0000000000000000000000";
    ask(&system, Method::PATCH, unknown, &json!({"slots": 3})).await?.assert_refused(
        unknown,
        404,
        "not_found",
    );
    ask(&system, Method::PATCH, "/api/workers/x", &json!({"slots": 3})).await?.assert_refused(
        "x",
        404,
        "not_found",
    );
    let unset = ask(&system, Method::PATCH, &path, &json!({"slots": null})).await?;
    assert_eq!((unset.status, &unset.body["wantedSlots"]), (200, &Value::Null));
    Ok(())
}

pub async fn nasty_settings_are_refused_by_their_field_and_change_nothing(system: Arc<System>) -> Result<()> {
    let (id, _) = repository(&system).await?;
    let path = format!("/api/repositories/{id}");
    let before = look(&system, &path).await?.body;
    for (field, wish) in [
        ("`model`", json!({"model": "--dangerous"})),
        ("`model`", json!({"model": "a\nb"})),
        ("`fallbackModel`", json!({"model": "fine", "fallbackModel": "x".repeat(501)})),
        ("`allowedTools[1]`", json!({"allowedTools": ["Read", ""]})),
        ("`disallowedTools[0]`", json!({"disallowedTools": ["-x"]})),
        ("`maxSessions`", json!({"maxSessions": 0})),
        ("`permissions`", json!({"permissions": "vote"})),
        ("`executionStrategy`", json!({"executionStrategy": "best"})),
        ("`baseBranch`", json!({"baseBranch": ""})),
        ("", json!({"model": 7})),
        ("", json!({"allowedTools": "Read"})),
        ("", json!({"maxSessions": 1.5})),
        ("", json!({"baseBranch": null, "mode": "x"})),
    ] {
        let answer = change(&system, &id, wish.clone()).await?;
        answer.assert_refused(&wish.to_string(), 400, "invalid_request");
        assert!(answer.body["detail"].as_str().is_some_and(|detail| detail.contains(field)), "{answer:?}");
    }
    assert_eq!(look(&system, &path).await?.body, before);
    // A stranger, a worker and another organization change nothing either.
    let url = format!("{}{path}", system.up.panel_url);
    let wish = json!({"model": "theirs"});
    let stranger = system.http.patch(&url).json(&wish);
    delivery::answer(stranger).await?.assert_refused("a stranger", 401, "unauthorized");
    let worker = system.http.patch(&url).bearer_auth(&system.up.worker_key).json(&wish);
    delivery::answer(worker).await?.assert_refused("a worker", 403, "forbidden");
    let others = another_organization(&system).await?;
    let theirs = system.http.patch(&url).bearer_auth(&others).json(&wish);
    delivery::answer(theirs).await?.assert_refused("another organization", 404, "not_found");
    look(&system, CONFIG).await?.assert_refused("a person", 403, "forbidden");
    assert_eq!(look(&system, &path).await?.body, before);
    Ok(())
}

pub async fn a_credential_is_written_by_people_and_read_by_workers_alone(system: Arc<System>) -> Result<()> {
    const PATH: &str = "/api/executor-credentials/OPENAI_API_KEY";
    let secret = format!("sk-{}", uuid());
    let worker = RawWorker::register(&system).await?;
    let mut stream = worker.stream().await?;
    let put = ask(&system, Method::PUT, PATH, &json!({"value": format!(" {secret}\n")})).await?;
    assert_eq!(put.status, 200, "{put:?}");
    let etag = told(&mut stream).await?;
    let listed = look(&system, "/api/executor-credentials").await?;
    assert_eq!(
        (&listed.body["items"][0]["variable"], &listed.body["items"][0]["executor"]),
        (&json!("OPENAI_API_KEY"), &json!("codex"))
    );
    for answer in [&put, &listed] {
        assert!(!answer.body.to_string().contains(&secret), "{answer:?}");
    }
    let given = config(&system, &worker).await?;
    assert_eq!(
        given["executors"],
        json!([{"executor": "codex", "variable": "OPENAI_API_KEY", "value": secret}])
    );
    assert_eq!(given["etag"], etag.as_str());
    let kept = rows(&system, "SELECT envelope FROM executor_credentials", json!([])).await?;
    assert!(kept.iter().all(|row| {
        row["envelope"].as_str().is_some_and(|text| text.starts_with("v1.") && !text.contains(&secret))
    }));
    let deeds =
        rows(&system, "SELECT DISTINCT deed FROM audit WHERE deed LIKE 'c%' ORDER BY deed", json!([]))
            .await?;
    assert_eq!(json!(deeds), json!([{"deed": "config_handed_out"}, {"deed": "credential_set"}]));
    for (path, body) in [
        (PATH, json!({"value": ""})),
        (PATH, json!({"value": "a\nb"})),
        (PATH, json!({"value": "x".repeat(9000)})),
        (PATH, json!({"value": 7})),
    ] {
        ask(&system, Method::PUT, path, &body).await?.assert_refused(path, 400, "invalid_request");
    }
    for other in ["LD_PRELOAD", "PATH", "openai_api_key", "%00"] {
        let path = format!("/api/executor-credentials/{other}");
        ask(&system, Method::PUT, &path, &json!({"value": "x"})).await?.assert_refused(
            other,
            404,
            "not_found",
        );
    }
    let by_worker = worker.panel(Method::PUT, PATH, &json!({"value": "x"})).await?;
    by_worker.assert_refused("a worker", 403, "forbidden");
    assert_eq!(ask(&system, Method::DELETE, PATH, &Value::Null).await?.status, 200);
    assert_eq!(told(&mut stream).await?.len(), 32);
    assert_eq!(config(&system, &worker).await?["executors"], json!([]));
    Ok(())
}
