//! `ci`: everything that must hold before a change is taken. Every step runs, so one go tells all that is wrong.

mod dependencies;
mod tidy;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::parts::{self, Parts, cargo};
use crate::progress::Progress;
use crate::tools::Tools;
use crate::wasm::{self, Profile};
use crate::{bench, test, wrangler};

/// Check everything: format, lints, tests, sizes, dependencies, deployment
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask ci\n  cargo xtask ci --skip-tests")]
pub struct Args {
    /// All but the tests, for when they ran before
    #[arg(long)]
    skip_tests: bool,
}

/// Parts that only exist as wasm.
const WASM: [&str; 4] = ["proxy-worker", "panel-worker", "panel-ui", "worker-shell"];

type Step = (&'static str, fn(&Tools) -> Result<()>);

const STEPS: [Step; 8] = [
    ("format", |tools| cargo(tools, &["fmt", "--all", "--check"])),
    ("tidy", |tools| tidy::check(&tools.root)),
    ("dependencies", dependencies::check),
    ("clippy, native", clippy_native),
    ("clippy, wasm32", clippy_wasm),
    ("test", tests),
    ("size budgets", sizes),
    ("wrangler dry run", wrangler::dry_run),
];

/// Checks.
pub fn run(args: &Args) -> Result<ExitCode> {
    let tools = Tools::ensure(&Progress::new())?;
    let mut rows: Vec<(&str, Duration, Option<String>)> = Vec::new();
    for (name, step) in STEPS {
        if args.skip_tests && name == "test" {
            continue;
        }
        println!("\n=== ci: {name}");
        let began = Instant::now();
        let failure = step(&tools).err().map(|error| format!("{error:#}"));
        if let Some(failure) = &failure {
            println!("{failure}");
        }
        rows.push((name, began.elapsed(), failure));
    }
    println!("\n{:<18}{:>9}  result", "step", "minutes");
    for (name, took, failure) in &rows {
        let result = failure.as_ref().and_then(|text| text.lines().next()).unwrap_or("ok");
        println!("{name:<18}{:>9.1}  {result}", took.as_secs_f64() / 60.0);
    }
    let failed = rows.iter().filter(|(.., failure)| failure.is_some()).count();
    println!("{} steps ok, {failed} failed", rows.len() - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn clippy_native(tools: &Tools) -> Result<()> {
    let mut arguments = vec!["clippy", "--workspace", "--all-targets", "--all-features"];
    arguments.extend(WASM.iter().flat_map(|package| ["--exclude", package]));
    arguments.extend(["--", "-D", "warnings"]);
    cargo(tools, &arguments)
}

fn clippy_wasm(tools: &Tools) -> Result<()> {
    let mut arguments = vec!["clippy", "--target", "wasm32-unknown-unknown", "-p", "shared"];
    arguments.extend(WASM.iter().flat_map(|package| ["-p", package]));
    arguments.extend(["--", "-D", "warnings"]);
    cargo(tools, &arguments)
}

fn tests(_: &Tools) -> Result<()> {
    let tally = test::areas(&[])?;
    println!("{tally}");
    if tally.failed > 0 {
        bail!("{tally}");
    }
    Ok(())
}

fn sizes(tools: &Tools) -> Result<()> {
    let progress = Progress::new();
    {
        let _lock = parts::lock(tools, &progress)?;
        wasm::build(tools, Profile::Release, &progress)?;
    }
    let cyrus = Parts::release_cyrus(tools, &progress)?;
    let mut figures = bench::size::figures(tools)?;
    figures.push(bench::edge::binary_size(&cyrus)?);
    bench::print_table(&figures);
    let over = figures.iter().filter(|figure| figure.ratio().is_some_and(|ratio| ratio > 1.0));
    let over: Vec<&str> = over.map(|figure| figure.name.as_str()).collect();
    if !over.is_empty() {
        bail!("over budget: {}", over.join(", "));
    }
    Ok(())
}
