//! `chaos edge --limits`: many chatty sessions at once against a Linear that lets only so many requests through.
//!
//! The agents are capture players. Judged are the stand-in's own count of requests over the limit, what has to arrive
//! whatever the limit (first thoughts, follow-ups' too, and final answers), how late the last words come, and that a quiet
//! session that is alone is told in full. What was joined or left out is told, not judged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use shared::activity_id::{Step, activity_id};
use shared::id::AgentSessionId;
use shared::time::Timestamp;
use testkit::linear::LinearHandle;
use testkit::webhook::{self, AgentSessionWebhooks};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::kill::run_file::{self, RunFile};
use super::kill::seen;
use super::sender::now_ms;
use crate::parts::{self, Parts};
use crate::progress::Progress;
use crate::up::kept::Kept;
use crate::up::plan::Plan as Cast;
use crate::up::setting;
use crate::up::state::StateDir;
use crate::up::system::{Ready, System};

/// The span that Linear's limit is for.
const WINDOW: Duration = Duration::from_secs(360);
/// The last words have to be there so long after the agent's end.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// How much happens.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    sessions: usize,
    lines: u64,
    pace_ms: u64,
    /// Requests in a window.
    limit: u32,
}

impl Scale {
    /// Three minutes of 30 chatty sessions.
    pub const WHOLE: Self = Self { sessions: 30, lines: 200, pace_ms: 900, limit: 500 };
    /// Less than a minute of eight.
    pub const SHORT: Self = Self { sessions: 8, lines: 90, pace_ms: 400, limit: 130 };
}

/// Plays it and prints one line.
pub fn run(scale: Scale, edges: usize, keep: bool, progress: &Progress) -> Result<ExitCode> {
    let (mut parts, program) = super::kill::build(progress)?;
    let player = parts::player(&parts.tools, progress)?;
    let frozen = tempfile::Builder::new().prefix("cyrus-chaos-parts-").tempdir()?;
    parts.cyrus = super::freeze(&mut parts, &program, frozen.path())?;
    let folder = tempfile::Builder::new().prefix("cyrus-chaos-limits-").tempdir()?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime did not start")?;
    progress.step(&format!("{} sessions talk at once", scale.sessions));
    let outcome = runtime.block_on(play(scale, edges, &parts, &player, folder.path()));
    progress.done();
    let good = outcome.as_ref().is_ok_and(Report::is_good);
    if keep || !good {
        eprintln!("  everything of it is kept in {}", folder.keep().display());
    }
    let report = outcome?;
    for one in report.missing.iter().chain(&report.late).chain(&report.wrong).take(40) {
        eprintln!("  {one}");
    }
    println!("{}", report.line());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the test command builds before.
pub fn build_all(parts: &Parts, progress: &Progress) -> Result<()> {
    parts::player(&parts.tools, progress).map(drop)
}

/// What came of it.
#[derive(Debug, Default)]
struct Report {
    missing: Vec<String>,
    late: Vec<String>,
    wrong: Vec<String>,
    requests: u64,
    over_limit: u64,
    sessions: usize,
    texts: usize,
    told_alone: usize,
    told_joined: usize,
    slowest_ms: i64,
    by_operation: BTreeMap<String, u64>,
}

impl Report {
    fn is_good(&self) -> bool {
        self.over_limit == 0 && self.missing.is_empty() && self.late.is_empty() && self.wrong.is_empty()
    }

    fn line(&self) -> String {
        let by: Vec<String> =
            self.by_operation.iter().map(|(name, count)| format!("{name}:{count}")).collect();
        format!(
            "over_limit={} missing={} late={} wrong={} sessions={} requests={} by={} texts={} told_alone={} joined={} left_out={} slowest_last_words_ms={}",
            self.over_limit,
            self.missing.len(),
            self.late.len(),
            self.wrong.len(),
            self.sessions,
            self.requests,
            by.join(","),
            self.texts,
            self.told_alone,
            self.told_joined,
            self.texts - self.told_alone - self.told_joined,
            self.slowest_ms,
        )
    }
}

async fn play(scale: Scale, edges: usize, parts: &Parts, player: &Path, folder: &Path) -> Result<Report> {
    let state = StateDir::open(&folder.join("state"))?;
    let kept = Kept::load_or_make(&state)?;
    let settings = [
        // A tenth of an hour is the window.
        format!("linearRequestsPerHour={}", scale.limit * 10),
        "webhooksPerMinute=1000000".to_owned(),
        "workerHeartbeatMs=5000".to_owned(),
    ];
    let cast = Cast {
        weights: vec![1; edges],
        settings: setting::parse(&settings)?,
        slots: 40,
        agent: Some(player.to_owned()),
        linear_window: Some((scale.limit, WINDOW)),
        ..Cast::default()
    };
    let mut system = System::new(cast, state, kept, parts.clone(), Progress::quiet());
    let outcome = async {
        let ready = system.start().await?;
        let stage = Stage { system: &system, ready: &ready, linear: &system.cast()?.linear };
        stage.talk(scale, edges, folder).await
    };
    let outcome = tokio::select! {
        outcome = outcome => outcome,
        outcome = interrupted() => outcome,
    };
    system.stop().await;
    outcome
}

async fn interrupted() -> Result<Report> {
    crate::up::Interrupts::new()?.next().await;
    bail!("interrupted")
}

struct Stage<'a> {
    system: &'a System,
    ready: &'a Ready,
    linear: &'a LinearHandle,
}

impl Stage<'_> {
    async fn talk(&self, scale: Scale, edges: usize, folder: &Path) -> Result<Report> {
        let mut report = Report::default();
        let quiet = self.hooks("QUIET-1", 9, 700);
        self.created(&quiet).await?;
        self.over(&quiet, Duration::from_secs(60)).await?;
        let chatty: Vec<_> = (1..=scale.sessions)
            .map(|number| self.hooks(&format!("LIMIT-{number}"), scale.lines, scale.pace_ms))
            .collect();
        for hooks in &chatty {
            self.created(hooks).await?;
            sleep(Duration::from_millis(60)).await;
        }
        let talk = Duration::from_millis(scale.lines * scale.pace_ms);
        sleep(talk / 2).await;
        // A follow-up of every third, into the running turn: its first thought has to come as well.
        let more: BTreeSet<usize> = (0..chatty.len()).step_by(3).collect();
        for index in &more {
            let body = chatty[*index].prompted(&Uuid::new_v4().to_string(), "And one thing more", now_ms());
            self.send(&body).await?;
        }
        let patience = talk + LAST_WORDS * 3;
        for hooks in &chatty {
            if let Err(error) = self.over(hooks, patience).await {
                report.wrong.push(format!("{error:#}"));
            }
        }
        let mut runs = Vec::new();
        for number in 1..=edges {
            runs.extend(run_file::all(&folder.join(format!("state/edges/{number}")))?);
        }
        for hooks in std::iter::once(&quiet).chain(&chatty) {
            self.judge(hooks, &runs, folder, edges, &mut report).await?;
        }
        let counts = self.linear.requests();
        (report.requests, report.over_limit, report.by_operation) =
            (counts.requests, counts.over_limit, counts.by_operation);
        Ok(report)
    }

    fn hooks(&self, identifier: &str, lines: u64, pace: u64) -> AgentSessionWebhooks {
        let linear = &self.system.kept.linear;
        let (session, issue) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let mut hooks =
            AgentSessionWebhooks::new(&linear.organization_id, &linear.app_user_id, &session, &issue);
        identifier.clone_into(&mut hooks.identifier);
        hooks.title = format!("Talk, {identifier}");
        hooks.description = format!("<<PLAY lines={lines} pace={pace} PLAY>>");
        hooks.comment_id = Uuid::new_v4().to_string();
        hooks
    }

    async fn created(&self, hooks: &AgentSessionWebhooks) -> Result<()> {
        self.send(&hooks.created_by_delegation(now_ms())).await
    }

    async fn send(&self, body: &Value) -> Result<()> {
        let body = body.to_string().into_bytes();
        let secret = &self.system.kept.linear_webhook_secret;
        let headers = webhook::headers(secret, &body, &Uuid::new_v4().to_string(), now_ms());
        self.ready.panel.send_webhook(headers, body).await
    }

    /// Waits for the last words of the session's first turn.
    async fn over(&self, hooks: &AgentSessionWebhooks, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        let has = || {
            let told = self.linear.agent_session(&hooks.agent_session_id).activities;
            told.iter().any(|activity| activity.kind == "response" || activity.kind == "error")
        };
        while !has() {
            ensure!(begun.elapsed() < patience, "{}: no last words within {patience:?}", hooks.identifier);
            sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    async fn judge(
        &self,
        hooks: &AgentSessionWebhooks,
        runs: &[RunFile],
        folder: &Path,
        edges: usize,
        report: &mut Report,
    ) -> Result<()> {
        report.sessions += 1;
        let name = &hooks.identifier;
        let id = AgentSessionId::from(hooks.agent_session_id.as_str());
        let told = self.linear.agent_session(&hooks.agent_session_id).activities;
        let deliveries = seen::deliveries(&self.ready.panel, &self.ready.worker_key, id.as_str()).await?;
        for delivery in &deliveries {
            let first = activity_id(&id, delivery.seq, Step::FirstThought).to_string();
            if !told.iter().any(|activity| activity.id == first) {
                report.missing.push(format!("{name}: the first thought of event {}", delivery.seq));
            }
        }
        let marked = name.to_lowercase();
        let of_session = |run: &&RunFile| {
            let cwd = run
                .cwd
                .as_deref()
                .and_then(Path::file_name)
                .map(|name| name.to_string_lossy().to_lowercase());
            cwd.is_some_and(|cwd| cwd == marked || cwd.starts_with(&format!("{marked}-")))
        };
        let ours: Vec<&RunFile> = runs.iter().filter(of_session).collect();
        let Some(run) = ours.last() else {
            report.missing.push(format!("{name}: its run"));
            return Ok(());
        };
        let Some(last) = told.iter().find(|activity| activity.kind == "response") else {
            report.missing.push(format!("{name}: the last words"));
            return Ok(());
        };
        let ended = ended_at(run, folder, edges)?;
        let said = Timestamp::parse(&last.created_at).map_or(i64::MAX, Timestamp::as_millis);
        let took = said.saturating_sub(ended);
        report.slowest_ms = report.slowest_ms.max(took);
        if took > i64::try_from(LAST_WORDS.as_millis()).unwrap_or(i64::MAX) {
            report.late.push(format!("{name}: its last words came {took} ms after the end"));
        }
        let thoughts: Vec<&str> = told
            .iter()
            .filter(|activity| activity.kind == "thought")
            .filter_map(|activity| activity.content.get("body").and_then(Value::as_str))
            .collect();
        let texts: Vec<&str> = ours.iter().flat_map(|run| run.texts()).collect();
        // The last ones are the answer.
        for text in texts.iter().take(texts.len().saturating_sub(1)) {
            report.texts += 1;
            if thoughts.contains(text) {
                report.told_alone += 1;
            } else if thoughts.iter().any(|thought| thought.contains(*text)) {
                report.told_joined += 1;
            }
            if name.starts_with("QUIET") && !thoughts.contains(text) {
                report
                    .wrong
                    .push(format!("{name} is quiet and alone, and yet `{text}` was not told by itself"));
            }
        }
        if name.starts_with("QUIET") {
            let actions = told.iter().filter(|activity| activity.kind == "action").count();
            let calls = ours.iter().map(|run| run.tool_calls().count()).sum::<usize>();
            if actions != calls {
                report.wrong.push(format!(
                    "{name} is quiet and alone, and yet {actions} of {calls} actions were told"
                ));
            }
        }
        Ok(())
    }
}

/// When the agent wrote its last line, ms since 1970.
fn ended_at(run: &RunFile, folder: &Path, edges: usize) -> Result<i64> {
    for number in 1..=edges {
        let path = folder.join(format!("state/edges/{number}/runs/{}.ndjson", run.id));
        if let Ok(meta) = std::fs::metadata(&path) {
            let since = meta.modified()?.duration_since(SystemTime::UNIX_EPOCH)?;
            return Ok(i64::try_from(since.as_millis())?);
        }
    }
    bail!("no file of run {}", run.id)
}
