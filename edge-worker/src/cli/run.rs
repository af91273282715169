//! `cyrus run`: one task, here and now, without proxy, panel or Linear. The answer goes to stdout.
//!
//! Neighbours: [`crate::worker::standalone`] does the work, [`show`] tells of it, [`place`] finds the repository.

mod here;
pub mod place;
mod show;
mod there;

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use clap::Args;
use shared::id::AgentSessionId;
use shared::session::SessionState;
use uuid::Uuid;

use super::failure::{Exit, Failure};
use super::say::{Say, Tone};
use super::{Context, block_on, reach};
use crate::config::Config;
use crate::control::words::{Request, RunRequest};
use crate::control::{client, server};
use crate::executor::ExecutorError;
use crate::journal::look::Session;
use crate::worker::standalone::{self, Order, Report, session_name};

use place::Place;

/// Where the model's key may be.
pub const MODEL_KEYS: &[&str] = &["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"];

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
            let place = place::find(&self.repo, &config).await?;
            for remark in &place.remarks {
                say.note(format!("{} {remark}", say.tint_note(Tone::Warning, "note:")));
            }
            let name = session_name(&prompt, Uuid::new_v4().as_u128());
            let order = Wanted { name, prompt, base: self.base, goes_on: false, place };
            work(config, order, say).await
        })
    }
}

/// Goes on with a session of this machine that has ended.
pub fn go_on(context: &Context, session: &Session, text: String) -> Result<Exit, Failure> {
    let config = Config::load(context.config.clone())?;
    block_on(async {
        let place = place::of_worktree(session, &config).await?;
        let name = session.session.clone();
        work(config, Wanted { name, prompt: text, base: None, goes_on: true, place }, context.say).await
    })
}

/// What is wanted, with all that is found.
struct Wanted {
    name: String,
    prompt: String,
    base: Option<String>,
    goes_on: bool,
    place: Place,
}

/// Works on it in this process, or in the one that has the state folder.
async fn work(config: Config, wanted: Wanted, say: Say) -> Result<Exit, Failure> {
    let Wanted { name, prompt, base, goes_on, place } = wanted;
    let state = config.state_dir.clone();
    let hosted = match client::ask(&state, &Request::Status).await {
        Ok(reply) => reply.is_some(),
        Err(error) => return Err(reach::unreachable(&error)),
    };
    let mut means = None;
    if !hosted {
        // The process that has the folder has its own key and its own agent.
        check_model_key()?;
        standalone::executor_version(&config).await.map_err(no_executor)?;
        means = Some(standalone::means(config).await?);
    }
    let repository = if goes_on { place.repository() } else { place.prepare(&name, base.as_deref()).await? };
    let mut report = match means {
        Some(means) => {
            let order = Order { session: AgentSessionId(name), prompt, repository, goes_on };
            let (server, calls) = server::listen(&state);
            let report = here::follow(means, order, calls, say).await;
            drop(server);
            report?
        }
        None => {
            let request = RunRequest {
                session: name,
                prompt,
                name: repository.name,
                folder: repository.repository_path,
                base: repository.base_branch,
                goes_on,
            };
            there::follow(&state, request, say).await?
        }
    };
    report.commit = report.commit.filter(|commit| *commit != place.start);
    show::ended(say, &report, &place);
    Ok(exit_of(&report))
}

fn exit_of(report: &Report) -> Exit {
    match report.status {
        Some(SessionState::Completed) => Exit::Done,
        Some(SessionState::AwaitingInput | SessionState::Parked) => Exit::Waiting,
        _ => Exit::Failed,
    }
}

/// The words of a person: of the command line, or of stdin.
pub fn prompt(words: &[String], say: Say) -> Result<String, Failure> {
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

/// Whether there is a key for the model.
pub fn has_model_key() -> bool {
    MODEL_KEYS.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn check_model_key() -> Result<(), Failure> {
    if has_model_key() {
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
