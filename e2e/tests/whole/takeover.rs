//! Two real workers, each with its own clone of one remote: one is killed in the middle of a run, and the other goes on from
//! what was pushed; then the first comes back. Leases are 4 s and the grace 4 s here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::delivery::{now_ms, uuid};
use e2e::edge::{Edge, kill_hard};
use e2e::poll;
use e2e::system::System;
use e2e::whole_session::{RUN, git, of_kind};
use serde_json::Value;

/// Two workers whose leases are soon over.
pub const ARGUMENTS: [&str; 10] = [
    "--edges",
    "2",
    "--set",
    "leaseMs=4000",
    "--set",
    "takeoverAfterMs=4000",
    "--set",
    "workerHeartbeatMs=500",
    "--set",
    "heartbeatLineMs=500",
];
/// The same, and no session ever moves.
pub const NEVER: [&str; 10] = [
    "--edges",
    "2",
    "--set",
    "leaseMs=2000",
    "--set",
    "takeoverNever=true",
    "--set",
    "workerHeartbeatMs=500",
    "--set",
    "heartbeatLineMs=500",
];
/// For two workers to be on line, a lease to lapse, or a branch to be pushed, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

const ONE: &str = r#"<<SCRIPT [{"text":"One begins.","tools":[{"name":"Bash","input":{"command":"echo one > one.txt && git add -A && git commit -qm one","description":"One"}}]},{"text":"One is done."}] SCRIPT>>"#;
const TWO: &str = r#"Now two: <<SCRIPT [{"text":"Two begins.","tools":[{"name":"Bash","input":{"command":"echo two > two.txt","description":"Two"}}]},{"text":"Two is done.","delay_ms":8000}] SCRIPT>>"#;

/// Two workers that the test runs itself, each with a clone of its own.
struct Pair {
    edges: [Option<Edge>; 2],
    clones: [PathBuf; 2],
    remote: PathBuf,
}

impl Pair {
    async fn of(system: &System) -> Result<Self> {
        let here = system.repository()?.to_owned();
        let remote = system.up.state_dir.join("remote.git");
        let there = remote.display().to_string();
        git(&system.up.state_dir, &["init", "-q", "--bare", "-b", "main", "remote.git"])?;
        git(&here, &["remote", "add", "origin", &there])?;
        git(&here, &["push", "-q", "origin", "HEAD:refs/heads/main"])?;
        let clone = system.up.state_dir.join("clone-2");
        kill_hard(system.up.edges[1].pid).await?;
        git(&system.up.state_dir, &["clone", "-q", &there, "clone-2"])?;
        let file = PathBuf::from(&system.up.edges[1].env["CYRUS_CONFIG_PATH"]);
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
        config["repositories"][0]["repositoryPath"] = clone.display().to_string().into();
        std::fs::write(&file, config.to_string())?;
        let mut pair = Self { edges: [None, None], clones: [here, clone], remote };
        pair.start(system, 1)?;
        pair.on_line(system, 2).await?;
        Ok(pair)
    }

    fn start(&mut self, system: &System, number: usize) -> Result<()> {
        let log = system.up.state_dir.join(format!("edge-{number}-again.log"));
        self.edges[number] = Some(Edge::start(&system.up.edges[number], &log)?);
        Ok(())
    }

    async fn on_line(&self, system: &System, count: usize) -> Result<()> {
        poll::until("the workers to be on line", SOON, async || {
            let status = system.owner_get("/api/status").await?;
            let workers = status["workers"].as_array().context("workers")?;
            let ready = workers.iter().filter(|worker| worker["state"] != "offline");
            Ok((ready.count() == count).then_some(()))
        })
        .await
    }

    async fn kill(&mut self, system: &System, number: usize) -> Result<()> {
        match self.edges[number].take() {
            Some(edge) => kill_hard(edge.pid()?).await,
            None => kill_hard(system.up.edges[number].pid).await,
        }
    }
}

/// The number of the worker that has begun a run, and how many run files it has.
fn runs_of(system: &System, number: usize) -> usize {
    let folder = system.up.state_dir.join(format!("edges/{}/runs", number + 1));
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|end| end == "ndjson")).count()
}

fn holder(system: &System) -> Result<usize> {
    (0..2).find(|number| runs_of(system, *number) > 0).context("no worker has begun a run")
}

fn references(remote: &Path) -> Result<Vec<String>> {
    Ok(git(remote, &["for-each-ref", "--format=%(refname)"])?.lines().map(str::to_owned).collect())
}

fn acted(words: &'static str) -> impl Fn(&[Value]) -> bool {
    move |told| of_kind(told, "action").iter().any(|action| action.to_string().contains(words))
}

fn said(told: &[Value], words: &str) -> usize {
    told.iter()
        .filter(|activity| {
            activity["type"] != "prompt" && activity["body"].as_str().is_some_and(|body| body.contains(words))
        })
        .count()
}

pub async fn a_killed_workers_session_goes_on_elsewhere_from_what_was_pushed_and_what_it_had_is_put_aside(
    system: Arc<System>,
) -> Result<()> {
    let mut pair = Pair::of(&system).await?;
    let mut hooks = system.new_session();
    hooks.description = ONE.to_owned();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    system.completed(&hooks.agent_session_id).await?;
    let first = holder(&system)?;
    let other = 1 - first;
    let kept = format!("refs/cyrus/wip/{}", hooks.agent_session_id);
    poll::until("the first turn's work at the remote", SOON, async || {
        Ok(references(&pair.remote)?.contains(&kept).then_some(()))
    })
    .await?;
    system.send(&hooks.prompted(&uuid(), TWO, now_ms())).await?.assert_outcome("the second", "stored");
    let told =
        system.activities_when(&hooks.agent_session_id, "the second act", RUN, acted("two.txt")).await?;
    let before = of_kind(&told, "thought").len();
    system
        .send(&hooks.prompted(&uuid(), "And mind the third.", now_ms()))
        .await?
        .assert_outcome("the third", "stored");
    let heard = |told: &[Value]| of_kind(told, "thought").len() > before;
    system.activities_when(&hooks.agent_session_id, "the third is heard", SOON, heard).await?;
    pair.kill(&system, first).await?;
    let done = |told: &[Value]| of_kind(told, "response").len() >= 2;
    system.activities_when(&hooks.agent_session_id, "an answer of the other worker", RUN, done).await?;
    ensure!(runs_of(&system, other) == 1, "the other worker did it");
    let taken = std::fs::read_dir(system.up.state_dir.join(format!("edges/{}/runs", other + 1)))?
        .flatten()
        .filter_map(|file| std::fs::read_to_string(file.path()).ok())
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| {
            line.contains(r#""type":"command_lifecycle""#) && line.contains(r#""state":"started""#)
        })
        .count();
    ensure!(taken == 2, "its agent was given both messages: {taken}");
    let record = system.completed(&hooks.agent_session_id).await?;
    ensure!(record["recoveries"].as_array().is_some_and(Vec::is_empty), "{record}");
    let branch = system.branch_of(&hooks.issue_id).await?;
    let log = git(&pair.clones[other], &["log", "--format=%s", &branch, "--"])?;
    ensure!(log.lines().any(|subject| subject == "one"), "it went on from what was pushed: {log}");
    let told = system.activities(&hooks.agent_session_id).await?;

    pair.start(&system, first)?;
    let put_aside = |record: &Value| record["recoveries"].as_array().is_some_and(|all| !all.is_empty());
    let record = system
        .record_when(&hooks.agent_session_id, "what the first worker had is put aside", SOON, put_aside)
        .await?;
    let aside = record["recoveries"][0]["branch"].as_str().context("branch")?;
    ensure!(aside.contains("-recovered-"), "{aside}");
    ensure!(git(&pair.remote, &["show", &format!("refs/heads/{aside}:two.txt")])? == "two");
    // What the first worker would say it would say before it has done another issue.
    pair.kill(&system, other).await?;
    let next = system.new_session();
    system.send(&next.created_by_delegation(now_ms())).await?.assert_outcome("the next one", "stored");
    system.completed(&next.agent_session_id).await?;
    let after = system.activities(&hooks.agent_session_id).await?;
    ensure!(after.len() == told.len(), "nothing more is said: {after:?}");
    ensure!(said(&after, "One is done.") == 1, "{after:?}");
    let record = system.completed(&hooks.agent_session_id).await?;
    ensure!(record["recoveries"].as_array().map(Vec::len) == Some(1), "{record}");
    Ok(())
}

pub async fn a_session_that_never_moves_waits_for_its_worker_and_goes_on_where_it_was(
    system: Arc<System>,
) -> Result<()> {
    let mut pair = Pair::of(&system).await?;
    let mut hooks = system.new_session();
    hooks.description = TWO.to_owned();
    system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
    system.activities_when(&hooks.agent_session_id, "the act", RUN, acted("two.txt")).await?;
    let first = holder(&system)?;
    pair.kill(&system, first).await?;
    let killed = std::time::Instant::now();
    poll::until("the lease to be long over", SOON, async || {
        Ok((killed.elapsed() > Duration::from_secs(6)).then_some(()))
    })
    .await?;
    ensure!(runs_of(&system, 1 - first) == 0, "the session has moved");
    pair.start(&system, first)?;
    let record = system.completed(&hooks.agent_session_id).await?;
    ensure!(record["runs"].as_array().map(Vec::len) == Some(2), "the run went on as another one: {record}");
    let told = system.activities(&hooks.agent_session_id).await?;
    ensure!(of_kind(&told, "response").len() == 1, "{told:?}");
    ensure!(runs_of(&system, 1 - first) == 0, "the session has moved");
    Ok(())
}
