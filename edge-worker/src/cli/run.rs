//! `cyrus run`: one task, here and now, without proxy, panel or Linear. The answer goes to stdout.
//!
//! Neighbours: [`crate::worker::standalone`] does the work, [`show`] tells of it, [`place`] finds the repository.

mod place;
mod show;

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use clap::Args;
use shared::id::AgentSessionId;
use shared::session::SessionState;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::failure::{Exit, Failure};
use super::say::{Say, Tone};
use super::{Context, block_on};
use crate::config::Config;
use crate::executor::ExecutorError;
use crate::worker::leaving;
use crate::worker::standalone::{self, Order, Over, Report, Wish, session_name};

/// Where the model's key may be.
const MODEL_KEYS: &[&str] = &["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"];

/// Gives an agent a task in a worktree of its own, and prints its answer.
///
/// Needs no configuration, no proxy, no panel and no Linear: only `claude`, a git repository with a commit, and a key
/// for the model. The work starts from what is checked out, and ends as a commit on a branch of its own; the folder
/// you are in stays as it is. Ctrl-C stops the agent and keeps its work; Ctrl-C again leaves at once.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cyrus run \"add a README with a usage section\"\n  cyrus run \"fix the failing test\" --repo ~/src/app --base main\n  cyrus run --json \"add a README\" | jq -r .branch\n  cyrus run - < task.md"
)]
pub struct Run {
    /// What to do; `-` reads it from stdin.
    #[arg(value_name = "PROMPT")]
    prompt: Vec<String>,
    /// The repository's folder.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    repo: PathBuf,
    /// The branch to start from, if not what is checked out there.
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// The model to ask for.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
}

impl Run {
    /// Works, prints the answer, and tells by the exit code how it ended.
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let say = context.say;
        let prompt = prompt(&self.prompt, say)?;
        let mut config = Config::load(context.config.clone())?;
        config.model = self.model.or(config.model);
        block_on(async {
            let name = session_name(&prompt, Uuid::new_v4().as_u128());
            check_model_key()?;
            standalone::executor_version(&config).await.map_err(no_executor)?;
            let place = place::find(&self.repo, &config).await?;
            for remark in &place.remarks {
                say.note(format!("{} {remark}", say.tint_note(Tone::Warning, "note:")));
            }
            let means = standalone::means(config).await?;
            let repository = place.prepare(&name, self.base.as_deref()).await?;
            let order = Order { session: AgentSessionId(name.clone()), prompt, repository, goes_on: false };
            let mut report = follow(means, order, say).await?;
            report.commit = report.commit.filter(|commit| *commit != place.start);
            show::ended(say, &report, &place);
            Ok(exit_of(&report))
        })
    }
}

/// Follows an order to its end.
async fn follow(means: crate::session::Means, order: Order, say: Say) -> Result<Report, Failure> {
    let (wish, wishes) = mpsc::unbounded_channel();
    let (screen, mut shown) = mpsc::unbounded_channel();
    let mut signals = leaving::listen().map_err(|error| Failure::new(format!("no signals: {error}")))?;
    let mut report = Report::of(order.session.as_str());
    show::begins(say, &order);
    let mut work = std::pin::pin!(standalone::work(means, order, wishes, screen));
    let mut asked = false;
    let over = loop {
        tokio::select! {
            biased;
            Some(effect) = shown.recv() => {
                report.note(&effect);
                show::effect(say, &effect);
            }
            Some(_) = signals.recv() => {
                let next = if asked { Wish::Quit } else { Wish::Stop };
                let words = if asked { "leaving now" } else { "stopping; the work is kept. Ctrl-C again leaves at once" };
                say.note(say.tint_note(Tone::Warning, words));
                asked = true;
                // It ends at the same moment, if nobody takes the wish.
                let _ = wish.send(next);
            }
            over = &mut work => break over?,
        }
    };
    while let Ok(effect) = shown.try_recv() {
        report.note(&effect);
        show::effect(say, &effect);
    }
    if over == Over::Cut && report.status.is_none_or(|status| !status.is_over()) {
        report.status = Some(SessionState::Stopped);
        report.error = report.error.or_else(|| Some("it was left before it had ended".to_owned()));
    }
    Ok(report)
}

fn exit_of(report: &Report) -> Exit {
    match report.status {
        Some(SessionState::Completed) => Exit::Done,
        Some(SessionState::AwaitingInput | SessionState::Parked) => Exit::Waiting,
        _ => Exit::Failed,
    }
}

fn prompt(words: &[String], say: Say) -> Result<String, Failure> {
    let text = match words {
        [] if std::io::stdin().is_terminal() => {
            return Err(Failure::usage("what shall the agent do?")
                .next("cyrus run \"add a README\", or `cyrus run -` and type it"));
        }
        [] => from_stdin()?,
        [dash] if dash == "-" => {
            if std::io::stdin().is_terminal() {
                say.note("Type the task; end it with Ctrl-D.");
            }
            from_stdin()?
        }
        words => words.join(" "),
    };
    if text.trim().is_empty() {
        return Err(Failure::usage("the task is empty").next("cyrus run \"add a README\""));
    }
    Ok(text)
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("the task on stdin cannot be read: {error}")))?;
    Ok(text)
}

fn check_model_key() -> Result<(), Failure> {
    let has = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if MODEL_KEYS.iter().any(has) {
        return Ok(());
    }
    Err(Failure::not_signed_in("there is no key for the model")
        .next("set ANTHROPIC_API_KEY, or CLAUDE_CODE_OAUTH_TOKEN as `claude setup-token` prints it"))
}

fn no_executor(error: ExecutorError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        ExecutorError::NotFound { .. } => failure
            .next("npm install -g @anthropic-ai/claude-code, or set `claude.path` in the configuration"),
        _ => failure.next("try `claude --version` yourself; when that works, so does this"),
    }
}
