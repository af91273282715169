//! `replay claude|codex FILE…`: judges recorded output of an agent by the rules of a live run, one JSON line a file.
//!
//! The lines come in the order of the files, which are judged in this order too: where an executor tells sums only,
//! an earlier file of the same conversation is taken off a later one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use edge_worker::executor::replayed::Replayed;
use edge_worker::executor::{claude, codex};
use serde_json::json;

/// Judge recorded output of an agent: one JSON line a file
///
/// A file holds what the agent's program wrote, a line each; or two-way lines {"dir":"in|out","line":…}; or one JSON
/// array of messages.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask replay claude ~/.cyrus/state/runs/run_*.ndjson\n  cargo xtask replay codex thread.ndjson"
)]
pub struct Args {
    /// Whose output it is
    executor: Executor,
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Executor {
    Claude,
    Codex,
}

/// Prints the lines; fails if a file cannot be read, after all others.
pub fn run(args: &Args) -> Result<ExitCode> {
    let (mut claude, mut codex) = (claude::replay::Files::default(), codex::replay::Files::default());
    let mut judge = |bytes: &[u8]| match args.executor {
        Executor::Claude => claude.judge(bytes),
        Executor::Codex => codex.judge(bytes),
    };
    let mut code = ExitCode::SUCCESS;
    for path in &args.files {
        match fs::read(path) {
            Ok(bytes) => print(&line(path, &judge(&bytes))?)?,
            Err(error) => {
                eprintln!("error: cannot read {}: {error}", path.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn line(path: &Path, replayed: &Replayed) -> Result<String> {
    let mut line = json!({ "file": path });
    if let (Some(line), serde_json::Value::Object(fields)) =
        (line.as_object_mut(), serde_json::to_value(replayed)?)
    {
        line.extend(fields);
    }
    Ok(line.to_string())
}

fn print(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("cannot write to standard output")
}
