//! How long `cyrus` takes to accept an event while the set-up script of another session sleeps.
//!
//! A stand-in hub sends 20 events a second and reads the acks; upstream, which runs git and set-up scripts in its event
//! loop, was measured with the same load and the same script.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use shared::id::OrgId;
use shared::worker_key::WorkerKey;
use testkit::hub::HubStandIn;
use testkit::linear::{LinearConfig, LinearStandIn};
use tokio::process::Command;
use tokio::time::sleep;
use uuid::Uuid;

use super::Figure;
use crate::progress::Progress;
use crate::up::repository;

/// Events a second, and for how long.
const EVENTS: (u64, u64) = (20, 7);
/// The p99 of upstream v0.2.51 under 20 webhooks a second for 7 s while one issue's `cyrus-setup.sh` sleeps 4 s, measured
/// by running its own server, transport and git service in one process.
const UPSTREAM_P99_MS: f64 = 4_013.0;
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures.
pub async fn figures(cyrus: &Path, player: &Path, progress: &Progress) -> Result<Vec<Figure>> {
    progress.step("measuring how soon events are accepted while a set-up script sleeps");
    let folder = tempfile::Builder::new().prefix("cyrus-bench-block-").tempdir()?;
    let linear =
        LinearStandIn::start(LinearConfig { requests_per_hour: 1_000_000, ..LinearConfig::default() })
            .await?;
    let hub = HubStandIn::start(&linear).await?;
    let began = folder.path().join("setup-began");
    let repository = repository::scratch(&folder.path().join("repository"))?;
    let script = format!("#!/bin/sh\necho one >> '{}'\nsleep 4\n", began.display());
    std::fs::write(repository.path.join("cyrus-setup.sh"), script)?;
    repository::git(&repository.path, ["update-index", "--add", "--chmod=+x", "cyrus-setup.sh"])?;
    repository::git(&repository.path, ["commit", "--quiet", "--all", "--message=Set up"])?;
    let state = folder.path().join("state");
    std::fs::create_dir_all(&state)?;
    let config = json!({"name": "block", "proxyUrl": hub.url(), "stateDir": state, "slots": 1, "claude": {"path": player},
        "repositories": [{"name": "repository", "repositoryPath": repository.path, "baseBranch": repository.base_branch}]});
    let file = folder.path().join("config.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&config)?)?;
    let log = std::fs::File::create(folder.path().join("log"))?;
    let mut child = Command::new(cyrus)
        .arg("start")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.path())
        .env("CYRUS_CONFIG_PATH", &file)
        .env("CONTROL_PANEL_API_KEY", WorkerKey::new(OrgId::from_uuid(Uuid::now_v7()), [7; 32]).reveal())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let measured = measure(&hub, &began).await;
    // It may have ended.
    let _ = child.kill().await;
    progress.done();
    let (times, set_ups) = measured.with_context(|| {
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        log.lines().rev().take(5).collect::<Vec<_>>().join("\n")
    })?;
    let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize];
    Ok(vec![
        Figure::counted("blockSetUpsSeen", set_ups as f64),
        Figure::counted("blockAckMedianMs", at(0.5)),
        Figure::new("blockAckP99Ms", at(0.99), 20.0),
        Figure::counted("blockAckMaxMs", at(1.0)),
        Figure::counted("upstreamBlockP99Ms", UPSTREAM_P99_MS),
    ])
}

/// Milliseconds from each line to its ack, smallest first, and how many set-up scripts began.
async fn measure(hub: &HubStandIn, began: &Path) -> Result<(Vec<f64>, usize)> {
    until("the worker to listen", || hub.is_listened_to()).await?;
    hub.hello();
    hub.offer(1, "BLOCK-1", "<<PLAY lines=3 pace=10 PLAY>>");
    until("the first event to be accepted", || hub.accepted(1).is_some()).await?;
    let asked = Instant::now();
    while !began.exists() && asked.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(10)).await;
    }
    let mut sent = Vec::new();
    for number in 0..EVENTS.0 * EVENTS.1 {
        let seq = 2 + number;
        sent.push((seq, Instant::now()));
        hub.offer(seq, &format!("BLOCK-{seq}"), "<<PLAY lines=3 pace=10 PLAY>>");
        sleep(Duration::from_millis(1_000 / EVENTS.0)).await;
    }
    until("all events to be accepted", || sent.iter().all(|(seq, _)| hub.accepted(*seq).is_some())).await?;
    let took = sent
        .iter()
        .filter_map(|(seq, at)| Some(hub.accepted(*seq)?.duration_since(*at).as_secs_f64() * 1_000.0));
    let mut times: Vec<f64> = took.collect();
    times.sort_by(f64::total_cmp);
    let set_ups = std::fs::read_to_string(began).unwrap_or_default().lines().count();
    Ok((times, set_ups))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !holds() {
        ensure!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
