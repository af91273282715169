//! The program `cyrus` itself, away while something happens to its session.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::system::System;
use e2e::whole_session::{RUN, of_kind};
use serde_json::Value;

use crate::open::stopped;

/// A lease that lapses soon and never moves while a test lasts.
pub const LAPSES: [&str; 4] =
    ["leaseMs=2000", "takeoverAfterMs=60000", "workerHeartbeatMs=500", "heartbeatLineMs=500"];
const LEASE: Duration = Duration::from_millis(2000);

/// A first step that is seen in Linear, and a second that takes longer than the test.
const LONG_RUN: &str = r#"<<SCRIPT [{"text":"Step one.","tools":[{"name":"Bash","input":{"command":"echo one > one.txt","description":"One"}}]},{"text":"Step two.","delay_ms":60000}] SCRIPT>>"#;

pub async fn a_stop_while_the_edge_is_dead_ends_the_session_and_no_run_begins_when_it_returns(
    system: Arc<System>,
) -> Result<()> {
    let mut hooks = system.new_session();
    hooks.description = LONG_RUN.to_owned();
    system
        .send(&hooks.created_by_delegation(e2e::delivery::now_ms()))
        .await?
        .assert_outcome("created", "stored");
    let acted = |told: &[Value]| !of_kind(told, "action").is_empty();
    system.activities_when(&hooks.agent_session_id, "the first action", RUN, acted).await?;
    let runs = system.model_runs().await?;
    system.kill_edge().await?;
    tokio::time::sleep(LEASE + Duration::from_millis(800)).await;
    stopped(&system, &hooks).await?;
    let closed = |told: &[Value]| of_kind(told, "response").len() == 1;
    system
        .activities_when(&hooks.agent_session_id, "the closing response", Duration::from_secs(10), closed)
        .await?;
    let told = system.activities(&hooks.agent_session_id).await?.len();
    system.run_edge_again()?;
    let over = |record: &Value| record["status"] == "stopped";
    system
        .record_when(&hooks.agent_session_id, "the record to be stopped", Duration::from_secs(30), over)
        .await?;
    // A session that comes after it is worked on: the edge is well, and what it wanted to do first it has done.
    let next = system.new_session();
    system
        .send(&next.created_by_delegation(e2e::delivery::now_ms()))
        .await?
        .assert_outcome("the next", "stored");
    system.completed(&next.agent_session_id).await?;
    ensure!(system.model_runs().await? == runs + 1, "only the next session's run");
    let after = system.activities(&hooks.agent_session_id).await?;
    ensure!(after.len() == told && of_kind(&after, "response").len() == 1, "{after:?}");
    Ok(())
}
