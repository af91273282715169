//! `bench depth`: what a long past and a long queue cost, and whether retention gives the storage back.
//!
//! Two hubs of one workerd take turns, with the same three workers each: one that is measured, one whose only slot is
//! taken, one that is away. The deep hub holds 100,000 done events beside, 2,500 pending ones that wait for room at the
//! second worker and 2,500 that wait for the third. They are written while workerd is stopped ([`past`]). The sessions
//! that are measured are of the first worker's team, so that every hand-out and every freed slot has to find its way
//! past what waits. No JavaScript Worker takes part.

mod past;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use testkit::webhook::AgentSessionWebhooks;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::load::{Connection, Webhook, now_ms, session};
use super::reader::{self, Line, Worker};
use super::sample::{Estimate, percentile};
use super::side::{Side, Tenant, Whose};
use super::{Figure, Options};
use crate::progress::Progress;
use crate::tools::Tools;
use past::Copies;

const DONE: usize = 100_000;
/// Half of them wait for room, half for a worker that is away.
const PENDING: usize = 5_000;
/// Retention while it is watched, in ms.
const SHORT_MS: u64 = 1_000;
/// Longest wait for it.
const RETENTION: Duration = Duration::from_secs(300);

/// The workers of one hub.
struct Hub {
    tenant: Tenant,
    measured: Worker,
    full: Worker,
    away: Worker,
    lines: mpsc::UnboundedReceiver<Line>,
    out: mpsc::UnboundedSender<Line>,
    reading: Vec<JoinHandle<()>>,
}

/// What one round of one hub gave, in ms.
#[derive(Default)]
struct Round {
    hand_out: Vec<f64>,
    ack: Vec<f64>,
}

/// Measures.
pub async fn figures(tools: &Tools, options: &Options, progress: &Progress) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    // Nobody's session moves and nothing is offered a second time while this runs.
    let settings =
        json!({"takeoverAfterMs": 86_400_000, "leaseMs": 3_600_000, "workerHeartbeatMs": 1_000_000});
    let mut side = Side::start(tools, Whose::Ours, folder.path(), &settings).await?;
    progress.step(&format!("depth: writing {DONE} done and {PENDING} pending events"));
    let mut hubs = [Hub::open(&mut side).await?, Hub::open(&mut side).await?];
    let copies = hubs[0].templates(&side).await?;
    hubs[1].templates(&side).await?;
    side.kill();
    past::write(&past::file_of(&side.state, &hubs[0].tenant.key_hash)?, &copies)?;
    side.restart(&json!({})).await?;
    for hub in &mut hubs {
        hub.connect().await?;
    }

    let mut p50 = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    for round in 0..=options.rounds {
        progress.step(&format!("depth: round {round} of {}", options.rounds));
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let count = if round == 0 { options.deliveries.min(50) } else { options.deliveries };
            let measured = hubs[which].round(&side, count).await?;
            if round > 0 {
                p50[which].0.push(percentile(&measured.hand_out, 0.5));
                p50[which].1.push(percentile(&measured.ack, 0.5));
            }
        }
    }
    let [deep, empty] = &p50;
    let ratio = Estimate::of_ratio;
    let mut figures = vec![
        Figure::told("depthHandOutDeepMs", Estimate::of(&deep.0)),
        Figure::told("depthHandOutEmptyMs", Estimate::of(&empty.0)),
        Figure::at_most("depthHandOutRatio", ratio(&deep.0, &empty.0), 1.5),
        Figure::told("depthAckDeepMs", Estimate::of(&deep.1)),
        Figure::told("depthAckEmptyMs", Estimate::of(&empty.1)),
        Figure::at_most("depthAckRatio", ratio(&deep.1, &empty.1), 1.5),
    ];
    hubs.iter().for_each(Hub::disconnect);
    progress.step("depth: waiting for retention");
    figures.extend(retention(&mut side, &hubs[0].measured).await?);
    progress.done();
    Ok(figures)
}

impl Hub {
    async fn open(side: &mut Side) -> Result<Self> {
        let tenant = side.tenant().await?;
        let (out, lines) = mpsc::unbounded_channel();
        let measured = Worker::register(side, &tenant, 250, &["MEASURED"]).await?;
        let full = Worker::register(side, &tenant, 1, &["FULL"]).await?;
        let away = Worker::register(side, &tenant, 1, &["AWAY"]).await?;
        Ok(Self { tenant, measured, full, away, lines, out, reading: Vec::new() })
    }

    async fn connect(&mut self) -> Result<()> {
        for (index, worker) in [&self.measured, &self.full].into_iter().enumerate() {
            self.reading.push(worker.stream(index, self.out.clone()).await?.1);
        }
        Ok(())
    }

    fn disconnect(&self) {
        self.reading.iter().for_each(JoinHandle::abort);
    }

    /// Brings one session of each kind about: done, waiting for room, waiting for a worker that is away.
    async fn templates(&mut self, side: &Side) -> Result<[Copies; 3]> {
        self.connect().await?;
        let away = self.away.stream(2, self.out.clone()).await?.1;

        let done = self.begin(side, "MEASURED").await?;
        let line = reader::event(&mut self.lines, Some(&done.issue_id)).await?;
        ensure!(self.measured.ack(&line.line, "done").await? == "ok", "done");

        let taken = self.begin(side, "FULL").await?;
        let line = reader::event(&mut self.lines, Some(&taken.issue_id)).await?;
        ensure!(self.full.ack(&line.line, "accepted").await? == "ok", "accepted");
        let waiting = self.begin(side, "FULL").await?;

        let left = self.begin(side, "AWAY").await?;
        let line = reader::event(&mut self.lines, Some(&left.issue_id)).await?;
        ensure!(self.away.ack(&line.line, "accepted").await? == "ok", "accepted");
        away.abort();
        tokio::time::sleep(Duration::from_millis(500)).await;
        send(side, &left, &left.prompted("activity", "More", now_ms())).await?;

        self.disconnect();
        let copies = |hooks: AgentSessionWebhooks, count| Copies {
            session_key: hooks.issue_id,
            agent_session: hooks.agent_session_id,
            count,
        };
        Ok([copies(done, DONE), copies(waiting, PENDING / 2), copies(left, PENDING / 2)])
    }

    async fn begin(&self, side: &Side, team: &str) -> Result<AgentSessionWebhooks> {
        let mut hooks = session(&self.tenant);
        hooks.team_key = team.into();
        send(side, &hooks, &hooks.created_by_delegation(now_ms())).await?;
        Ok(hooks)
    }

    async fn round(&mut self, side: &Side, count: usize) -> Result<Round> {
        let mut connection = Connection::open(side.address).await?;
        let mut round = Round::default();
        for _ in 0..count {
            let mut hooks = session(&self.tenant);
            hooks.team_key = "MEASURED".into();
            let webhook = Webhook::of(side, &hooks, &hooks.created_by_delegation(now_ms()).to_string());
            let sent = Instant::now();
            connection.send(&webhook).await?;
            let line = reader::event(&mut self.lines, Some(&webhook.session_key)).await?;
            round.hand_out.push(line.read.duration_since(sent).as_secs_f64() * 1000.0);
            let sent = Instant::now();
            ensure!(self.measured.ack(&line.line, "done").await? == "ok", "an ack was not taken");
            round.ack.push(sent.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(round)
    }
}

async fn send(side: &Side, hooks: &AgentSessionWebhooks, body: &serde_json::Value) -> Result<()> {
    Connection::open(side.address).await?.send(&Webhook::of(side, hooks, &body.to_string())).await
}

/// The storage before retention is short and after it has done its work.
async fn retention(side: &mut Side, worker: &Worker) -> Result<Vec<Figure>> {
    let before = storage(worker).await?;
    side.restart(&json!({"retentionMs": SHORT_MS})).await?;
    let began = Instant::now();
    // What stays is 7,500 open events of 107,500 and the sessions of those.
    let enough = (before * 0.15).round();
    loop {
        let now = storage(worker).await?;
        if now <= enough {
            return Ok(vec![
                Figure::counted("depthStorageBeforeBytes", before),
                Figure::new("depthStorageAfterBytes", now, enough),
                Figure::counted("depthRetentionSeconds", began.elapsed().as_secs_f64()),
            ]);
        }
        if began.elapsed() > RETENTION {
            bail!("retention left {now} of {before} bytes after {} s", RETENTION.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn storage(worker: &Worker) -> Result<f64> {
    worker.get("/v1/status").await?["storageBytes"].as_f64().context("no storageBytes")
}
