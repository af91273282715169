//! Work over several workers: shares by weight, sticky sessions, what becomes of a killed worker's work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::bot::{Bot, Manner};
use e2e::delivery::{now_ms, uuid};
use e2e::poll;
use e2e::raw_worker::{Offer, RawWorker, Transport};
use e2e::system::System;
use serde_json::{Value, json};
use testkit::webhook::AgentSessionWebhooks;

use crate::open::{accept_next, created, finish, mark, prompted, send_all};

/// Lease and grace of the system that these tests run on.
pub const SHARES: [&str; 5] = [
    "leaseMs=4000",
    "takeoverAfterMs=3000",
    "workerHeartbeatMs=1000",
    "heartbeatLineMs=1000",
    "streamMaxMs=2500",
];
const MOVES_AFTER: Duration = Duration::from_millis(4000 + 3000);
/// The lease counts from the last heartbeat, which may be a beat before the kill.
const BEAT: Duration = Duration::from_millis(1000 + 500);

/// For hundreds of events on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Which worker has each event, by seq.
fn takers(bots: &[Bot]) -> BTreeMap<u64, usize> {
    let mut takers = BTreeMap::new();
    for (number, bot) in bots.iter().enumerate() {
        for offer in bot.taken() {
            takers.insert(offer.seq, number);
        }
    }
    takers
}

pub async fn open_work_spreads_by_weight_sticks_over_reconnects_and_leaves_a_killed_worker_once(
    system: Arc<System>,
) -> Result<()> {
    let mut bots = Vec::new();
    for (weight, transport) in [(1, Transport::Ndjson), (1, Transport::WebSocket), (2, Transport::Ndjson)] {
        let worker = RawWorker::as_said(&system, &json!({"slots": 250, "weight": weight})).await?;
        bots.push(Bot::start(worker, transport, Manner::Accept).await?);
    }
    let sessions: Vec<AgentSessionWebhooks> = (0..400).map(|_| system.new_session()).collect();
    let bodies = sessions.iter().map(|hooks| hooks.created_by_delegation(now_ms())).collect();
    send_all(&system, bodies).await?;
    all_taken(&bots, 400).await?;
    let shares: Vec<usize> =
        (0..3).map(|bot| takers(&bots).values().filter(|taker| **taker == bot).count()).collect();
    println!("    400 open sessions over weights 1:1:2: {shares:?}");
    for (share, fair) in shares.iter().zip([100_usize, 100, 200]) {
        ensure!(share.abs_diff(fair) * 10 <= fair, "{shares:?} is more than 10 % off");
    }
    follow_ups_stick(&system, &bots, &sessions).await?;
    let killed = bots.pop().expect("three of them");
    work_moves_once(&system, killed, &bots).await
}

async fn all_taken(bots: &[Bot], count: usize) -> Result<()> {
    poll::until(&format!("{count} events to be taken"), SOON, async || {
        let taken = takers(bots).len();
        if taken < count {
            anyhow::bail!("{taken} so far")
        }
        Ok(Some(()))
    })
    .await
}

/// Half of the follow-ups before some planned reconnects, half after.
async fn follow_ups_stick(
    system: &Arc<System>,
    bots: &[Bot],
    sessions: &[AgentSessionWebhooks],
) -> Result<()> {
    let holders: BTreeMap<String, (usize, u64)> = bots
        .iter()
        .enumerate()
        .flat_map(|(number, bot)| {
            bot.taken().into_iter().map(move |offer| (offer.session_key, (number, offer.token)))
        })
        .collect();
    let prompts = |sessions: &[AgentSessionWebhooks]| {
        sessions.iter().map(|hooks| hooks.prompted(&uuid(), "More", now_ms())).collect::<Vec<_>>()
    };
    let before: Vec<usize> = bots.iter().map(Bot::streams).collect();
    send_all(system, prompts(&sessions[..200])).await?;
    poll::until("planned reconnects of both NDJSON streams", SOON, async || {
        let back = |number: usize| bots[number].streams() >= before[number] + 2;
        Ok((back(0) && back(2)).then_some(()))
    })
    .await?;
    send_all(system, prompts(&sessions[200..])).await?;
    all_taken(bots, 800).await?;
    for (number, bot) in bots.iter().enumerate() {
        ensure!(bot.revoked().is_empty(), "{:?}", bot.revoked());
        for offer in bot.taken() {
            let holder = holders.get(&offer.session_key);
            ensure!(holder == Some(&(number, offer.token)), "held by {holder:?}, but {number} got {offer:?}");
            ensure!(!offer.says("takeover") && offer.attempt == 1, "{offer:?}");
        }
    }
    Ok(())
}

async fn work_moves_once(system: &Arc<System>, killed: Bot, left: &[Bot]) -> Result<()> {
    let lost: Vec<Offer> = killed.taken();
    let open: BTreeSet<u64> = lost.iter().map(|offer| offer.seq).collect();
    let tokens: BTreeMap<String, u64> =
        lost.iter().map(|offer| (offer.session_key.clone(), offer.token)).collect();
    let (worker, died) = (killed.worker.clone(), Instant::now());
    drop(killed);
    let moved = || {
        let offers = left.iter().flat_map(|bot| tokens.keys().flat_map(|key| bot.offers_of(key)));
        let mut offers: Vec<(Offer, Instant)> = offers.filter(|(_, at)| *at > died).collect();
        // An offer that a planned reconnect overtook comes again on the new stream: the same event under the same token.
        let mut known = BTreeSet::new();
        offers.retain(|(offer, _)| known.insert((offer.seq, offer.token)));
        offers
    };
    poll::until("all of its open work to have moved", SOON, async || {
        let seqs: BTreeSet<u64> = moved().iter().map(|(offer, _)| offer.seq).collect();
        if seqs.len() < open.len() {
            anyhow::bail!("{} of {}", seqs.len(), open.len())
        }
        Ok(Some(()))
    })
    .await?;
    // A session that is sent now is offered after everything that the hub still wanted to offer.
    let last = created(system).await?;
    poll::until("the last session", SOON, async || {
        Ok(left.iter().any(|bot| !bot.offers_of(&last.issue_id).is_empty()).then_some(()))
    })
    .await?;
    let moved = moved();
    let first = moved.iter().map(|(_, at)| *at).min().expect("some moved");
    println!(
        "    {} events moved, the first {:.1} s after the kill",
        moved.len(),
        (first - died).as_secs_f64()
    );
    ensure!(first - died > MOVES_AFTER - BEAT, "moved within lease and grace");
    ensure!(moved.len() == open.len(), "{} offers of {} events", moved.len(), open.len());
    ensure!(moved.iter().map(|(offer, _)| offer.seq).collect::<BTreeSet<_>>() == open, "others moved");
    let mut newest: BTreeMap<&str, &Offer> = BTreeMap::new();
    for (offer, _) in &moved {
        ensure!(offer.says("takeover") && offer.attempt == 2, "{offer:?}");
        ensure!(offer.token > tokens[&offer.session_key], "{offer:?}");
        if let Some(before) = newest.insert(&offer.session_key, offer) {
            ensure!(before.seq < offer.seq && before.token == offer.token, "{before:?} before {offer:?}");
        }
    }
    // The dead one has nothing left to say.
    let stale: Vec<Value> = lost
        .iter()
        .take(20)
        .map(|offer| json!({"seq": offer.seq, "token": offer.token, "state": "done"}))
        .collect();
    let words = worker.acks(&json!(stale)).await?;
    ensure!(words == json!(vec!["stale"; stale.len()]), "{words}");
    for bot in left {
        bot.finish_all().await?;
    }
    Ok(())
}

pub async fn after_workerd_was_killed_in_a_quiet_time_a_follow_up_waits_for_the_worker_of_its_session(
    system: Arc<System>,
) -> Result<()> {
    let (first, other) = (RawWorker::register(&system).await?, RawWorker::beside_others(&system).await?);
    let mut stream = first.stream_over(Transport::WebSocket).await?;
    let hooks = created(&system).await?;
    let offer = accept_next(&mut stream, &hooks).await?;
    finish(&first, &[&offer]).await?;
    let heard = Instant::now();
    let before = other.stream_over(Transport::WebSocket).await?;
    // Longer than lease and grace nothing is heard of the first one, since it has nothing to say.
    tokio::time::sleep_until((heard + MOVES_AFTER + BEAT).into()).await;
    drop(before);
    system.kill_workerd().await?;
    let mut early = other.stream_over(Transport::WebSocket).await?;
    prompted(&system, &hooks, "One more thing").await?;
    mark(&system, &mut early, &[&hooks.issue_id]).await?;
    let mut back = first.stream_over(Transport::WebSocket).await?;
    let offer = back.offer_of(&hooks.issue_id).await?;
    ensure!(!offer.says("takeover"), "{offer:?}");
    finish(&first, &[&offer]).await
}

/// The settings under which nothing ever moves; streams end after a few lines.
pub const NEVER: [&str; 5] = [
    "takeoverNever=true",
    "leaseMs=1000",
    "workerHeartbeatMs=300",
    "heartbeatLineMs=500",
    "streamMaxLines=20",
];

pub async fn with_takeover_never_a_session_waits_for_its_worker_and_goes_on_under_the_same_token(
    system: Arc<System>,
) -> Result<()> {
    let first = RawWorker::register(&system).await?;
    let away = Bot::start(first.clone(), Transport::Ndjson, Manner::Accept).await?;
    let hooks = created(&system).await?;
    let held =
        poll::until("the session to be taken", SOON, async || Ok(away.taken().first().cloned())).await?;
    drop(away);
    let other = RawWorker::beside_others(&system).await?;
    let other = Bot::start(other, Transport::WebSocket, Manner::Accept).await?;
    prompted(&system, &hooks, "Are you there?").await?;
    // Many leases long, and the other one has room all the time.
    let begun = Instant::now();
    poll::until("eight leases to pass", SOON, async || {
        ensure!(other.offers_of(&hooks.issue_id).is_empty(), "it moved");
        Ok((begun.elapsed() > Duration::from_secs(8)).then_some(()))
    })
    .await?;
    let back = Bot::start(first, Transport::Ndjson, Manner::Accept).await?;
    let hello = back.hello(0).await?;
    let lease = json!([{"sessionKey": hooks.issue_id, "token": held.token, "stop": false}]);
    ensure!(hello["leases"] == lease && hello["accepted"] == json!([held.seq]), "{hello}");
    let follow_up = poll::until("the follow-up", SOON, async || Ok(back.taken().first().cloned())).await?;
    ensure!(
        follow_up.seq > held.seq && follow_up.token == held.token && !follow_up.says("takeover"),
        "{held:?} {follow_up:?}"
    );
    ensure!(other.offers_of(&hooks.issue_id).is_empty(), "it moved");
    ensure!(back.worker.ack(held.seq, held.token, "done").await? == "ok");
    ensure!(back.worker.ack(follow_up.seq, follow_up.token, "done").await? == "ok");
    Ok(())
}

pub async fn a_stream_that_ends_after_so_many_lines_loses_and_repeats_nothing(
    system: Arc<System>,
) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    worker.register_again(&json!({"slots": 250})).await?;
    let bot = Bot::start(worker, Transport::Ndjson, Manner::Finish).await?;
    let sessions: Vec<AgentSessionWebhooks> = (0..120).map(|_| system.new_session()).collect();
    send_all(&system, sessions.iter().map(|hooks| hooks.created_by_delegation(now_ms())).collect()).await?;
    poll::until("all of them", SOON, async || {
        let done: BTreeSet<String> = bot.offers().into_iter().map(|offer| offer.session_key).collect();
        if done.len() < sessions.len() {
            anyhow::bail!("{} so far", done.len())
        }
        Ok(Some(()))
    })
    .await?;
    ensure!(bot.streams() > 3, "only {} streams of 20 lines for 120 events", bot.streams());
    // What was on its way when a stream ended may come again, but never as another attempt.
    for offer in bot.offers() {
        ensure!(offer.attempt == 1 && !offer.says("takeover"), "{offer:?}");
    }
    let last = bot.offers().last().cloned().expect("some");
    crate::open::in_state(&bot.worker, &last, "done").await.map(drop)
}
