//! `up`: the whole system on this machine, until it is interrupted.
//!
//! This file is the command line and the order of things. `state` keeps what outlives a start, `system` starts
//! and stops, `demo` sends an issue through. What runs after an interrupt is a bug.

mod announce;
mod cast;
mod demo;
mod edge;
mod follow;
mod host;
pub mod kept;
pub mod panel;
pub mod plan;
mod ports;
pub mod repository;
pub mod setting;
pub mod state;
pub mod system;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::parts::Parts;
use crate::progress::Progress;
use kept::Kept;
use plan::Plan;
use state::StateDir;
use system::System;

/// Start the whole system on this machine
///
/// Installs what is missing, builds, starts a stand-in Linear, both Workers and the edge workers, and prints the
/// panel's one-time sign-in link. Serves until Ctrl-C and then stops everything it started. Its state is kept in
/// .cyrus-dev/, so a second start goes on where the first one ended.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask up
  cargo xtask up --demo --once
  cargo xtask up --edges 3 --weights 1,1,2 --set takeoverAfterMs=5000")]
pub struct Args {
    /// Send one issue through, from Linear's webhook to the commit, and follow it here
    #[arg(long)]
    demo: bool,
    /// End after the demo: 0 when its session completed and its commit is on the branch, else 1
    #[arg(long, requires = "demo")]
    once: bool,
    /// Print one JSON line when all is ready, for programs; the model is the scripted one
    #[arg(long)]
    json: bool,
    /// Edge workers to start
    #[arg(long, value_name = "N", default_value_t = 1)]
    edges: usize,
    /// Their shares of the work, one number for each edge
    #[arg(long, value_name = "1,1,2", value_delimiter = ',')]
    weights: Vec<u32>,
    /// Change a number of delivery, as takeoverAfterMs=5000; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// A git repository to work on; may be repeated [default: a scratch one]
    #[arg(long = "repository", value_name = "PATH")]
    repositories: Vec<PathBuf>,
    /// Where to keep everything [default: .cyrus-dev]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Use the Claude login of this environment even with --json
    #[arg(long, conflicts_with = "scripted_model")]
    real_model: bool,
    /// Use the scripted model even though there is a Claude login
    #[arg(long)]
    scripted_model: bool,
}

/// Starts, serves, stops.
pub fn run(args: &Args) -> Result<ExitCode> {
    let progress = Progress::new();
    let plan = Plan::of(args)?;
    let folder = args.state_dir.clone().unwrap_or_else(|| crate::tools::root().join(".cyrus-dev"));
    let state = StateDir::open(&folder)?;
    let kept = Kept::load_or_make(&state)?;
    let parts = Parts::build(plan.weights.iter().any(|_| true), &progress)?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime did not start")?;
    runtime.block_on(serve(args, System::new(plan, state, kept, parts, progress)))
}

async fn serve(args: &Args, mut system: System) -> Result<ExitCode> {
    let mut interrupts = Interrupts::new()?;
    let outcome = tokio::select! {
        outcome = work(args, &mut system) => outcome,
        () = interrupts.next() => Ok(if args.once { ExitCode::from(130) } else { ExitCode::SUCCESS }),
    };
    system.stop().await;
    outcome
}

async fn work(args: &Args, system: &mut System) -> Result<ExitCode> {
    let ready = system.start().await?;
    if args.json {
        announce::json(&ready, system)?;
    } else {
        announce::text(&ready, system)?;
    }
    if args.demo {
        let outcome = demo::run(system, &ready, args.json).await;
        if args.once {
            return outcome.map(|()| ExitCode::SUCCESS);
        }
        if let Err(error) = outcome {
            system.progress.say(&format!("the demo failed: {error:#}"));
        }
        system.progress.say("Still serving. Ctrl-C stops everything.");
    }
    system.serve().await
}

/// SIGINT and SIGTERM.
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// From now on they end nothing by themselves.
    pub fn new() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for either.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
