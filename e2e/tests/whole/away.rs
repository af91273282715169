//! Proxy and panel are away for a long time while a run goes on: it finishes, what it has to say waits, and all of it arrives
//! once when they are back. An hour is 25 s here, against a lease of 2 s and a grace of 3 s.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::delivery::now_ms;
use e2e::poll;
use e2e::sse::{Sse, numbers};
use e2e::system::System;
use e2e::whole_session::{RUN, of_kind};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Leases that are over long before the outage is.
pub const ARGUMENTS: [&str; 10] = [
    "--edges",
    "1",
    "--set",
    "leaseMs=2000",
    "--set",
    "takeoverAfterMs=3000",
    "--set",
    "workerHeartbeatMs=500",
    "--set",
    "heartbeatLineMs=500",
];
const AWAY: Duration = Duration::from_secs(25);
/// After this a worker without a confirmation may say nothing any more.
const LEASE: Duration = Duration::from_secs(3);

const SCRIPT: &str = r#"<<SCRIPT [{"text":"Step one.","tools":[{"name":"Bash","input":{"command":"echo one > one.txt","description":"One"}}]},{"text":"Step two.","delay_ms":5000,"tools":[{"name":"Bash","input":{"command":"git add -A && git commit -qm two","description":"Two"}}]},{"text":"All steps are done.","delay_ms":500}] SCRIPT>>"#;

pub async fn with_proxy_and_panel_away_for_long_the_run_finishes_and_all_of_it_arrives_once(
    system: Arc<System>,
) -> Result<()> {
    let (mut hooks, before) = (system.new_session(), system.model_runs().await?);
    hooks.description = SCRIPT.to_owned();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    let acted = |told: &[Value]| !of_kind(told, "action").is_empty();
    system.activities_when(&hooks.agent_session_id, "the first action", RUN, acted).await?;
    // Both Workers are one process here. It takes connections and answers nothing, as a network that swallows everything.
    let workerd = Pid::from_raw(system.workerd_pid()?);
    kill(workerd, Signal::SIGSTOP)?;
    let begun = Instant::now();
    let outcome = async {
        let runs = system.up.state_dir.join("edges/1/runs");
        poll::until("the agent to end", AWAY, async || {
            let files = std::fs::read_dir(&runs)?.flatten();
            let over = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
            Ok(over.into_iter().any(|text| text.contains(r#""type":"result""#)).then_some(()))
        })
        .await?;
        tokio::time::sleep(AWAY.saturating_sub(begun.elapsed())).await;
        let told = system.activities(&hooks.agent_session_id).await?;
        ensure!(
            begun.elapsed() > LEASE && of_kind(&told, "response").is_empty(),
            "said without a lease: {told:?}"
        );
        anyhow::Ok(())
    }
    .await;
    kill(workerd, Signal::SIGCONT)?;
    outcome?;
    let record = system.completed(&hooks.agent_session_id).await?;
    ensure!(record["runs"].as_array().map(Vec::len) == Some(1), "{record}");
    ensure!(system.model_runs().await? - before == 1, "the run was done again");
    let answered = |told: &[Value]| !of_kind(told, "response").is_empty();
    system.activities_when(&hooks.agent_session_id, "the response", RUN, answered).await?;
    let id = record["id"].as_str().context("id")?;
    let lines = Sse::watch(&system, id, None).await?.lines_to_the_result(RUN).await?;
    ensure!(numbers(&lines) == (1..=lines.len() as u64).collect::<Vec<_>>(), "{:?}", numbers(&lines));
    // What would be said twice would be said before the next issue is done: the outbox keeps its order.
    let next = system.new_session();
    system.send(&next.created_by_delegation(now_ms())).await?.assert_outcome("the next one", "stored");
    system.completed(&next.agent_session_id).await?;
    let told = system.activities(&hooks.agent_session_id).await?;
    ensure!(of_kind(&told, "response").len() == 1 && of_kind(&told, "error").is_empty(), "{told:?}");
    for text in ["Step one.", "Step two."] {
        let times = told.iter().filter(|activity| activity["content"]["body"] == text).count();
        ensure!(times == 1, "{text:?} was told {times} times: {told:?}");
    }
    ensure!(system.commits(&system.branch_of(&hooks.issue_id).await?)?.len() == 1, "one commit");
    Ok(())
}
