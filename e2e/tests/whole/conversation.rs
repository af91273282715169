//! What a person says after the first word: follow-ups, while it runs and after, and stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::delivery::{now_ms, uuid};
use e2e::poll;
use e2e::system::System;
use e2e::whole_session::{RUN, of_kind};
use serde_json::Value;

/// Words of all responses.
fn responses(told: &[Value]) -> Vec<String> {
    of_kind(told, "response")
        .iter()
        .filter_map(|activity| activity["body"].as_str())
        .map(str::to_owned)
        .collect()
}

pub async fn a_follow_up_goes_on_in_the_same_conversation(system: Arc<System>) -> Result<()> {
    let (hooks, before) = (system.new_session(), system.model_runs().await?);
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    system.completed(&hooks.agent_session_id).await?;
    let answered = |count: usize| move |told: &[Value]| of_kind(told, "response").len() >= count;
    system.activities_when(&hooks.agent_session_id, "the first response", RUN, answered(1)).await?;
    system
        .send(&hooks.prompted(&uuid(), "Now round every total to two digits", now_ms()))
        .await?
        .assert_outcome("prompted", "stored");
    let told =
        system.activities_when(&hooks.agent_session_id, "the second response", RUN, answered(2)).await?;
    // The scripted model keeps no state: that this is its second request it has read in the conversation itself.
    let responses = responses(&told);
    assert!(responses[0].contains("Request 1 of this conversation"), "{responses:?}");
    assert!(responses[1].contains("Request 2 of this conversation"), "{responses:?}");
    let two_runs = |record: &Value| {
        record["runs"].as_array().map(Vec::len) == Some(2) && record["status"] == "completed"
    };
    let record = system.record_when(&hooks.agent_session_id, "two completed runs", RUN, two_runs).await?;
    assert_eq!(system.model_runs().await? - before, 1, "the client's own session went on");
    let branch = system.branch_of(&hooks.issue_id).await?;
    let commits = system.commits(&branch)?;
    assert_eq!(commits.len(), 2, "one commit for each request");
    assert_eq!(record["headCommit"], commits[0].as_str(), "the newest commit is shown");
    Ok(())
}

pub async fn a_prompt_reaches_the_running_agent(system: Arc<System>) -> Result<()> {
    let mut hooks = system.new_session();
    // A short command first, so that there is a point at which the agent takes in what was said meanwhile.
    hooks.description = r#"<<SCRIPT [{"text":"I begin.","tools":[{"name":"Bash","input":{"command":"echo begun > begun.txt","description":"Begin"}}]},{"text":"I think for a while.","delay_ms":6000}] SCRIPT>>"#.to_owned();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    running_model(&system, &hooks.agent_session_id).await?;
    let said = r#"Say this instead: <<SCRIPT [{"text":"I have heard the second word."}] SCRIPT>>"#;
    system.send(&hooks.prompted(&uuid(), said, now_ms())).await?.assert_outcome("prompted", "stored");
    let heard =
        |told: &[Value]| responses(told).iter().any(|text| text.contains("I have heard the second word."));
    system.activities_when(&hooks.agent_session_id, "an answer to the second word", RUN, heard).await?;
    let record = system.completed(&hooks.agent_session_id).await?;
    assert_eq!(
        record["runs"].as_array().map(Vec::len),
        Some(1),
        "it was taken into the run that was there: {record}"
    );
    Ok(())
}

pub async fn a_stop_ends_the_running_agent(system: Arc<System>) -> Result<()> {
    let mut hooks = system.new_session();
    hooks.description = r#"<<SCRIPT [{"text":"I begin.","tools":[{"name":"Bash","input":{"command":"echo begun > begun.txt","description":"Begin"}}]},{"text":"This must never be said.","delay_ms":60000}] SCRIPT>>"#.to_owned();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    running_model(&system, &hooks.agent_session_id).await?;
    let begun = Instant::now();
    system.send(&hooks.stop(&uuid(), now_ms())).await?.assert_outcome("stop", "stored");
    let record = system.over(&hooks.agent_session_id).await?;
    assert_eq!(record["status"], "stopped", "{record}");
    assert!(begun.elapsed() < Duration::from_secs(30), "the stop took {:?}", begun.elapsed());
    // A stop is confirmed by one closing activity, and the run says no more.
    let closed = |told: &[Value]| {
        told.last().is_some_and(|last| last["type"] == "response" || last["type"] == "error")
    };
    let told = system.activities_when(&hooks.agent_session_id, "the closing words", RUN, closed).await?;
    assert!(
        !told.iter().any(|activity| activity.to_string().contains("This must never be said")),
        "{told:?}"
    );
    // The same person goes on with the same issue.
    system
        .send(&hooks.prompted(
            &uuid(),
            "Go on after all: <<SCRIPT [{\"text\":\"I am back.\"}] SCRIPT>>",
            now_ms(),
        ))
        .await?
        .assert_outcome("prompted", "stored");
    let back = |told: &[Value]| responses(told).iter().any(|text| text.contains("I am back."));
    system.activities_when(&hooks.agent_session_id, "an answer after the stop", RUN, back).await?;
    Ok(())
}

/// Waits until the agent runs and has used its first tool, so that the model's long thought has begun.
async fn running_model(system: &System, agent_session: &str) -> Result<()> {
    let acted = |told: &[Value]| !of_kind(told, "action").is_empty();
    system.activities_when(agent_session, "the first action", RUN, acted).await?;
    let record = system
        .record_when(agent_session, "the session to run", RUN, |record| record["status"] == "running")
        .await?;
    // The worktree shows that the tool has run.
    let tree = record["worktreePath"].as_str().context("worktreePath")?.to_owned();
    let file = std::path::Path::new(&tree).join("begun.txt");
    poll::until("the first tool's file", RUN, async || Ok(file.is_file().then_some(()))).await
}
