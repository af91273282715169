//! `chaos edge`: the real `cyrus` with the real `claude` is killed again and again, and whoever looks on counts.
//!
//! `plan` draws a round from its seed, `life` runs and kills the process, `round` lets it happen, `seen` gathers what is
//! to be seen from outside, `judge` compares that with the run files. Nothing is asked of `cyrus` itself.

mod judge;
mod life;
mod plan;
mod round;
pub mod run_file;
pub mod seen;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::limits;
use crate::parts::{self, PREBUILT, Parts};
use crate::progress::Progress;
use judge::Table;
use plan::Round;
use round::Stage;

/// Set to run this program instead of the `cyrus-chaos` built here.
const PROGRAM: &str = "CYRUS_CHAOS";
/// A system is started anew after so many rounds.
const ROUNDS_A_SYSTEM: u64 = 10;

/// Kill cyrus again and again in the middle of its sessions and judge what is left everywhere
///
/// The real cyrus with the real claude and a scripted model. Prints the seed first and one line last; 0 only if no
/// activity, log line, push or work is lost or doubled, every session ended as it should, and no agent was left running.
/// Each round has a seed of its own, told when it went wrong: `--seed THAT --rounds 1` plays it again.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask chaos edge
  cargo xtask chaos edge --seed 7 --rounds 1 --keep
  cargo xtask chaos edge --kills 20
  cargo xtask chaos edge --limits --edges 2")]
pub struct Args {
    /// Draws the plan [default: a new one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Kills in all
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    kills: u64,
    /// End after so many rounds, whatever was killed by then
    #[arg(long)]
    rounds: Option<u64>,
    /// Kill at instants only, never at a step of the journal
    #[arg(long)]
    instants: bool,
    /// Succeed only if something is damaged; the rounds end with the first that is
    #[arg(long)]
    expect_damage: bool,
    /// Keep logs, journals and run files of good rounds too
    #[arg(long)]
    keep: bool,
    /// Kill nothing: many chatty sessions at once against a Linear that takes 500 requests in six minutes
    #[arg(long, conflicts_with_all = ["seed", "rounds", "instants", "expect_damage"])]
    limits: bool,
    /// Eight sessions and 130 requests instead of 30 and 500
    #[arg(long, requires = "limits")]
    short: bool,
    /// Edge workers that share the limit
    #[arg(long, requires = "limits", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    edges: u8,
}

/// Runs it.
pub fn run(args: &Args) -> Result<ExitCode> {
    if args.limits {
        let scale = if args.short { limits::Scale::SHORT } else { limits::Scale::WHOLE };
        return limits::run(scale, args.edges.into(), args.keep, &Progress::new());
    }
    let seed = args.seed.unwrap_or_else(super::fresh_seed);
    println!("seed={seed}");
    let progress = Progress::new();
    let (mut parts, program) = build(&progress)?;
    let frozen = tempfile::Builder::new().prefix("cyrus-chaos-parts-").tempdir()?;
    parts.cyrus = super::freeze(&mut parts, &program, frozen.path())?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime did not start")?;
    let sums = runtime.block_on(rounds(args, seed, &parts, &progress))?;
    println!("{}", sums.line(seed));
    let good = if args.expect_damage { sums.table.is_damaged() } else { sums.table.is_good() };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds `cyrus-chaos` too.
pub fn build_all(progress: &Progress) -> Result<()> {
    let (parts, _) = build(progress)?;
    limits::build_all(&parts, progress)
}

#[derive(Default)]
struct Sums {
    table: Table,
    rounds: u64,
    seconds: u64,
}

impl Sums {
    fn line(&self, seed: u64) -> String {
        format!("{} rounds={} seconds={} seed={seed}", self.table.line(), self.rounds, self.seconds)
    }
}

async fn rounds(args: &Args, seed: u64, parts: &Parts, progress: &Progress) -> Result<Sums> {
    let (mut sums, begun) = (Sums::default(), std::time::Instant::now());
    let enough = |sums: &Sums| {
        sums.table.kills >= args.kills
            || args.rounds.is_some_and(|rounds| sums.rounds >= rounds)
            || (args.expect_damage && sums.table.is_damaged())
    };
    while !enough(&sums) {
        let folder = tempfile::Builder::new().prefix(&format!("cyrus-chaos-{seed}-")).tempdir()?;
        let mut stage = Stage::open(parts, folder.path(), args.instants)?;
        let mut good = true;
        let outcome = async {
            stage.start().await?;
            for _ in 0..ROUNDS_A_SYSTEM {
                if enough(&sums) {
                    break;
                }
                let seed = seed.wrapping_add(sums.rounds);
                progress.step(&format!("playing seed {seed}"));
                let round = Round::of(seed);
                let most = args.kills - sums.table.kills;
                let table = stage.play(round, most).await?;
                progress.done();
                eprint!("{}", table.explanation());
                eprintln!("  {} seed={seed}", table.line());
                good &= table.is_good();
                sums.table.add(table);
                sums.rounds += 1;
                sums.seconds = begun.elapsed().as_secs();
            }
            anyhow::Ok(())
        };
        let outcome = tokio::select! {
            outcome = outcome => outcome,
            outcome = interrupted() => outcome,
        };
        stage.stop().await;
        if args.keep || !good || outcome.is_err() {
            eprintln!("  everything of it is kept in {}", folder.keep().display());
        }
        outcome?;
    }
    Ok(sums)
}

async fn interrupted() -> Result<()> {
    crate::up::Interrupts::new()?.next().await;
    bail!("interrupted")
}

/// The Workers, and `cyrus` with its points of failure.
pub fn build(progress: &Progress) -> Result<(Parts, PathBuf)> {
    let parts = Parts::build(false, progress)?;
    let given = std::env::var_os(PROGRAM).map(PathBuf::from);
    if std::env::var_os(PREBUILT).is_none() && given.is_none() {
        progress.step("building cyrus with its points of failure");
        let what = ["build", "-p", "edge-worker", "--features", "chaos", "--bin", "cyrus-chaos"];
        parts::cargo(&parts.tools, &what)?;
        progress.done();
    }
    let program = given.unwrap_or_else(|| parts.tools.target.join("debug/cyrus-chaos"));
    if !Path::new(&program).exists() {
        bail!("{PREBUILT} is set, but {} is not there; unset it", program.display());
    }
    Ok((parts, program))
}
