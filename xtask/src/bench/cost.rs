//! `bench cost`: what 1,000 sessions and an idle hour of ten edges cost at Cloudflare, from counted things ([`prices`]).
//!
//! Sessions: ten raw workers of four slots; each session is a webhook, an offer, `accepted`, `done`, and its share of the
//! heartbeats of twenty minutes. They run without pauses, so the wall time of the run is an upper bound of the time in
//! which the hub does something. The idle hour: as many planned reconnects as an hour has, in three minutes; `--full` takes
//! the hour. CPU is that of all of workerd, so it is an upper bound too.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use shared::settings::Settings;
use shared::status::{HubStatus, Wakes};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::load::{Connection, Webhook};
use super::prices::{self, Usage};
use super::reader::{self, Line, Worker};
use super::side::{Side, Whose};
use super::{Figure, Options, cpu};
use crate::progress::Progress;
use crate::tools::Tools;

const SESSIONS: usize = 1_000;
const WORKERS: usize = 10;
const SLOTS: usize = 4;
/// How long a session runs.
const SESSION_MS: u64 = 20 * 60_000;
const HOUR: Duration = Duration::from_secs(3600);
/// Of a month, as the price list counts it.
const HOURS: f64 = 720.0;
/// The idle stretch that stands for an hour.
const STRETCH: Duration = Duration::from_secs(180);
/// How much of its time reconnects may take of the hub, in ms an hour.
const IDLE_MS: f64 = 1_000.0;

/// Counts and prices.
pub async fn figures(tools: &Tools, options: &Options, progress: &Progress) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let mut side = Side::start(tools, Whose::Ours, folder.path(), &json!({"countRows": true})).await?;
    progress.step(&format!("cost: {SESSIONS} sessions"));
    let outcome = sessions(&mut side).await;
    let mut figures = told("Sessions", &side.explain(outcome)?);

    let stretch = if options.full { HOUR } else { STRETCH };
    let reconnects = HOUR.as_millis() as u64 / Settings::default().stream_max_ms;
    let stream_max_ms = stretch.as_millis() as u64 / reconnects;
    side.restart(&json!({"streamMaxMs": stream_max_ms})).await?;
    progress.step(&format!(
        "cost: ten idle edges for {} s, {reconnects} planned reconnects each",
        stretch.as_secs()
    ));
    let outcome = idle(&mut side, stretch, stream_max_ms).await;
    figures.extend(side.explain(outcome)?);
    progress.say(&format!("cost: by Cloudflare's price list as read on {}", prices::READ_ON));
    Ok(figures)
}

fn told(of: &str, usage: &Usage) -> Vec<Figure> {
    let name = |what: &str| format!("cost{of}{what}");
    vec![
        Figure::counted(name("WorkerRequests"), usage.worker_requests),
        Figure::counted(name("HubRequests"), usage.object_requests),
        Figure::counted(name("HubSeconds"), usage.object_seconds),
        Figure::counted(name("RowsRead"), usage.rows_read),
        Figure::counted(name("RowsWritten"), usage.rows_written),
        Figure::counted(name("CpuMs"), usage.cpu_ms),
        Figure::counted(name("MicroUsd"), usage.dollars() * 1e6),
    ]
}

/// What is known of the hub at one moment.
struct Reading {
    wakes: Wakes,
    cpu_ms: f64,
    at: Instant,
}

impl Reading {
    async fn take(side: &Side, worker: &Worker) -> Result<Self> {
        let status: HubStatus = serde_json::from_value(worker.get("/v1/status").await?)?;
        Ok(Self { wakes: status.wakes, cpu_ms: cpu::used_ms(side.pid)?, at: Instant::now() })
    }

    /// From `before` to this one, the request that this one was left out.
    fn since(&self, before: &Self, worker_requests: usize) -> Usage {
        let (now, then) = (self.wakes, before.wakes);
        let counted = |now: u64, then: u64| (now - then) as f64;
        Usage {
            worker_requests: worker_requests as f64,
            cpu_ms: self.cpu_ms - before.cpu_ms,
            // The end of a WebSocket is a message to the object, which is billed as a twentieth of a request.
            object_requests: counted(now.requests, then.requests) - 1.0
                + counted(now.alarms, then.alarms)
                + counted(now.sockets, then.sockets) / 20.0,
            object_seconds: (self.at - before.at).as_secs_f64(),
            rows_read: counted(now.rows_read, then.rows_read),
            // Each alarm was set, which is billed as a row.
            rows_written: counted(now.rows_written, then.rows_written) + counted(now.alarms, then.alarms),
        }
    }
}

async fn sessions(side: &mut Side) -> Result<Usage> {
    let tenant = side.tenant().await?;
    let (out, mut lines) = mpsc::unbounded_channel();
    let (mut workers, mut reading) = (Vec::new(), Vec::new());
    for index in 0..WORKERS {
        let worker = Worker::register(side, &tenant, SLOTS as u32, &[]).await?;
        reading.push(worker.stream(index, out.clone()).await?.1);
        workers.push(worker);
    }
    let mut connection = Connection::open(side.address).await?;
    let before = Reading::take(side, &workers[0]).await?;
    let mut requests = 0;
    for _ in 0..SESSIONS / (WORKERS * SLOTS) {
        for _ in 0..WORKERS * SLOTS {
            connection.send(&Webhook::created(side, &tenant)).await?;
            requests += 1;
        }
        let mut offers: HashMap<usize, Vec<Value>> = HashMap::new();
        for _ in 0..WORKERS * SLOTS {
            let offer = reader::event(&mut lines, None).await;
            let Ok(Line { stream, line, .. }) = offer else {
                bail!(
                    "an offer is missing after {requests} requests: {}",
                    workers[0].get("/v1/status").await?
                );
            };
            offers.entry(stream).or_default().push(line);
        }
        let mut busy = JoinSet::new();
        for (stream, offers) in offers {
            busy.spawn(twenty_minutes(workers[stream].clone(), offers));
        }
        while let Some(sent) = busy.join_next().await {
            requests += sent??;
        }
    }
    let after = Reading::take(side, &workers[0]).await?;
    reading.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(after.since(&before, requests))
}

/// What one worker sends while it runs these sessions; gives the number of requests.
async fn twenty_minutes(worker: Worker, offers: Vec<Value>) -> Result<usize> {
    for offer in &offers {
        ensure!(worker.ack(offer, "accepted").await? == "ok", "accepted");
    }
    let leases: Vec<Value> = offers
        .iter()
        .map(|offer| json!({"sessionKey": offer["sessionKey"], "token": offer["token"]}))
        .collect();
    let beat = json!({"leases": leases, "slots": SLOTS, "used": offers.len(), "linearUsed": 10});
    let beats = SESSION_MS / Settings::default().worker_heartbeat_ms;
    for _ in 0..beats {
        let answer = worker.post("/v1/heartbeats", &beat).await?;
        ensure!(answer["lost"] == json!([]), "a lease was lost: {answer}");
    }
    for offer in &offers {
        ensure!(worker.ack(offer, "done").await? == "ok", "done");
    }
    Ok(2 * offers.len() + beats as usize)
}

async fn idle(side: &mut Side, stretch: Duration, stream_max_ms: u64) -> Result<Vec<Figure>> {
    let tenant = side.tenant().await?;
    let (tell, mut opened) = mpsc::unbounded_channel();
    let observer = Worker::register(side, &tenant, 1, &["NONE"]).await?;
    let mut edges = JoinSet::new();
    let apart = Duration::from_millis(stream_max_ms) / WORKERS as u32;
    for _ in 0..WORKERS {
        edges.spawn(edge(Worker::register(side, &tenant, SLOTS as u32, &[]).await?, tell.clone()));
        // Edges do not start in step, so they do not come back in step.
        tokio::time::sleep(apart).await;
    }
    // Between two reconnects, so that none is cut in half at either end.
    tokio::time::sleep(apart / 2).await;
    while opened.try_recv().is_ok() {}
    let before = Reading::take(side, &observer).await?;
    tokio::time::sleep(stretch).await;
    let after = Reading::take(side, &observer).await?;
    edges.abort_all();
    let mut waits = Vec::new();
    while let Ok(took) = opened.try_recv() {
        waits.push(took);
    }
    let hub_ms = waits.iter().sum::<f64>();
    let reconnects = waits.len();
    let (now, then) = (after.wakes, before.wakes);
    // The request that asks is no wake of the edges'; a planned reconnect is one request and the end of the older stream.
    let planned = reconnects as u64;
    let unplanned = (now.requests - then.requests).saturating_sub(planned + 1)
        + (now.alarms - then.alarms)
        + (now.sockets - then.sockets).saturating_sub(planned);
    let usage = Usage { object_seconds: hub_ms / 1000.0, ..after.since(&before, reconnects) };
    // The same hub kept in memory by the same streams.
    let resident = Usage { object_seconds: HOUR.as_secs_f64(), ..usage };
    let mut figures = told("IdleHour", &usage);
    figures.extend([
        Figure::counted("costIdleHourReconnects", reconnects as f64),
        Figure::counted("costIdleHourLives", (now.lives - then.lives) as f64),
        Figure::counted("costIdleHourUnplannedWakes", unplanned as f64),
        Figure::new("costIdleHourHubMs", hub_ms, IDLE_MS),
        Figure::counted("costIdleMonthUsd", usage.times(HOURS).dollars()),
        Figure::counted("costIdleMonthWithoutHibernationUsd", resident.times(HOURS).dollars()),
    ]);
    ensure!(
        unplanned == 0,
        "an idle hub was woken {unplanned} times beyond {planned} reconnects: {then:?}, then {now:?}"
    );
    Ok(figures)
}

/// An edge that comes back whenever its stream ends; tells how long each opening took until `hello`, in ms.
async fn edge(worker: Worker, told: mpsc::UnboundedSender<f64>) -> Result<()> {
    loop {
        let (out, mut lines) = mpsc::unbounded_channel();
        let began = Instant::now();
        let (_, reading) = worker.stream(0, out).await?;
        told.send(began.elapsed().as_secs_f64() * 1000.0).context("nobody listens")?;
        while let Some(Line { line, .. }) = lines.recv().await {
            if line["type"] == "reconnect" {
                break;
            }
        }
        reading.abort();
    }
}
