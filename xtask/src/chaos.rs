//! `chaos proxy`: the loss table. Edges, links and workerd break while a thousand deliveries are on their way.
//!
//! `plan` draws everything from the seed, `link` breaks connections, `edge` and `sender` play their parts,
//! `round` lets it happen, `ledger` counts. The table comes from the executors' files, never from the hub.

mod edge;
mod kill;
mod ledger;
mod limits;
mod link;
mod plan;
mod round;
mod sender;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::parts::{self, PREBUILT, Parts};
use crate::progress::Progress;
use crate::wasm::{self, Profile};
use plan::Scale;
use round::{Report, Stage};
pub use sender::now_ms;

/// Set to run this program instead of the `cyrus-chaos-edge` built here.
const EDGE: &str = "CYRUS_CHAOS_EDGE";

/// Break things by a seed and count what was lost
#[derive(clap::Subcommand)]
pub enum Command {
    Proxy(Args),
    Edge(kill::Args),
}

/// Count deliveries that are lost, doubled or reordered while everything around them breaks
///
/// Prints the seed first and one line last; 0 only if nothing was lost, doubled or reordered, all was done, and
/// nothing moved because workerd was away. The same seed plays the same plan again.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask chaos proxy
  cargo xtask chaos proxy --seed 7 --rounds 20
  cargo xtask chaos proxy --deliveries 150 --fault no-fencing --expect-damage")]
pub struct Args {
    /// Draws the plan [default: a new one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Play so many seeds, from this one on
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Distinct deliveries; fewer than 500 make a short round
    #[arg(long, default_value_t = 1_000, value_parser = deliveries)]
    deliveries: usize,
    /// Use Workers without this guard: damage has to show
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// Succeed only if a table shows damage; the rounds end with the first that does
    #[arg(long)]
    expect_damage: bool,
    /// Keep logs and ledgers of good rounds too
    #[arg(long)]
    keep: bool,
}

/// A guard that is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Fault {
    /// Acks under an old token are taken
    NoFencing,
    /// Every delivery is a new event
    NoDedupe,
}

impl Fault {
    /// The cargo feature of the proxy, and the folder of its build.
    fn feature(self) -> &'static str {
        match self {
            Self::NoFencing => "chaos-no-fencing",
            Self::NoDedupe => "chaos-no-dedupe",
        }
    }
}

fn deliveries(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 20..=100_000) => Ok(count),
        _ => Err("it takes a number from 20 to 100000".to_owned()),
    }
}

/// Runs it.
pub fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Proxy(args) => proxy(args),
        Command::Edge(args) => kill::run(args),
    }
}

fn proxy(args: &Args) -> Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    println!("seed={seed}");
    let progress = Progress::new();
    let (mut parts, edge) = build(args.fault, &progress)?;
    let frozen = tempfile::Builder::new().prefix("cyrus-chaos-parts-").tempdir()?;
    let edge = freeze(&mut parts, &edge, frozen.path())?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime did not start")?;
    let mut reports = Vec::new();
    for seed in (0..args.rounds).map(|number| seed.wrapping_add(number)) {
        progress.step(&format!("playing seed {seed}"));
        let report = runtime.block_on(one(args, seed, &parts, &edge))?;
        progress.done();
        eprint!("{}", report.explanation());
        println!("{}", report.line());
        let enough = args.expect_damage && report.is_damaged();
        reports.push(report);
        if enough {
            break;
        }
    }
    if args.rounds > 1 {
        println!("{}", summary(&reports, seed));
    }
    let good = if args.expect_damage {
        reports.iter().any(Report::is_damaged)
    } else {
        reports.iter().all(Report::is_good)
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn one(args: &Args, seed: u64, parts: &Parts, edge: &Path) -> Result<Report> {
    let folder = tempfile::Builder::new().prefix(&format!("cyrus-chaos-{seed}-")).tempdir()?;
    let stage = Stage { scale: Scale::of(args.deliveries), parts, edge, folder: folder.path().to_owned() };
    let outcome = stage.play(seed).await;
    let good = outcome.as_ref().is_ok_and(|report| report.is_good() || args.expect_damage);
    if args.keep || !good {
        eprintln!("  logs and ledgers of seed {seed} are in {}", folder.keep().display());
    }
    outcome
}

/// Copies what is started again and again, so that a build meanwhile changes nothing between two lives of it.
fn freeze(parts: &mut Parts, edge: &Path, folder: &Path) -> Result<PathBuf> {
    for (entry, name) in [(&mut parts.workers.proxy, "proxy"), (&mut parts.workers.panel, "panel")] {
        let to = folder.join(name);
        std::fs::create_dir(&to)?;
        for file in std::fs::read_dir(entry.parent().context("a build has a folder")?)? {
            let file = file?;
            std::fs::copy(file.path(), to.join(file.file_name()))?;
        }
        *entry = to.join(entry.file_name().context("a build has an entry")?);
    }
    let to = folder.join(edge.file_name().context("a program has a name")?);
    std::fs::copy(edge, &to).with_context(|| edge.display().to_string())?;
    Ok(to)
}

/// The sums of all rounds.
fn summary(reports: &[Report], seed: u64) -> String {
    let sum = |of: fn(&Report) -> usize| reports.iter().map(of).sum::<usize>();
    format!(
        "lost={} doubled={} reordered={} done={} stale={} moved_by_outage={} rounds={} good={} seed={seed}",
        sum(|report| report.table.lost.len()),
        sum(|report| report.table.doubled.len()),
        sum(|report| report.table.reordered.len()),
        sum(|report| report.table.done),
        sum(|report| report.table.stale.len()),
        sum(|report| report.moved_by_outage.len()),
        reports.len(),
        reports.iter().filter(|report| report.is_good()).count(),
    )
}

/// The Workers, faulty or not, and `cyrus-chaos-edge`.
fn build(fault: Option<Fault>, progress: &Progress) -> Result<(Parts, PathBuf)> {
    let mut parts = Parts::build(false, progress)?;
    let given = std::env::var_os(EDGE).map(PathBuf::from);
    let prebuilt = std::env::var_os(PREBUILT).is_some();
    if !prebuilt && given.is_none() {
        progress.step("building the edge of the loss table");
        let what = ["build", "-p", "edge-worker", "--features", "chaos", "--bin", "cyrus-chaos-edge"];
        parts::cargo(&parts.tools, &what)?;
        progress.done();
    }
    let edge = given.unwrap_or_else(|| parts.tools.target.join("debug/cyrus-chaos-edge"));
    if let Some(fault) = fault {
        parts.workers.proxy = if prebuilt {
            wasm::faulty_proxy(&parts.tools, Profile::Dev, fault.feature())
        } else {
            let _lock = parts::lock(&parts.tools, progress)?;
            wasm::build_faulty_proxy(&parts.tools, Profile::Dev, fault.feature(), progress)?
        };
    }
    for path in [&edge, &parts.workers.proxy] {
        if !path.exists() {
            bail!("{PREBUILT} is set, but {} is not there; unset it", path.display());
        }
    }
    Ok((parts, edge))
}

/// What `chaos edge` needs, with and without kills.
pub fn build_edge(progress: &Progress) -> Result<()> {
    kill::build_all(progress)
}

/// Everything that any form of `chaos proxy` needs.
pub fn build_all(progress: &Progress) -> Result<()> {
    for fault in Fault::value_variants() {
        build(Some(*fault), progress)?;
    }
    Ok(())
}

fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed.
    u64::from(since.subsec_nanos()) % 1_000_000
}
