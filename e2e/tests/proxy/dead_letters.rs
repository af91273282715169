//! Events that nobody can handle: counted, given up aloud, replayed or dismissed by a person.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::delivery::{self, Answer, now_ms};
use e2e::raw_worker::{Offer, RawStream, RawWorker};
use e2e::system::System;
use e2e::whole_session::of_kind;
use serde_json::{Value, json};
use testkit::webhook::AgentSessionWebhooks;

use crate::open::{accept_next, connected, created, finish, in_state, mark, prompted, stopped};

/// Answers `retry` until the event is dead. Three attempts are allowed on this system.
async fn to_death(worker: &RawWorker, stream: &mut RawStream, hooks: &AgentSessionWebhooks) -> Result<Offer> {
    for attempt in 1..=3 {
        let offer = stream.offer_of(&hooks.issue_id).await?;
        ensure!(offer.attempt == attempt, "{offer:?}");
        assert_eq!(worker.ack(offer.seq, offer.token, "accepted").await?, "ok");
        let word = worker
            .ack_saying(offer.seq, offer.token, "retry", &json!({"reason": "the disk is full", "afterMs": 1}))
            .await?;
        assert_eq!(word, "ok");
        if attempt == 3 {
            in_state(worker, &offer, "dead").await?;
            return Ok(offer);
        }
    }
    unreachable!("the third returns")
}

async fn post(worker: &RawWorker, path: &str) -> Result<Answer> {
    delivery::answer(worker.request(reqwest::Method::POST, path)).await
}

pub async fn an_event_that_is_tried_in_vain_becomes_a_dead_letter_that_linear_hears_of_and_a_person_replays(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let dead = to_death(&worker, &mut stream, &hooks).await?;
    let record = worker.record(&hooks.issue_id, dead.seq).await?;
    ensure!(record["attempts"] == 3 && record["reason"] == "the disk is full", "{record}");
    let errors = |told: &[Value]| !of_kind(told, "error").is_empty();
    let told =
        system.activities_when(&hooks.agent_session_id, "the error", Duration::from_secs(10), errors).await?;
    let error = of_kind(&told, "error")[0]["body"].as_str().unwrap_or_default().to_owned();
    ensure!(error.contains(&system.up.panel_url), "no link to the panel in {error:?}");
    // It blocks nothing of its session.
    prompted(&system, &hooks, "Then try this").await?;
    let later = accept_next(&mut stream, &hooks).await?;
    ensure!(later.seq > dead.seq, "{later:?}");
    finish(&worker, &[&later]).await?;
    // A late ack of it changes nothing.
    let _word = worker.ack(dead.seq, dead.token, "accepted").await?;
    in_state(&worker, &dead, "dead").await?;
    // A person has it tried again, and it may fail three times anew.
    let id = record["id"].as_str().unwrap_or_default().to_owned();
    let replayed = post(&worker, &format!("/v1/deliveries/{id}/replay")).await?;
    ensure!(replayed.status == 200, "{replayed:?}");
    ensure!(["pending", "offered"].iter().any(|state| replayed.body["state"] == *state), "{replayed:?}");
    let again = stream.offer_of(&hooks.issue_id).await?;
    ensure!(again.seq == dead.seq && again.attempt == 1, "{again:?}");
    assert_eq!(again.line["event"], dead.line["event"]);
    post(&worker, &format!("/v1/deliveries/{id}/replay")).await?.assert_refused(
        "still open",
        409,
        "not_replayable",
    );
    finish(&worker, &[&again]).await?;
    in_state(&worker, &again, "done").await?;
    post(&worker, &format!("/v1/deliveries/{id}/replay")).await?.assert_refused(
        "done",
        409,
        "not_replayable",
    );
    let told = system.activities(&hooks.agent_session_id).await?;
    assert_eq!(of_kind(&told, "error").len(), 1, "said once: {told:?}");
    mark(&system, &mut stream, &[&hooks.issue_id]).await
}

pub async fn a_dead_letter_is_replayed_by_its_delivery_id_and_dismissed_for_good(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let (hooks, delivery) = (system.new_session(), delivery::uuid());
    system
        .send_as(&delivery, &hooks.created_by_delegation(now_ms()))
        .await?
        .assert_outcome("created", "stored");
    to_death(&worker, &mut stream, &hooks).await?;
    let replayed = post(&worker, &format!("/v1/deliveries/{delivery}/replay")).await?;
    ensure!(replayed.status == 200 && replayed.body["deliveryId"] == delivery.as_str(), "{replayed:?}");
    let dead = to_death(&worker, &mut stream, &hooks).await?;
    let listed = worker.get("/v1/deliveries?state=dead&limit=200").await?;
    let is_listed = |page: &Value| {
        page["items"].as_array().into_iter().flatten().any(|item| item["deliveryId"] == delivery.as_str())
    };
    ensure!(is_listed(&listed.body), "{listed:?}");
    let dismissed = post(&worker, &format!("/v1/deliveries/{delivery}/dismiss")).await?;
    ensure!(dismissed.status == 200, "{dismissed:?}");
    let listed = worker.get("/v1/deliveries?state=dead&limit=200").await?;
    ensure!(!is_listed(&listed.body), "it is still shown as dead: {listed:?}");
    assert_eq!(worker.ack(dead.seq, dead.token, "done").await?, "ok");
    mark(&system, &mut stream, &[&hooks.issue_id]).await
}

pub async fn what_a_stop_cancelled_can_be_replayed_and_an_unknown_delivery_cannot(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let first = accept_next(&mut stream, &hooks).await?;
    stopped(&system, &hooks).await?;
    let stop = accept_next(&mut stream, &hooks).await?;
    let cancelled = in_state(&worker, &first, "cancelled").await?;
    finish(&worker, &[&first, &stop]).await?;
    let path = format!("/v1/deliveries/{}/replay", cancelled["id"].as_str().unwrap_or_default());
    ensure!(post(&worker, &path).await?.status == 200);
    let again = stream.offer_of(&hooks.issue_id).await?;
    ensure!(again.seq == first.seq && again.token > first.token, "{again:?}");
    finish(&worker, &[&again]).await?;
    for unknown in [
        "evt_01jd0000000000000000000000",
        "nonsense",
        "%00",
        "..%2f..%2f",
        "' OR 1=1 --",
        "x".repeat(5_000).as_str(),
    ] {
        for act in ["replay", "dismiss"] {
            let answer = post(&worker, &format!("/v1/deliveries/{unknown}/{act}")).await?;
            answer.assert_refused(
                &format!("{act} of {}", &unknown[..unknown.len().min(40)]),
                404,
                "not_found",
            );
        }
    }
    Ok(())
}
