//! What the panel's minute forgets: commands that the hub has confirmed long ago, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::delivery::{now_ms, uuid};
use e2e::poll;
use e2e::system::System;
use serde_json::{Value, json};

use crate::database::{rows, run_sql};
use crate::person::request;

const DAY_MS: i64 = 24 * 3_600_000;
/// The panel's minute comes once a minute.
const TWO_MINUTES: Duration = Duration::from_secs(110);

/// Which of these are still in the outbox.
async fn still_there(system: &System, ids: &[String]) -> Result<Vec<String>> {
    let found = rows(system, "SELECT id FROM hub_outbox ORDER BY position", json!([])).await?;
    let found: Vec<&str> = found.iter().filter_map(|row| row["id"].as_str()).collect();
    Ok(ids.iter().filter(|id| found.contains(&id.as_str())).cloned().collect())
}

pub async fn a_confirmed_command_is_forgotten_after_the_retention_and_no_other_is(
    system: Arc<System>,
) -> Result<()> {
    let org = system.owner_get("/api/me").await?["organizationId"].clone();
    let ids: Vec<String> = (0..4).map(|_| format!("cmd_{}", uuid())).collect();
    let now = now_ms();
    let text = "INSERT INTO hub_outbox (id, organization_id, command, created_at, confirmed_at, failed_at, failure) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let row = |id: &String, created: i64, confirmed: Option<i64>, failed: Option<i64>| {
        let failure = failed.map(|_| {
            json!({"type": "x", "title": "x", "status": 404, "detail": "x", "code": "not_found"}).to_string()
        });
        json!([text, [id, org, "", created, confirmed, failed, failure]])
    };
    let long_ago = now - 30 * DAY_MS;
    let inserted = [
        row(&ids[0], long_ago, Some(now - 7 * DAY_MS - 1_000), None),
        row(&ids[1], long_ago, Some(now - 6 * DAY_MS), None),
        row(&ids[2], long_ago, None, Some(long_ago)),
        // It cannot be read, so the hub never takes it; it stays all the same.
        row(&ids[3], long_ago, None, None),
    ];
    run_sql(&system, Value::from(inserted.to_vec())).await?;
    poll::until("the old command to be forgotten", TWO_MINUTES, async || {
        Ok((!still_there(&system, &ids[..1]).await?.contains(&ids[0])).then_some(()))
    })
    .await?;
    assert_eq!(still_there(&system, &ids).await?, &ids[1..]);
    Ok(())
}

pub async fn a_run_whose_command_is_forgotten_is_not_begun_again_under_its_key(
    system: Arc<System>,
) -> Result<()> {
    let (key, wish) = (uuid(), json!({"prompt": "Add a note"}));
    let run = async |wish: &Value| {
        let request =
            request(&system, reqwest::Method::POST, "/api/sessions").header("idempotency-key", &key);
        e2e::delivery::answer(request.json(wish)).await
    };
    let made = run(&wish).await?;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().context("id")?;
    let deleted =
        run_sql(&system, json!([["DELETE FROM hub_outbox WHERE instr(command, ?) > 0 RETURNING id", [id]]]))
            .await?;
    assert_eq!(deleted[0].as_array().map(Vec::len), Some(1), "{deleted}");
    let again = run(&wish).await?;
    assert_eq!((again.status, again.body["id"].as_str()), (200, Some(id)), "{again:?}");
    run(&json!({"prompt": "Something else"})).await?.assert_refused("another run", 409, "not_possible");
    let ordered = rows(&system, "SELECT id FROM hub_outbox WHERE instr(command, ?) > 0", json!([id])).await?;
    assert_eq!(ordered, Vec::<Value>::new(), "it was ordered again");
    Ok(())
}
