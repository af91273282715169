//! `GET /api/sessions`: paging and filters.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::delivery;
use e2e::system::System;
use serde_json::{Value, json};

use crate::held::Held;

pub async fn limit_cursor_and_status_are_checked(system: Arc<System>) -> Result<()> {
    let nasty = [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "limit=",
        "limit=99999999999999999999",
        "status=done",
        "status=",
        "status=Completed",
        "status=completed'--",
        "cursor=x",
        "cursor=1",
        "cursor=1.x",
        "cursor=.",
        "cursor=1.ses_x",
        "cursor=x.ses_01jd0000000000000000000000",
    ];
    for query in nasty {
        let url = format!("{}/api/sessions?{query}", system.up.panel_url);
        let answer = delivery::answer(system.http.get(url).bearer_auth(&system.up.owner_api_key)).await?;
        answer.assert_refused(query, 400, "invalid_request");
    }
    for fine in ["limit=1", "limit=200", "status=pending", "status=awaiting_input", "other=1"] {
        system.owner_get(&format!("/api/sessions?{fine}")).await?;
    }
    Ok(())
}

pub async fn pages_show_each_session_once_newest_first(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    let mut made = Vec::new();
    for _ in 0..7 {
        let answer = held.create(json!({"agentSessionId": delivery::uuid()})).await?;
        ensure!(answer.status == 201, "{answer:?}");
        made.push(answer.body["id"].as_str().context("id")?.to_owned());
    }
    made.reverse();
    let mut seen: Vec<Value> = Vec::new();
    let mut query = "/api/sessions?limit=3".to_owned();
    loop {
        let page = system.owner_get(&query).await?;
        let items = page["items"].as_array().context("items")?;
        ensure!(items.len() <= 3, "a page of {}", items.len());
        seen.extend(items.iter().cloned());
        match page["next"].as_str() {
            // A session that is made between two pages is not on the later ones.
            Some(next) => {
                held.create(json!({"agentSessionId": delivery::uuid()})).await?;
                query = format!("/api/sessions?limit=3&cursor={next}");
            }
            None => break,
        }
        ensure!(seen.len() < 1000, "pages without end");
    }
    let ids: Vec<&str> = seen.iter().filter_map(|item| item["id"].as_str()).collect();
    assert_eq!(ids[..7], made, "newest first");
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "each once");
    assert!(ids.contains(&held.id.as_str()), "the oldest of them is on a later page");
    held.finish().await
}

pub async fn the_four_words_of_status_pick_the_states_behind_them(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    let words = [
        ("queued", "pending"),
        ("running", "running"),
        ("awaiting_input", "running"),
        ("parked", "running"),
        ("verifying", "running"),
        ("completed", "completed"),
        ("failed", "failed"),
        ("stopped", "failed"),
    ];
    for (state, word) in words {
        let updated = held.update(held.token, json!({"status": state})).await?;
        assert_eq!(updated.body["status"], state, "{updated:?}");
        for filter in ["pending", "running", "completed", "failed"] {
            let page = system.owner_get(&format!("/api/sessions?limit=200&status={filter}")).await?;
            let there =
                page["items"].as_array().context("items")?.iter().any(|item| item["id"] == held.id.as_str());
            assert_eq!(there, filter == word, "{state} under {filter}");
        }
        let own = system.owner_get(&format!("/api/sessions?status={state}")).await?;
        assert!(own["items"].as_array().context("items")?.iter().all(|item| item["status"] == state));
    }
    held.finish().await
}
