//! Short ways to what many tests begin with: a session that Linear sent, one that a worker holds, many at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::delivery::{now_ms, uuid};
use e2e::poll;
use e2e::raw_worker::{Offer, RawStream, RawWorker};
use e2e::system::System;
use serde_json::Value;
use testkit::webhook::AgentSessionWebhooks;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A worker that is alone, with its stream.
pub async fn connected(system: &System) -> Result<(RawWorker, RawStream)> {
    let worker = RawWorker::register(system).await?;
    let stream = worker.stream().await?;
    Ok((worker, stream))
}

/// A new session, delegated in Linear.
pub async fn created(system: &System) -> Result<AgentSessionWebhooks> {
    let hooks = system.new_session();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    Ok(hooks)
}

/// A person says something more.
pub async fn prompted(system: &System, hooks: &AgentSessionWebhooks, text: &str) -> Result<()> {
    system.send(&hooks.prompted(&uuid(), text, now_ms())).await?.assert_outcome("prompted", "stored");
    Ok(())
}

/// A person presses stop.
pub async fn stopped(system: &System, hooks: &AgentSessionWebhooks) -> Result<()> {
    system.send(&hooks.stop(&uuid(), now_ms())).await?.assert_outcome("stop", "stored");
    Ok(())
}

/// The next offer of the session, accepted.
pub async fn accept_next(stream: &mut RawStream, hooks: &AgentSessionWebhooks) -> Result<Offer> {
    let offer = stream.offer_of(&hooks.issue_id).await?;
    let word = stream.worker.ack(offer.seq, offer.token, "accepted").await?;
    ensure!(word == "ok", "{word}: {offer:?}");
    Ok(offer)
}

/// Ends these, which all must be taken.
pub async fn finish(worker: &RawWorker, offers: &[&Offer]) -> Result<()> {
    for offer in offers {
        let word = worker.ack(offer.seq, offer.token, "done").await?;
        ensure!(word == "ok", "{word}: {offer:?}");
    }
    Ok(())
}

/// A session of its own, sent after what a test did: when its offer comes, the hub has offered all that it wanted to.
pub async fn mark(system: &System, stream: &mut RawStream, silent: &[&str]) -> Result<()> {
    let hooks = created(system).await?;
    let silent: Vec<String> = silent.iter().map(|key| (*key).to_owned()).collect();
    let offer = stream.only(&hooks.issue_id, &silent).await?;
    finish(&stream.worker, &[&offer]).await
}

/// Sends many bodies, some at a time; each must be stored.
pub async fn send_all(system: &Arc<System>, bodies: Vec<Value>) -> Result<()> {
    let places = Arc::new(Semaphore::new(12));
    let mut sent = JoinSet::new();
    for body in bodies {
        let (system, places) = (Arc::clone(system), Arc::clone(&places));
        sent.spawn(async move {
            let _place = places.acquire().await?;
            system.send(&body).await
        });
    }
    while let Some(answer) = sent.join_next().await {
        answer??.assert_outcome("one of many", "stored");
    }
    Ok(())
}

/// Waits until the hub shows an event in this state, and gives the record.
pub async fn in_state(worker: &RawWorker, offer: &Offer, state: &str) -> Result<Value> {
    let mut last = Value::Null;
    let what = format!("event {} to be {state}", offer.seq);
    let found = poll::until(&what, Duration::from_secs(15), async || {
        last = worker.record(&offer.session_key, offer.seq).await?;
        Ok((last["state"] == state).then(|| last.clone()))
    })
    .await;
    found.map_err(|error| error.context(last.to_string()))
}

/// How a worker is shown at `GET /v1/status`.
pub async fn shown(worker: &RawWorker) -> Result<Value> {
    shown_of(worker, &worker.id).await
}

/// How another worker is shown there.
pub async fn shown_of(worker: &RawWorker, id: &str) -> Result<Value> {
    let status = worker.get("/v1/status").await?;
    ensure!(status.status == 200, "{status:?}");
    let found = status.body["workers"].as_array().into_iter().flatten().find(|one| one["id"] == id);
    found.cloned().ok_or_else(|| anyhow::anyhow!("worker {id} is not in {}", status.body))
}
