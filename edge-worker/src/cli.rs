//! The command line. Exit codes: 0 done, 1 failed, 2 wrong use, 3 not signed in, 4 parked or waiting for a person.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError};
use crate::worker::{self, Ended};

/// Turns an issue given to the agent in Linear into a tested pull request.
#[derive(Parser)]
#[command(name = "cyrus", version, after_help = "Example: cyrus start --config ~/.cyrus/config.json")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Takes events and works on them until it is stopped.
    ///
    /// Ctrl-C (SIGINT) once: no new work is taken, open sessions are finished, then it ends. Ctrl-C again, or
    /// SIGTERM: it stops at once, and open work goes on at the next start.
    #[command(
        after_help = "Examples:\n  cyrus start\n  CONTROL_PANEL_API_KEY=cyw_… cyrus start --config ./config.json"
    )]
    Start {
        /// The configuration file.
        #[arg(long, env = "CYRUS_CONFIG_PATH", value_name = "FILE")]
        config: Option<PathBuf>,
        /// Logs as JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the program.
pub fn run() -> ExitCode {
    let Command::Start { config, json } = Arguments::parse().command;
    start_logging(json);
    match start(config) {
        Ok(Ended::Stopped) => ExitCode::SUCCESS,
        Ok(Ended::NotSignedIn(reason)) => fail(3, &reason),
        Ok(Ended::Replaced) => {
            fail(1, "another cyrus with this state folder took over the stream; stop one of the two")
        }
        Ok(Ended::OtherProtocol(mend)) => fail(1, &mend),
        Err(error) => fail(code_of(&error), &format!("{error:#}")),
    }
}

fn start(path: Option<PathBuf>) -> anyhow::Result<Ended> {
    let config = Config::load(path)?;
    // Which provider is a choice of this program, made once, before the first connection.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(async { worker::run(worker::station(config).await?).await })?;
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    Ok(ended)
}

fn code_of(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<ConfigError>() {
        Some(ConfigError::NoKey) => 3,
        Some(_) => 2,
        None => 1,
    }
}

fn fail(code: u8, reason: &str) -> ExitCode {
    tracing::error!("{reason}");
    ExitCode::from(code)
}

fn start_logging(json: bool) {
    let filter = EnvFilter::try_from_env("CYRUS_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let colours = std::io::stderr().is_terminal();
    let lines = lines.with_target(false).with_ansi(colours && !json);
    if json { lines.json().init() } else { lines.init() }
}
