//! Parts die and come back: nothing is lost, nothing is done twice.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::delivery::now_ms;
use e2e::poll;
use e2e::sse::{Sse, numbers};
use e2e::system::System;
use e2e::whole_session::{RUN, of_kind};
use serde_json::Value;

pub async fn an_event_that_comes_while_workerd_is_down_is_not_lost_when_it_is_sent_again(
    system: Arc<System>,
) -> Result<()> {
    let hooks = system.new_session();
    let killed = system.kill_workerd();
    // As Linear does: again and again until it is taken.
    let sent = poll::until("the webhook to be taken", Duration::from_secs(60), async || {
        let answer = system.send(&hooks.created_by_delegation(now_ms())).await?;
        Ok((answer.status == 200).then_some(()))
    });
    let (killed, sent) = tokio::join!(killed, sent);
    killed?;
    sent?;
    let record = system.completed(&hooks.agent_session_id).await?;
    assert_eq!(record["runs"].as_array().map(Vec::len), Some(1), "{record}");
    assert_eq!(system.commits(&system.branch_of(&hooks.issue_id).await?)?.len(), 1);
    Ok(())
}

pub async fn a_run_goes_on_while_workerd_dies_and_no_line_is_lost(system: Arc<System>) -> Result<()> {
    let (mut hooks, before) = (system.new_session(), system.model_runs().await?);
    hooks.description = r#"<<SCRIPT [{"text":"Step one.","tools":[{"name":"Bash","input":{"command":"echo one > one.txt","description":"One"}}]},{"text":"Step two.","delay_ms":5000,"tools":[{"name":"Bash","input":{"command":"git add -A && git -c user.name=T -c user.email=t@example.invalid commit -qm two","description":"Two"}}]},{"text":"All steps are done."}] SCRIPT>>"#.to_owned();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    let acted = |told: &[Value]| !of_kind(told, "action").is_empty();
    system.activities_when(&hooks.agent_session_id, "the first action", RUN, acted).await?;
    system.kill_workerd().await?;
    let record = system.completed(&hooks.agent_session_id).await?;
    let id = record["id"].as_str().context("id")?;
    let lines = Sse::watch(&system, id, None).await?.lines_to_the_result(RUN).await?;
    assert_eq!(numbers(&lines), (1..=lines.len() as u64).collect::<Vec<_>>());
    for text in ["Step one.", "Step two.", "All steps are done."] {
        let told = lines
            .iter()
            .filter(|line| line["message"].as_str().is_some_and(|message| message.trim() == text))
            .count();
        assert!(told >= 1, "no line says {text:?}: {lines:?}");
    }
    assert_eq!(record["runs"].as_array().map(Vec::len), Some(1), "{record}");
    assert_eq!(system.model_runs().await? - before, 1);
    assert_eq!(system.commits(&system.branch_of(&hooks.issue_id).await?)?.len(), 1);
    let answered = |told: &[Value]| of_kind(told, "response").len() == 1;
    system.activities_when(&hooks.agent_session_id, "one response", RUN, answered).await.map(drop)
}

pub async fn five_webhooks_while_no_edge_is_on_line_all_run_each_once(system: Arc<System>) -> Result<()> {
    let before = system.model_runs().await?;
    system.kill_edge().await?;
    let all: Vec<_> = (0..5).map(|_| system.new_session()).collect();
    for hooks in &all[..3] {
        system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("no edge", "stored");
    }
    system.kill_workerd().await?;
    for hooks in &all[3..] {
        system
            .send(&hooks.created_by_delegation(now_ms()))
            .await?
            .assert_outcome("after workerd came back", "stored");
    }
    system
        .send(&all[0].created_by_delegation(now_ms()))
        .await?
        .assert_outcome("known over the kill", "duplicate");
    // Linear is told in time that it waits, though nobody is there.
    for hooks in &all {
        let thought = |told: &[Value]| !of_kind(told, "thought").is_empty();
        system
            .activities_when(
                &hooks.agent_session_id,
                "the proxy's first thought",
                Duration::from_secs(20),
                thought,
            )
            .await?;
    }
    for hooks in &all {
        assert_eq!(system.sessions_of(&hooks.agent_session_id).await?.len(), 0, "nobody runs it yet");
    }
    system.run_edge_again()?;
    for hooks in &all {
        let record = system.completed(&hooks.agent_session_id).await?;
        assert_eq!(record["runs"].as_array().map(Vec::len), Some(1), "{record}");
        let commits = system.commits(&system.branch_of(&hooks.issue_id).await?)?;
        assert_eq!(commits.len(), 1, "{commits:?}");
        let answered = |told: &[Value]| !of_kind(told, "response").is_empty();
        let told = system.activities_when(&hooks.agent_session_id, "the response", RUN, answered).await?;
        assert_eq!((of_kind(&told, "response").len(), of_kind(&told, "error").len()), (1, 0), "{told:?}");
    }
    assert_eq!(system.model_runs().await? - before, 5, "one run each");
    let workers = system.owner_get("/api/workers").await?;
    assert_eq!(workers["items"].as_array().map(Vec::len), Some(1), "the same worker came back: {workers}");
    Ok(())
}
