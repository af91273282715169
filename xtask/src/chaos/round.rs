//! One round: starts a system and the edges, lets the plan happen, waits until nothing is left to do, and counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;
use shared::worker::WorkerState;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::edge::{Edge, Launch};
use super::ledger::{self, Table};
use super::link::{Injected, Link};
use super::plan::{EDGES, GRACE_MS, LEASE_MS, Plan, Scale};
use super::sender::{self, Answers, Target};
use crate::parts::Parts;
use crate::progress::Progress;
use crate::up::Interrupts;
use crate::up::kept::Kept;
use crate::up::plan::Plan as Cast;
use crate::up::setting;
use crate::up::state::{StateDir, last_lines};
use crate::up::system::{Ready, System};

/// All edges must be on line by then.
const ON_LINE: Duration = Duration::from_secs(30);
/// The round is over when nothing has been handled for this long.
const STILL: Duration = Duration::from_secs(30);
/// Sessions that one edge runs at once.
const SLOTS: u32 = 100;

/// What a full round must have injected at least once.
const FAULTS: [&str; 11] = [
    "answer_dropped",
    "cut",
    "delayed",
    "half_open",
    "killed",
    "killed_long",
    "paused",
    "repeated",
    "repeated_late",
    "request_dropped",
    "stall",
];

/// How a round went.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// How many deliveries there were.
    pub deliveries: usize,
    /// From the ledgers.
    pub table: Table,
    /// What moved because workerd was away.
    pub moved_by_outage: Vec<String>,
    /// Every count that is only told.
    pub counts: BTreeMap<&'static str, u64>,
    /// What else went wrong, in words.
    pub wrong: Vec<String>,
    /// What the hub said after a round that was not good.
    pub hub: Vec<String>,
}

impl Report {
    /// Whether everything was done once and in order, and the round was one.
    pub fn is_good(&self) -> bool {
        let table = &self.table;
        let columns = [&table.lost, &table.doubled, &table.reordered, &table.stale, &table.foreign];
        columns.iter().all(|column| column.is_empty())
            && table.done == self.deliveries
            && self.moved_by_outage.is_empty()
            && self.wrong.is_empty()
    }

    /// Whether deliveries were lost, doubled or reordered.
    pub fn is_damaged(&self) -> bool {
        let table = &self.table;
        !(table.lost.is_empty() && table.doubled.is_empty() && table.reordered.is_empty())
    }

    /// The line.
    pub fn line(&self) -> String {
        let Self { seed, table, moved_by_outage, counts, wrong, .. } = self;
        let moved_by_outage = moved_by_outage.len();
        let mut line = format!(
            "lost={} doubled={} reordered={} done={} stale={} foreign={} moved_by_outage={moved_by_outage} moved={}",
            table.lost.len(),
            table.doubled.len(),
            table.reordered.len(),
            table.done,
            table.stale.len(),
            table.foreign.len(),
            table.moves.len(),
        );
        for (name, count) in counts {
            // Writing to a text does not fail.
            let _ = write!(line, " {name}={count}");
        }
        let _ = write!(line, " wrong={} seed={seed}", wrong.len());
        line
    }

    /// What is behind the numbers that should be 0.
    pub fn explanation(&self) -> String {
        let table = &self.table;
        let columns = [
            ("lost", &table.lost),
            ("doubled", &table.doubled),
            ("reordered", &table.reordered),
            ("stale", &table.stale),
            ("foreign", &table.foreign),
            ("moved by the outage", &self.moved_by_outage),
            ("wrong", &self.wrong),
            ("the hub", &self.hub),
        ];
        let lines = columns
            .iter()
            .flat_map(|(name, all)| all.iter().take(20).map(move |one| format!("  {name}: {one}\n")));
        lines.collect()
    }
}

/// What every round is made of.
pub struct Stage<'a> {
    /// How much happens.
    pub scale: Scale,
    /// The Workers.
    pub parts: &'a Parts,
    /// `cyrus-chaos-edge`.
    pub edge: &'a Path,
    /// Where it may write.
    pub folder: PathBuf,
}

impl Stage<'_> {
    /// Plays the seed's plan.
    pub async fn play(&self, seed: u64) -> Result<Report> {
        let plan = Plan::of(seed, self.scale);
        let state = StateDir::open(&self.folder)?;
        let kept = Kept::load_or_make(&state)?;
        let target_of = |proxy: &str, kept: &Kept| Target {
            url: format!("{proxy}/webhooks/linear"),
            secret: kept.linear_webhook_secret.clone(),
            workspace: kept.linear.organization_id.clone(),
            app_user: kept.linear.app_user_id.clone(),
        };
        let mut system = System::new(cast()?, state, kept, self.parts.clone(), Progress::quiet());
        let outcome = async {
            let ready = system.start().await?;
            let target = target_of(&ready.panel.proxy_url, &system.kept);
            self.happen(seed, plan, &system, &ready, target).await
        };
        let outcome = tokio::select! {
            outcome = outcome => outcome,
            outcome = interrupted() => outcome,
        };
        system.stop().await;
        outcome
    }

    async fn happen(
        &self,
        seed: u64,
        plan: Plan,
        system: &System,
        ready: &Ready,
        target: Target,
    ) -> Result<Report> {
        let injected = Injected::default();
        let edges = self.edges(&plan, ready, &injected).await?;
        on_line(ready, &self.folder).await?;
        let begun = Instant::now();
        let begun_at = sender::now_ms();
        let mut suffering = JoinSet::new();
        for (number, edge) in edges.into_iter().enumerate() {
            edge.link.noise(true);
            let faults = plan.faults.iter().filter(|fault| fault.edge == number).copied().collect();
            suffering.spawn(edge.suffer(faults, begun));
        }
        let outages = async {
            for outage in &plan.outages {
                sleep_until(begun + Duration::from_millis(outage.at)).await;
                system.outage(Duration::from_millis(outage.hold)).await?;
                injected.count(if outage.hold == 0 { "workerd_killed" } else { "workerd_held" });
            }
            anyhow::Ok(())
        };
        let (answers, outages) = tokio::join!(sender::run(&plan.deliveries, &target, begun), outages);
        let answers = answers?;
        outages?;
        let mut edges = Vec::new();
        while let Some(edge) = suffering.join_next().await {
            edges.push(edge??);
        }
        self.settle(&plan, &mut edges).await?;
        let table = Table::of(&ledger::read(&self.ledgers())?, &plan.deliveries);
        let mut report = Report { seed, deliveries: plan.deliveries.len(), table, ..Report::default() };
        report.moved_by_outage = self.moved_by_outage(&plan, &report.table, begun_at);
        report.counts = counts(&injected, &answers);
        report.counts.insert("seconds", begun.elapsed().as_secs());
        report.wrong = self.wrong(&report, &edges, &answers);
        if !report.is_good() {
            report.hub = hub(ready).await;
        }
        for edge in edges {
            edge.stop().await;
        }
        Ok(report)
    }

    async fn edges(&self, plan: &Plan, ready: &Ready, injected: &Injected) -> Result<Vec<Edge>> {
        let upstream: SocketAddr = ready.panel.proxy_url.trim_start_matches("http://").parse()?;
        let ledgers = self.ledgers();
        std::fs::create_dir_all(&ledgers)?;
        let mut edges = Vec::new();
        for (number, (seed, weight)) in plan.posts.iter().zip(&plan.weights).enumerate() {
            let name = format!("edge-{}", number + 1);
            let link = Link::start(upstream, fastrand::Rng::with_seed(*seed), injected.clone()).await?;
            let transport = if number % 2 == 0 { "ndjson" } else { "websocket" };
            let hold = self.folder.join(format!("{name}.hold"));
            let path = |path: PathBuf| path.display().to_string();
            let arguments = [
                ["--proxy".to_owned(), link.url.clone()],
                ["--state".to_owned(), path(self.folder.join(&name))],
                ["--ledger".to_owned(), path(ledgers.join(format!("{name}.ndjson")))],
                ["--ledgers".to_owned(), path(ledgers.clone())],
                ["--name".to_owned(), name.clone()],
                ["--slots".to_owned(), SLOTS.to_string()],
                ["--weight".to_owned(), weight.to_string()],
                ["--transport".to_owned(), transport.to_owned()],
                ["--hold".to_owned(), path(hold.clone())],
            ];
            let launch = Launch {
                program: self.edge.to_owned(),
                arguments: arguments.into_iter().flatten().collect(),
                key: ready.worker_key.clone(),
                hold,
                log: self.folder.join(format!("{name}.log")),
            };
            edges.push(Edge::start(launch, link, injected.clone())?);
        }
        Ok(edges)
    }

    fn ledgers(&self) -> PathBuf {
        self.folder.join("ledgers")
    }

    /// Waits until everything is handled, or nothing more happens; then until a late second time would show.
    async fn settle(&self, plan: &Plan, edges: &mut [Edge]) -> Result<()> {
        for edge in &*edges {
            edge.link.noise(false);
        }
        let (mut lines, mut changed) = (0, Instant::now());
        while changed.elapsed() < STILL {
            let now = ledger::read(&self.ledgers())?;
            if now.len() != lines {
                (lines, changed) = (now.len(), Instant::now());
            }
            if Table::of(&now, &plan.deliveries).lost.is_empty() {
                break;
            }
            alive_for(edges, Duration::from_millis(500)).await?;
        }
        alive_for(edges, Duration::from_millis(LEASE_MS + GRACE_MS + 2_000)).await
    }

    /// No edge is harmed in the quiet time, and what earlier harm moves has moved before the long outage begins: what
    /// moves between that and the end of the quiet time moves because workerd was away.
    fn moved_by_outage(&self, plan: &Plan, table: &Table, begun_at: i64) -> Vec<String> {
        let Some((_, quiet_until)) = self.scale.quiet else { return Vec::new() };
        let Some(outage) = plan.outages.iter().find(|outage| outage.hold > 0) else { return Vec::new() };
        let time = |ms: u64| begun_at + i64::try_from(ms).unwrap_or(i64::MAX);
        table.moves_within(time(outage.at), time(quiet_until)).map(|one| one.told.clone()).collect()
    }

    fn wrong(&self, report: &Report, edges: &[Edge], answers: &Answers) -> Vec<String> {
        let mut wrong = Vec::new();
        for how in edges.iter().flat_map(|edge| &edge.ended_by_itself) {
            wrong.push(format!("an edge ended by itself: {how}"));
        }
        let asked = [(&answers.refused, "refused"), (&answers.never_taken, "never took")];
        for (count, what) in asked.map(|(column, what)| (column.load(Ordering::Relaxed), what)) {
            if count > 0 {
                wrong.push(format!("the proxy {what} {count} good webhooks"));
            }
        }
        if self.scale.is_full() {
            let count = |name: &str| report.counts.get(name).copied().unwrap_or_default();
            let missing = FAULTS.iter().filter(|name| count(name) == 0);
            wrong.extend(missing.map(|name| format!("the fault `{name}` never happened")));
            if count("workerd_killed") + count("workerd_held") < self.scale.kills as u64 {
                wrong.push("workerd was not killed as often as planned".to_owned());
            }
        }
        wrong
    }
}

async fn interrupted() -> Result<Report> {
    Interrupts::new()?.next().await;
    bail!("interrupted")
}

/// Delivery's numbers, short.
fn cast() -> Result<Cast> {
    let settings = [
        format!("leaseMs={LEASE_MS}"),
        format!("takeoverAfterMs={GRACE_MS}"),
        "workerHeartbeatMs=700".to_owned(),
        "offerMs=1500".to_owned(),
        "heartbeatLineMs=1000".to_owned(),
        "firstThoughtMs=600000".to_owned(),
        "backoffMs=100".to_owned(),
        "backoffMaxMs=2000".to_owned(),
        "webhooksPerMinute=1000000".to_owned(),
    ];
    let settings = setting::parse(&settings)?;
    Ok(Cast { settings, ..Cast::default() })
}

async fn on_line(ready: &Ready, folder: &Path) -> Result<()> {
    let begun = Instant::now();
    loop {
        // The Workers may still be warming up.
        let workers = ready.panel.workers(&ready.set_up.owner_api_key).await.unwrap_or_default();
        let on_line = |state: WorkerState| matches!(state, WorkerState::Online | WorkerState::Working);
        if workers.iter().filter(|worker| on_line(worker.state)).count() == EDGES {
            return Ok(());
        }
        if begun.elapsed() > ON_LINE {
            let lines = last_lines(&folder.join("edge-1.log"), 12);
            bail!("the edges are not on line; the end of the first one's log:{lines}");
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn alive_for(edges: &mut [Edge], time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    for edge in edges {
        edge.alive_until(until).await?;
    }
    Ok(())
}

fn counts(injected: &Injected, answers: &Answers) -> BTreeMap<&'static str, u64> {
    let mut counts = injected.all();
    let columns =
        [("stored", &answers.stored), ("duplicates", &answers.duplicate), ("sent_again", &answers.again)];
    counts.extend(columns.map(|(name, column)| (name, column.load(Ordering::Relaxed))));
    counts
}

/// What the hub says of what is open. It explains a failure and counts for nothing.
async fn hub(ready: &Ready) -> Vec<String> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    let mut told = Vec::new();
    for path in [
        "/v1/status",
        "/v1/deliveries?state=dead&limit=5",
        "/v1/deliveries?state=pending&limit=5",
        "/v1/deliveries?state=offered&limit=5",
        "/v1/deliveries?state=accepted&limit=5",
    ] {
        let Ok(client) = &client else { break };
        let request = client.get(format!("{}{path}", ready.panel.proxy_url)).bearer_auth(&ready.worker_key);
        let answer = async { anyhow::Ok(request.send().await?.json::<Value>().await?) }.await;
        let text = answer.map_or_else(|error| error.to_string(), |answer| answer.to_string());
        told.push(format!("{path}: {text}"));
    }
    told
}
