//! The memory of `cyrus` itself while 50 sessions are live at once; their agents are capture players.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::webhook::{self, AgentSessionWebhooks};
use tokio::time::sleep;
use uuid::Uuid;

use super::Figure;
use crate::chaos::now_ms;
use crate::parts::Parts;
use crate::process::resident_bytes;
use crate::progress::Progress;
use crate::up::kept::Kept;
use crate::up::plan::Plan;
use crate::up::setting;
use crate::up::state::StateDir;
use crate::up::system::{Ready, System};

const SESSIONS: usize = 50;
/// Memory is looked at for so long once all are live.
const LIVE: Duration = Duration::from_secs(20);
const ALL_LIVE: Duration = Duration::from_secs(120);
/// Idle memory of upstream v0.2.51 without any repository or session, ten seconds after its start.
const UPSTREAM_IDLE_BYTES: f64 = 194_000_000.0;

/// Measures.
pub async fn figures(parts: &Parts, player: &Path, progress: &Progress) -> Result<Vec<Figure>> {
    progress.step("measuring cyrus with 50 live sessions");
    let folder = tempfile::Builder::new().prefix("cyrus-bench-live-").tempdir()?;
    let state = StateDir::open(folder.path())?;
    let kept = Kept::load_or_make(&state)?;
    let settings = ["webhooksPerMinute=1000000", "linearRequestsPerHour=1000000"].map(str::to_owned);
    let plan = Plan {
        weights: vec![1],
        settings: setting::parse(&settings)?,
        slots: SESSIONS as u32 + 10,
        agent: Some(player.to_owned()),
        ..Plan::default()
    };
    let mut system = System::new(plan, state, kept, parts.clone(), Progress::quiet());
    let measured = async {
        let ready = system.start().await?;
        measure(&system, &ready, folder.path()).await
    }
    .await;
    system.stop().await;
    progress.done();
    let (most, before) = measured?;
    Ok(vec![
        Figure::counted("cyrusBefore50Bytes", before),
        Figure::new("cyrus50LiveRssBytes", most, 60_000_000.0),
        Figure::counted("upstreamIdleRssBytes", UPSTREAM_IDLE_BYTES),
    ])
}

/// The most memory while all are live, and the memory before, in bytes.
async fn measure(system: &System, ready: &Ready, folder: &Path) -> Result<(f64, f64)> {
    let pid = ready.edges.first().context("no edge")?.pid;
    let before = resident_bytes(pid).context("the edge has ended")?;
    for number in 1..=SESSIONS {
        // Five minutes, two lines a second.
        let body = created(system, &format!("LIVE-{number}"), "<<PLAY lines=600 pace=500 PLAY>>");
        let headers = webhook::headers(
            &system.kept.linear_webhook_secret,
            &body,
            &Uuid::new_v4().to_string(),
            now_ms(),
        );
        ready.panel.send_webhook(headers, body).await?;
    }
    let runs = folder.join("edges/1/runs");
    let begun = Instant::now();
    loop {
        let files = std::fs::read_dir(&runs).into_iter().flatten().flatten();
        let live = files.filter(|file| file.metadata().is_ok_and(|meta| meta.len() > 2_000)).count();
        if live >= SESSIONS {
            break;
        }
        ensure!(begun.elapsed() < ALL_LIVE, "only {live} of {SESSIONS} sessions are live");
        sleep(Duration::from_millis(200)).await;
    }
    let (mut most, begun) = (0, Instant::now());
    while begun.elapsed() < LIVE {
        most = most.max(resident_bytes(pid).context("the edge has ended")?);
        sleep(Duration::from_millis(250)).await;
    }
    Ok((most as f64, before as f64))
}

fn created(system: &System, identifier: &str, description: &str) -> Vec<u8> {
    let linear = &system.kept.linear;
    let (session, issue) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let mut hooks = AgentSessionWebhooks::new(&linear.organization_id, &linear.app_user_id, &session, &issue);
    identifier.clone_into(&mut hooks.identifier);
    hooks.title = format!("Talk, {identifier}");
    description.clone_into(&mut hooks.description);
    hooks.comment_id = Uuid::new_v4().to_string();
    hooks.created_by_delegation(now_ms()).to_string().into_bytes()
}
