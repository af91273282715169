//! The first sign of life in Linear: in time, once, whoever gives it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::delivery;
use e2e::raw_worker::{Offer, RawWorker};
use e2e::system::System;
use e2e::whole_session::of_kind;
use serde_json::{Value, json};
use shared::activity_id::{Step, activity_id};
use shared::id::{AgentSessionId, Seq};
use testkit::webhook::AgentSessionWebhooks;
use tokio::time::Instant;

use crate::open::{connected, created, finish};

/// The numbers as they are by default; beats are short, since the streams are read by hand.
pub const DEFAULTS: [&str; 1] = ["heartbeatLineMs=1000"];

/// The id that proxy and worker both give it.
fn id(hooks: &AgentSessionWebhooks, seq: u64) -> String {
    activity_id(&AgentSessionId::from(hooks.agent_session_id.as_str()), Seq(seq), Step::FirstThought)
        .to_string()
}

fn thought(told: &[Value]) -> bool {
    !of_kind(told, "thought").is_empty()
}

/// Posts the first thought as an edge does. An activity that is there already is success.
async fn say(system: &System, worker: &RawWorker, hooks: &AgentSessionWebhooks, offer: &Offer) -> Result<()> {
    let token = worker.get("/v1/tokens/linear").await?;
    let api = token.body["apiUrl"].as_str().context("apiUrl")?;
    let input = json!({
        "id": id(hooks, offer.seq), "agentSessionId": hooks.agent_session_id, "content": {"type": "thought", "body": "On it."},
    });
    let query = "mutation AgentActivityCreate($input: AgentActivityCreateInput!) { agentActivityCreate(input: $input) { success } }";
    let request = system.http.post(api).json(&json!({"query": query, "variables": {"input": input}}));
    let authorization = token.body["authorization"].as_str().context("authorization")?;
    let answer = delivery::answer(request.header("authorization", authorization)).await?;
    let told = answer.body.to_string();
    ensure!(
        answer.body["data"]["agentActivityCreate"]["success"] == true || told.contains("already exists"),
        "{told}"
    );
    Ok(())
}

pub async fn without_a_worker_the_proxy_gives_it_within_ten_seconds_and_a_later_worker_does_not_repeat_it(
    system: Arc<System>,
) -> Result<()> {
    RawWorker::alone(&system).await?;
    let begun = Instant::now();
    let hooks = created(&system).await?;
    let told = system
        .activities_when(&hooks.agent_session_id, "the first thought", Duration::from_secs(10), thought)
        .await?;
    let took = begun.elapsed();
    ensure!(took < Duration::from_secs(10), "{took:?}");
    println!("    the first thought was in Linear after {:.1} s", took.as_secs_f64());
    let (worker, mut stream) = connected(&system).await?;
    let offer = stream.offer_of(&hooks.issue_id).await?;
    ensure!(offer.says("firstThought"), "the worker is not told: {offer:?}");
    assert_eq!(told[0]["id"], id(&hooks, offer.seq).as_str());
    assert_eq!(worker.ack(offer.seq, offer.token, "accepted").await?, "ok");
    // Even one that did not look at the switch makes no second one.
    say(&system, &worker, &hooks, &offer).await?;
    finish(&worker, &[&offer]).await?;
    let told = system.activities(&hooks.agent_session_id).await?;
    assert_eq!(of_kind(&told, "thought").len(), 1, "{told:?}");
    let record = worker.record(&hooks.issue_id, offer.seq).await?;
    assert_eq!(record["firstThought"], true, "{record}");
    Ok(())
}

/// Accepts at these moments after the webhook and does as an edge does; each session then has exactly one first thought.
async fn at_the_edge(system: &Arc<System>, due: Duration, moments: [u64; 3]) -> Result<()> {
    let (worker, mut stream) = connected(system).await?;
    let mut waiting = Vec::new();
    for moment in moments {
        let sent = Instant::now();
        let hooks = created(system).await?;
        let offer = stream.offer_of(&hooks.issue_id).await?;
        waiting.push((sent + Duration::from_millis(moment), moment, hooks, offer));
    }
    let last = waiting.iter().map(|(at, ..)| *at).max().context("none")?;
    for (at, moment, hooks, offer) in &waiting {
        tokio::time::sleep_until(*at).await;
        assert_eq!(worker.ack(offer.seq, offer.token, "accepted").await?, "ok", "at {moment} ms");
        if !offer.says("firstThought") {
            say(system, &worker, hooks, offer).await?;
        }
    }
    // Whatever the hub still wanted to say has been said by then.
    tokio::time::sleep_until(last + due.min(Duration::from_secs(2))).await;
    for (_, moment, hooks, offer) in &waiting {
        let told = system
            .activities_when(&hooks.agent_session_id, "the first thought", Duration::from_secs(5), thought)
            .await?;
        let thoughts = of_kind(&told, "thought");
        assert_eq!(thoughts.len(), 1, "accepted at {moment} ms: {told:?}");
        assert_eq!(thoughts[0]["id"], id(hooks, offer.seq).as_str());
        let record = worker.record(&hooks.issue_id, offer.seq).await?;
        println!(
            "    accepted at {moment} ms: by the {}",
            if record["firstThought"] == true { "proxy" } else { "worker" }
        );
        finish(&worker, &[offer]).await?;
    }
    Ok(())
}

pub async fn acceptance_just_before_at_and_after_five_seconds_makes_one_first_thought_each(
    system: Arc<System>,
) -> Result<()> {
    at_the_edge(&system, Duration::from_secs(5), [4_900, 5_000, 5_100]).await
}

pub async fn acceptance_around_a_shorter_time_makes_one_first_thought_each(
    system: Arc<System>,
) -> Result<()> {
    at_the_edge(&system, Duration::from_secs(1), [950, 1_000, 1_050]).await
}

pub async fn a_worker_that_accepts_at_once_is_the_only_one_to_speak(system: Arc<System>) -> Result<()> {
    let (worker, mut stream) = connected(&system).await?;
    let hooks = created(&system).await?;
    let offer = stream.offer_of(&hooks.issue_id).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "accepted").await?, "ok");
    // Twice the time after which the hub would have spoken.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = system.activities(&hooks.agent_session_id).await?;
    assert_eq!(told, Vec::<Value>::new(), "the hub spoke for a worker that is there");
    finish(&worker, &[&offer]).await
}
