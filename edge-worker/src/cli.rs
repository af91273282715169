//! The command line. Exit codes: 0 done, 1 failed, 2 wrong use, 3 not signed in, 4 waiting for a person.
//!
//! One file a command; each says what it has to say through [`say`]. A command is in the tree only when it works.

mod backup;
mod completions;
mod config_file;
pub mod failure;
mod init;
mod logs;
mod reach;
mod run;
pub mod say;
mod sessions;
mod start;
mod state;
mod status;
mod stop;
mod tell;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

pub use run::place::unconfigured;

use failure::{Exit, Failure};
use say::Say;

/// Runs coding agents on your machine: for issues in Linear, or for what you type.
#[derive(Parser)]
#[command(
    name = "cyrus",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = "Examples:\n  cyrus init                  once in each repository\n  cyrus run \"add a README\"   a task, here and now\n  cyrus start                 take issues from Linear\n\nExit codes: 0 done, 1 failed, 2 wrong use, 3 not signed in, 4 waiting for a person."
)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Common {
    /// The configuration file, if not ~/.cyrus/config.json.
    #[arg(long, global = true, env = "CYRUS_CONFIG_PATH", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// JSON on stdout: one object, or one a line for lists.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Init),
    Run(run::Run),
    Start(start::Start),
    Stop(stop::Stop),
    Status(status::Status),
    Sessions(sessions::Sessions),
    Logs(logs::Logs),
    #[command(name = "say")]
    Tell(tell::Tell),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Completions(completions::Completions),
}

/// What every command gets.
pub struct Context {
    /// The file that was named.
    pub config: Option<PathBuf>,
    /// How to speak.
    pub say: Say,
}

/// Runs the program.
pub fn run() -> ExitCode {
    let Arguments { common, command } = Arguments::parse();
    let context = Context { config: common.config, say: Say::new(common.json) };
    let done = match command {
        Command::Start(start) => return start.run(context, common.json),
        Command::Init(init) => init.run(&context),
        Command::Run(run) => run.run(&context),
        Command::Sessions(sessions) => sessions.run(&context),
        Command::Logs(logs) => logs.run(&context),
        Command::Tell(tell) => tell.run(&context),
        Command::Stop(stop) => stop.run(&context),
        Command::Status(status) => status.run(&context),
        Command::Backup(backup) => backup.run(&context),
        Command::Restore(restore) => restore.run(&context),
        Command::Completions(completions) => completions.run(&context),
    };
    let exit = done.unwrap_or_else(|failure| {
        context.say.failure(&failure);
        failure.exit
    });
    ExitCode::from(exit as u8)
}

/// The whole tree, as its help shows it.
pub fn tree() -> clap::Command {
    Arguments::command()
}

/// Runs a command's work, with a log of what is out of order on stderr.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    start_logging("warn", false);
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    done
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // Which provider is a choice of this program, made once, before the first connection.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the system gives no threads: {error}")))
}

fn start_logging(usual: &str, json: bool) {
    use std::io::IsTerminal;
    let filter = EnvFilter::try_from_env("CYRUS_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    // A log that cannot be written must not end the thread that writes it.
    let lines = tracing_subscriber::fmt().log_internal_errors(false);
    let lines = lines.with_env_filter(filter).with_writer(std::io::stderr);
    let colours = std::io::stderr().is_terminal();
    let lines = lines.with_target(false).with_ansi(colours && !json);
    if json { lines.json().init() } else { lines.init() }
}

const _: () = assert!(Exit::Waiting as u8 == 4);
