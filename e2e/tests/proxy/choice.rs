//! Who gets an event: what a worker serves, rejects and has room for, and workers that are leaving or misbehave.

use std::sync::Arc;

use anyhow::{Result, ensure};
use e2e::bot::{Bot, Manner};
use e2e::delivery::{now_ms, uuid};
use e2e::raw_worker::{Offer, RawStream, RawWorker, Transport};
use e2e::system::System;
use e2e::whole_session::of_kind;
use serde_json::{Value, json};
use testkit::webhook::AgentSessionWebhooks;

use crate::open::{accept_next, connected, created, finish, in_state, mark, prompted, shown};

const NOT_SERVED: &str = "not_served";

async fn reject(worker: &RawWorker, offer: &Offer) -> Result<()> {
    let word = worker.ack_saying(offer.seq, offer.token, "reject", &json!({"reason": NOT_SERVED})).await?;
    ensure!(word == "ok", "{word}: {offer:?}");
    Ok(())
}

/// The offer of this session on whichever of the two streams it comes.
async fn either(one: &mut RawStream, two: &mut RawStream, key: &str) -> Result<(usize, Offer)> {
    tokio::select! {
        offer = one.offer_of(key) => Ok((0, offer?)),
        offer = two.offer_of(key) => Ok((1, offer?)),
    }
}

pub async fn what_every_worker_rejects_is_offered_once_more_with_the_wish_to_ask(
    system: Arc<System>,
) -> Result<()> {
    let (first, mut one) = connected(&system).await?;
    let second = RawWorker::beside_others(&system).await?;
    let mut two = second.stream().await?;
    let hooks = created(&system).await?;
    let (at, offer) = either(&mut one, &mut two, &hooks.issue_id).await?;
    ensure!(!offer.says("ask"), "{offer:?}");
    let workers = [&first, &second];
    reject(workers[at], &offer).await?;
    let (then, again) = either(&mut one, &mut two, &hooks.issue_id).await?;
    ensure!(then != at, "it was offered again to the one that rejected it");
    ensure!(again.seq == offer.seq && again.attempt == 1 && !again.says("ask"), "{again:?}");
    reject(workers[then], &again).await?;
    let (last, asking) = either(&mut one, &mut two, &hooks.issue_id).await?;
    ensure!(asking.says("ask") && asking.seq == offer.seq, "{asking:?}");
    ensure!(asking.attempt == 1, "a rejection is no attempt: {asking:?}");
    assert_eq!(workers[last].ack(asking.seq, asking.token, "accepted").await?, "ok");
    let record = in_state(workers[last], &asking, "accepted").await?;
    ensure!(record["ask"] == true && record["reason"] == NOT_SERVED, "{record}");
    // The person's answer reaches the one that asked.
    prompted(&system, &hooks, "The first repository").await?;
    let stream = if last == 0 { &mut one } else { &mut two };
    let answer = accept_next(stream, &hooks).await?;
    finish(workers[last], &[&asking, &answer]).await
}

pub async fn a_lone_worker_that_rejects_is_asked_to_ask(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let offer = stream.offer_of(&hooks.issue_id).await?;
    reject(&worker, &offer).await?;
    let asking = stream.offer_of(&hooks.issue_id).await?;
    ensure!(asking.says("ask"), "{asking:?}");
    finish(&worker, &[&asking]).await
}

pub async fn a_worker_that_says_no_for_ever_makes_a_dead_letter_and_no_endless_loop(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let mut offers = 0;
    let last = loop {
        let offer = stream.offer_of(&hooks.issue_id).await?;
        offers += 1;
        reject(&worker, &offer).await?;
        let record = worker.record(&hooks.issue_id, offer.seq).await?;
        if record["state"] == "dead" {
            break offer;
        }
        ensure!(offers < 20, "offered {offers} times: {record}");
    };
    let record = in_state(&worker, &last, "dead").await?;
    ensure!(record["attempts"] == 3, "{record}");
    let error = |told: &[Value]| of_kind(told, "error").len() == 1;
    system
        .activities_when(
            &hooks.agent_session_id,
            "the error in Linear",
            std::time::Duration::from_secs(10),
            error,
        )
        .await?;
    ensure!(shown(&worker).await?["strikes"].as_u64() > Some(0), "its strikes are not shown");
    mark(&system, &mut stream, &[&hooks.issue_id]).await
}

pub async fn an_event_of_a_team_or_a_tagged_repository_goes_to_the_worker_that_serves_it(
    system: Arc<System>,
) -> Result<()> {
    RawWorker::alone(&system).await?;
    let registered = |over: Value| {
        let system = Arc::clone(&system);
        async move { RawWorker::as_said(&system, &over).await }
    };
    let design = registered(json!({"teams": ["DES"], "slots": 100})).await?;
    let site =
        registered(json!({"teams": ["ENG"], "repositories": ["github.com/acme/site"], "slots": 100})).await?;
    let design = Bot::start(design, Transport::Ndjson, Manner::Finish).await?;
    let site = Bot::start(site, Transport::Ndjson, Manner::Finish).await?;
    let of = |team: &str, description: &str| AgentSessionWebhooks {
        team_id: uuid(),
        team_key: team.to_owned(),
        description: description.to_owned(),
        ..system.new_session()
    };
    let cases = [
        (of("DES", ""), Some(&design)),
        (of("ENG", "Fix it [repo=site]"), Some(&site)),
        (of("ENG", "Fix it [repo=acme/site#main]"), Some(&site)),
        (of("ENG", "no tag"), Some(&site)),
        (of("ENG", "[repo=acme/other]"), None),
        (of("OPS", ""), None),
    ];
    for (hooks, _) in &cases {
        system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    }
    for (number, (hooks, taker)) in cases.iter().enumerate() {
        let Some(taker) = taker else { continue };
        e2e::poll::until("the one that serves it", std::time::Duration::from_secs(10), async || {
            Ok((!taker.offers_of(&hooks.issue_id).is_empty()).then_some(()))
        })
        .await
        .map_err(|error| error.context(format!("case {number}")))?;
        let other = if taker.worker.id == design.worker.id { &site } else { &design };
        ensure!(other.offers_of(&hooks.issue_id).is_empty(), "case {number} went to the other one too");
    }
    // What nobody serves waits and says for what; one that serves it gets it when it comes.
    for (hooks, taker) in &cases {
        if taker.is_some() {
            continue;
        }
        let answer = design.worker.get(&format!("/v1/deliveries?sessionKey={}", hooks.issue_id)).await?;
        let record = &answer.body["items"][0];
        ensure!(record["state"] == "pending" && record["waits"] == "served", "{record}");
    }
    let all = registered(json!({"slots": 100})).await?;
    let mut stream = all.stream().await?;
    for (hooks, taker) in &cases {
        if taker.is_none() {
            let offer = stream.offer_of(&hooks.issue_id).await?;
            finish(&all, &[&offer]).await?;
        }
    }
    Ok(())
}

pub async fn a_worker_that_is_leaving_gets_no_new_session_and_finishes_the_open_ones(
    system: Arc<System>,
) -> Result<()> {
    let (leaving, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let open = accept_next(&mut stream, &hooks).await?;
    let answer = leaving.post("/v1/workers/me/drain", &json!({})).await?;
    ensure!(answer.status == 200 && answer.body["draining"] == true, "{answer:?}");
    ensure!(shown(&leaving).await?["state"] == "draining", "{}", shown(&leaving).await?);
    // Nobody else is there: it waits rather than go to one that leaves.
    let waiting = created(&system).await?;
    prompted(&system, &hooks, "One more thing").await?;
    let follow_up = stream.only(&hooks.issue_id, std::slice::from_ref(&waiting.issue_id)).await?;
    assert_eq!(leaving.ack(follow_up.seq, follow_up.token, "accepted").await?, "ok");
    let next = RawWorker::beside_others(&system).await?;
    let mut other = next.stream().await?;
    let taken = other.only(&waiting.issue_id, std::slice::from_ref(&hooks.issue_id)).await?;
    finish(&next, &[&taken]).await?;
    finish(&leaving, &[&open, &follow_up]).await?;
    // The session is over there: what comes for it now need not wait for one that leaves.
    prompted(&system, &hooks, "And now?").await?;
    let moved = other.offer_of(&hooks.issue_id).await?;
    finish(&next, &[&moved]).await?;
    drop(other);
    // A new registration ends the leaving.
    leaving.register_again(&json!({})).await?;
    ensure!(shown(&leaving).await?["state"] == "online", "{}", shown(&leaving).await?);
    mark(&system, &mut stream, &[]).await
}

pub async fn a_worker_never_has_more_open_sessions_than_its_slots_whatever_it_says(
    system: Arc<System>,
) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    worker.register_again(&json!({"slots": 2})).await?;
    let sessions = [created(&system).await?, created(&system).await?, created(&system).await?];
    let first = accept_next(&mut stream, &sessions[0]).await?;
    let second = accept_next(&mut stream, &sessions[1]).await?;
    // It says that it is idle.
    let leases: Vec<Value> =
        [&first, &second].map(|offer| json!({"sessionKey": offer.session_key, "token": offer.token})).into();
    let idle = worker.post("/v1/heartbeats", &json!({"leases": leases, "slots": 2, "used": 0})).await?;
    ensure!(idle.body["lost"] == json!([]), "{idle:?}");
    let waiting = worker.get(&format!("/v1/deliveries?sessionKey={}", sessions[2].issue_id)).await?;
    ensure!(
        waiting.body["items"][0]["state"] == "pending" && waiting.body["items"][0]["waits"] == "room",
        "{waiting:?}"
    );
    // A follow-up of an open session needs no slot.
    prompted(&system, &sessions[0], "More").await?;
    let more = stream.only(&sessions[0].issue_id, std::slice::from_ref(&sessions[2].issue_id)).await?;
    finish(&worker, &[&first, &more]).await?;
    let third = stream.offer_of(&sessions[2].issue_id).await?;
    finish(&worker, &[&second, &third]).await
}

pub async fn a_worker_that_never_accepts_is_passed_over_and_shown(system: Arc<System>) -> Result<()> {
    let (silent, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let unheard = stream.offer_of(&hooks.issue_id).await?;
    let good = RawWorker::beside_others(&system).await?;
    let good = Bot::start(good, Transport::Ndjson, Manner::Finish).await?;
    e2e::poll::until("the event at the next worker", std::time::Duration::from_secs(15), async || {
        Ok(good.offers_of(&hooks.issue_id).first().cloned())
    })
    .await?;
    let (offer, _) = good.offers_of(&hooks.issue_id).remove(0);
    ensure!(offer.seq == unheard.seq && offer.attempt == 1 && offer.token > unheard.token, "{offer:?}");
    assert_eq!(stream.next_telling().await?, None, "its stream is closed");
    ensure!(shown(&silent).await?["strikes"] == 1, "{}", shown(&silent).await?);
    assert_eq!(silent.ack(unheard.seq, unheard.token, "accepted").await?, "stale");
    // It comes back again and again and never accepts; everything is still done by the other one.
    for strikes in 2..=4 {
        let mut stream = silent.stream().await?;
        let sent = [created(&system).await?, created(&system).await?, created(&system).await?];
        e2e::poll::until("all of them at the good one", std::time::Duration::from_secs(20), async || {
            Ok(sent.iter().all(|hooks| !good.offers_of(&hooks.issue_id).is_empty()).then_some(()))
        })
        .await
        .map_err(|error| error.context(format!("with {strikes} strikes")))?;
        drop(stream.next().await);
    }
    // Taking one clears it.
    drop(good);
    RawWorker::alone(&system).await?;
    let mut stream = silent.stream().await?;
    mark(&system, &mut stream, &[]).await?;
    ensure!(shown(&silent).await?["strikes"] == 0, "{}", shown(&silent).await?);
    Ok(())
}
