//! `cargo xtask …`: every command of this repository, each with all of its own set-up.
//!
//! A command is a module with an `Args` and a `run`; this file only picks one and prints what went wrong.

mod assets;
mod bench;
mod build;
mod chaos;
mod ci;
mod connect;
mod fuzz;
mod parts;
mod process;
mod progress;
mod replay;
mod stamp;
mod test;
mod tools;
mod up;
mod wasm;
mod wrangler;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Every command of this repository. Each does all its own set-up.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Args),
    Test(test::Args),
    Ci(ci::Args),
    Bench(bench::Args),
    #[command(subcommand)]
    Chaos(chaos::Command),
    Build(build::Args),
    Fuzz(fuzz::Args),
    Replay(replay::Args),
    #[command(subcommand)]
    Connect(connect::Command),
}

fn main() -> ExitCode {
    // There is one already only if this runs twice.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(args) => up::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Ci(args) => ci::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Chaos(command) => chaos::run(&command),
        Command::Build(args) => build::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Connect(command) => connect::run(&command),
    }
}
