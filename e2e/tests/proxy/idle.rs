//! A hub with nothing to do: out of memory, woken by nobody, and quick when something comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::bot::{Bot, Manner};
use e2e::delivery::{now_ms, uuid};
use e2e::poll;
use e2e::raw_worker::{RawWorker, Transport};
use e2e::system::System;
use serde_json::{Value, json};
use testkit::webhook::AgentSessionWebhooks;

/// Short timers, so that all of them are over before the idle stretch begins; many heartbeat lines in it.
pub const IDLE: [&str; 5] =
    ["heartbeatLineMs=1000", "offerMs=1000", "firstThoughtMs=1000", "leaseMs=2000", "takeoverAfterMs=1000"];
/// Beyond the last of these timers, and beyond the time after which the runtime puts an idle object away.
const SETTLED: Duration = Duration::from_secs(4);

const EDGES: usize = 10;
/// Requests at the beginning of a stretch.
const LAST: u64 = 3;

/// How long the stretches are: `CYRUS_IDLE_SECONDS` for both, or short ones.
fn stretch(short: u64) -> Duration {
    let given = std::env::var("CYRUS_IDLE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(given.unwrap_or(short))
}

pub async fn ten_idle_streams_let_the_hub_leave_memory_and_an_event_reaches_the_right_one_at_once(
    system: Arc<System>,
) -> Result<()> {
    let mut bots = Vec::new();
    for number in 0..EDGES {
        let transport = if number % 2 == 0 { Transport::Ndjson } else { Transport::WebSocket };
        let worker = RawWorker::as_said(&system, &json!({"teams": [team(number)]})).await?;
        bots.push(Bot::start(worker, transport, Manner::Finish).await?);
    }
    for (number, bot) in bots.iter().enumerate() {
        reaches(&system, &bots, number).await.with_context(|| bot.worker.id.clone())?;
    }
    idle(&bots, stretch(25)).await?;
    let took = reaches(&system, &bots, 7).await?;
    println!("    after the idle stretch an event took {} ms", took.as_millis());
    ensure!(took < Duration::from_secs(1), "{took:?}");

    let before: Vec<usize> = bots.iter().map(Bot::streams).collect();
    system.kill_workerd().await?;
    poll::until("all streams to be back", Duration::from_secs(60), async || {
        Ok(bots.iter().zip(&before).all(|(bot, before)| bot.streams() > *before).then_some(()))
    })
    .await?;
    idle(&bots, stretch(22)).await?;
    let took = reaches(&system, &bots, 4).await?;
    println!("    after workerd's kill and another stretch it took {} ms", took.as_millis());
    ensure!(took < Duration::from_secs(1), "{took:?}");
    Ok(())
}

fn team(number: usize) -> String {
    format!("TEAM{number}")
}

/// Sends a session of one worker's team and gives the time until it was offered; nobody else may get it.
async fn reaches(system: &System, bots: &[Bot], number: usize) -> Result<Duration> {
    let hooks = AgentSessionWebhooks { team_id: uuid(), team_key: team(number), ..system.new_session() };
    let sent = Instant::now();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    let came = poll::until("the event at its worker", Duration::from_secs(10), async || {
        Ok(bots[number].offers_of(&hooks.issue_id).first().map(|(_, at)| *at))
    })
    .await?;
    let others = bots.iter().enumerate().filter(|(other, _)| *other != number);
    for (other, bot) in others {
        ensure!(bot.offers_of(&hooks.issue_id).is_empty(), "worker {other} got it too");
    }
    Ok(came - sent)
}

/// Looks at the hub's own counts, with nothing between two of them but the streams' heartbeats.
async fn idle(bots: &[Bot], time: Duration) -> Result<()> {
    tokio::time::sleep(SETTLED).await;
    let streams: usize = bots.iter().map(Bot::streams).sum();
    // Two at once tell what a look itself costs.
    let (first, before) = (wakes(bots).await?, wakes(bots).await?);
    // What comes in the last moment before the hub is put away counts too.
    for _ in 0..LAST {
        bots[0].worker.heartbeat(&[]).await?;
    }
    tokio::time::sleep(time).await;
    let after = wakes(bots).await?;
    ensure!(streams == bots.iter().map(Bot::streams).sum::<usize>(), "a stream broke while it was idle");
    let more = |name: &str, from: &Value, to: &Value| {
        to[name].as_u64().zip(from[name].as_u64()).map(|(to, from)| to - from)
    };
    println!("    idle for {} s: {before} then {after}", time.as_secs());
    for name in ["alarms", "sockets", "streams"] {
        ensure!(more(name, &before, &after) == Some(0), "{name} in an idle stretch: {before} then {after}");
    }
    let look = more("requests", &first, &before);
    ensure!(
        look >= Some(1) && more("requests", &before, &after) == look.map(|look| look + LAST),
        "other requests than the look itself, {look:?}, and {LAST} heartbeats: {before} then {after}"
    );
    // The look at the end found it gone: it left memory, and nobody called it back in between.
    ensure!(
        more("lives", &before, &after) == Some(1),
        "the hub did not leave memory once in {} s: {before} then {after}",
        time.as_secs()
    );
    Ok(())
}

async fn wakes(bots: &[Bot]) -> Result<Value> {
    let answer = bots[0].worker.get("/v1/status").await?;
    ensure!(answer.status == 200, "{answer:?}");
    ensure!(answer.body["wakes"].is_object(), "{}", answer.body);
    Ok(answer.body["wakes"].clone())
}
