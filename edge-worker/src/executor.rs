//! The executor interface: one way to start, follow, steer and stop a coding agent, whatever it is.
//! Neighbours: `claude` is the first executor; `spec`, `event`, `outcome` and `run` are the words they share.
//! It must never know about Linear, the panel or git: it takes a prompt and a folder and tells what happened.

use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;

pub mod claude;
pub mod codex;
pub mod event;
mod fields;
pub mod left;
pub mod lines;
pub mod mcp;
pub mod outcome;
pub mod process_tree;
pub mod question;
pub mod recording;
pub mod replayed;
pub mod run;
pub mod spec;
pub mod tail;
pub mod trouble;

pub use event::{InputState, Output, Place, Reading, RunEvent, RunEventKind, Tokens, TurnResult};
pub use left::{LeftBehind, LeftFiles};
pub use mcp::McpServers;
pub use outcome::{Exit, RunEnd, RunError, RunErrorKind, RunOutcome, StopReason};
pub use question::{Decision, Question, QuestionKind, QuestionOption, QuestionPart};
pub use run::{Run, RunControl};
pub use spec::{Ask, Conversation, Environment, Limits, Permissions, RunSpec};

/// What an executor can do, so that callers ask instead of guessing by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Events arrive while the run lives.
    pub stream: bool,
    /// Text can be sent into a running turn.
    pub follow_up: bool,
    /// A turn can be cut short and the conversation goes on.
    pub interrupt: bool,
    /// A later run can continue the conversation.
    pub resume: bool,
    /// The executor reports what the run cost.
    pub cost: bool,
    /// The agent works on this machine, in the given folder.
    pub local: bool,
}

/// A program or service that works on a task.
pub trait Executor: Send + Sync {
    /// The name used in configuration, records and the panel, such as `claude`.
    fn name(&self) -> &'static str;

    /// What this executor can do.
    fn capabilities(&self) -> Capabilities;

    /// The version of the program behind it, such as `2.1.330`. Fails when it is missing or does not answer in 10 s.
    fn version(&self) -> BoxFuture<'_, Result<String, ExecutorError>>;

    /// Whether a conversation can be resumed from what is kept in `config_dir`. A run that was killed in its first
    /// moments has told its conversation's id and kept nothing of it yet.
    fn knows(&self, config_dir: &Path, conversation: &str) -> bool;

    /// Reads what a run that nobody follows any more has left in its files, and judges it by the rules of a live one.
    /// Its processes must be gone.
    fn read_left(&self, files: LeftFiles) -> BoxFuture<'_, std::io::Result<LeftBehind>>;

    /// Starts a run. It lives on its own from here: follow it through the returned [`Run`].
    fn start(&self, spec: RunSpec) -> BoxFuture<'_, Result<Run, ExecutorError>>;
}

/// Why a run could not be started or steered. What happens inside a run is a [`RunOutcome`], not an error.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The program is not where it was looked for.
    #[error("cannot find `{program}` ({looked}): install it, or set its path in the configuration")]
    NotFound {
        /// The program's name or configured path.
        program: String,
        /// Where it was looked for.
        looked: String,
    },
    /// The working directory is not there.
    #[error("the working directory {0} does not exist: create the worktree before the run")]
    NoDirectory(PathBuf),
    /// The program is there and did not start.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// The program's path.
        program: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The run file cannot be written or read.
    #[error(
        "cannot use the run file {path}: {source}; check that its folder exists, is writable and has space"
    )]
    RunFile {
        /// The run file's path.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The version could not be read.
    #[error("cannot read the version of {program}: {reason}")]
    Version {
        /// The program's path.
        program: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The run takes no more input: its turn is over or it is being stopped.
    #[error("the run takes no more input: start a new run that resumes its conversation")]
    InputClosed,
    /// The question is not open: answered, withdrawn, or of another process.
    #[error("the agent does not wait for an answer to this question: send the words as a message instead")]
    NoQuestion,
    /// The agent does not read its input quickly enough.
    #[error("the agent is not reading its input: try again, or interrupt it first")]
    InputFull,
}
