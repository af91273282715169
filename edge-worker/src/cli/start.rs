//! `cyrus start`: the worker, until it is stopped. Its log goes to stderr.

use std::process::ExitCode;

use clap::Args;

use super::failure::{Exit, Failure};
use super::{Context, runtime, start_logging};
use crate::config::reading::Sources;
use crate::control::server;
use crate::worker::{self, Ended};

/// Takes events and works on them until it is stopped.
///
/// Ctrl-C (SIGINT) once: no new work is taken, open sessions are finished, then it ends. Ctrl-C again, or
/// SIGTERM: it stops at once, and open work goes on at the next start. With --json the log is JSON, one object a line.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cyrus start\n  CONTROL_PANEL_API_KEY=cyw_… cyrus start --config ./config.json"
)]
pub struct Start {}

impl Start {
    /// Works, and says in the log why it ended.
    pub fn run(self, context: Context, json: bool) -> ExitCode {
        start_logging("info", json);
        let failure = match start(context) {
            Ok(Ended::Stopped) => return ExitCode::SUCCESS,
            Ok(Ended::NotSignedIn(reason)) => Failure::not_signed_in(reason),
            Ok(Ended::Replaced) => {
                Failure::new("another cyrus with this state folder took over the stream; stop one of the two")
            }
            Ok(Ended::OtherProtocol(mend)) => Failure::new(mend),
            Err(failure) => failure,
        };
        tracing::error!("{}", failure.what);
        if let Some(next) = &failure.next {
            tracing::error!("next: {next}");
        }
        debug_assert!(failure.exit != Exit::Done);
        ExitCode::from(failure.exit as u8)
    }
}

fn start(context: Context) -> Result<Ended, Failure> {
    let must_exist = context.config.is_some();
    let sources = Sources::of(context.config);
    let reading = sources.read(must_exist)?;
    let runtime = runtime()?;
    let state = reading.config.state_dir.clone();
    let ended = runtime.block_on(async {
        let station = worker::station(sources, reading).await?;
        // The station holds the lock of the folder, so the socket is this process's alone.
        let (_server, calls) = server::listen(&state);
        worker::run_with_calls(station, calls).await
    })?;
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    Ok(ended)
}
