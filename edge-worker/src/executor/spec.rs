//! What a run is started with: folder, prompt, conversation, limits and the environment it may see.
//! Neighbours: made by the session, read by every executor.
//! It must never take variables from the surrounding process unasked, nor show their values in debug output.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use super::mcp::McpServers;

/// Tools that an agent may use when nothing else is said.
pub const DEFAULT_TOOLS: &[&str] = &["Read", "Write", "Edit", "Bash", "Glob", "Grep", "TodoWrite"];

/// Names that a program needs to find its tools, its home and the network, and that carry no credential of ours.
const PLAIN_NAMES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "TERM",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
];

/// One run of one executor.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// The run's own id. It also marks the run's processes, so it must differ between runs.
    pub run_id: String,
    /// The folder the agent works in.
    pub cwd: PathBuf,
    /// The first message.
    pub prompt: String,
    /// The id of that message. A process takes each id once; a resumed conversation takes an old id as a new message.
    pub prompt_id: Uuid,
    /// A new conversation or an earlier one.
    pub conversation: Conversation,
    /// The model, by the executor's own name for it; `None` leaves the choice to the executor.
    pub model: Option<String>,
    /// The model to use while `model` is overloaded.
    pub fallback_model: Option<String>,
    /// What the agent may do, and who is asked.
    pub permissions: Permissions,
    /// Tool servers that the agent may use, beside its own tools.
    pub mcp: McpServers,
    /// Text added to the agent's instructions.
    pub append_system_prompt: Option<String>,
    /// The most model turns.
    pub max_turns: Option<u32>,
    /// The most this run may spend, in millionths of a US dollar. Overshoots by one answer of the model.
    pub max_cost_micro_usd: Option<u64>,
    /// What the conversation had cost before this run, in millionths of a US dollar: some executors report sums only.
    pub prior_cost_micro_usd: u64,
    /// Everything the agent sees of the environment, besides what the executor itself sets.
    pub env: Environment,
    /// The executor's own state (transcripts, settings). Keep it as long as conversations must be resumable.
    pub config_dir: PathBuf,
    /// Where the agent's output goes, appended. Its error output goes beside it, with `.stderr` added to the name.
    pub run_file: PathBuf,
    /// When the run is stopped from outside.
    pub limits: Limits,
}

/// What an agent may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Allow rules, such as `Read` or `Bash(git *)`.
    pub allow: Vec<String>,
    /// Deny rules. They win over the allow rules, and nobody is asked about what they name.
    pub deny: Vec<String>,
    /// What a person is asked.
    pub ask: Ask,
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            allow: DEFAULT_TOOLS.iter().map(|tool| (*tool).to_owned()).collect(),
            deny: Vec::new(),
            ask: Ask::Nothing,
        }
    }
}

/// What a person is asked. What nobody is asked about is refused at once, with words for the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ask {
    /// Nothing: nobody is there to answer.
    #[default]
    Nothing,
    /// The agent's own questions. Tools that no rule allows are refused.
    Questions,
    /// The agent's own questions, and leave for tools that no rule allows or denies.
    Everything,
}

/// Which conversation a run belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversation {
    /// A new one under this id, which must never have been used.
    New(Uuid),
    /// The one that an earlier run reported as its executor session id.
    Resume(String),
}

/// When a run is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest a run may take.
    pub wall_clock: Duration,
    /// The longest a run may write nothing. A build inside one tool call writes nothing either.
    pub no_output: Duration,
    /// How often the executor asks for the cost while the agent works.
    pub usage_every: Duration,
    /// How long the agent has to end its turn after an interrupt.
    pub interrupt_grace: Duration,
    /// How long the agent has to exit after SIGTERM.
    pub terminate_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_clock: Duration::from_secs(2 * 60 * 60),
            no_output: Duration::from_secs(20 * 60),
            usage_every: Duration::from_secs(15),
            interrupt_grace: Duration::from_secs(1),
            terminate_grace: Duration::from_millis(1500),
        }
    }
}

/// An explicit list of environment variables. Its debug output shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Nothing at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The variables of this process that programs need and that hold no credential: `PATH`, `HOME`, locale, certificates.
    pub fn plain() -> Self {
        Self::default().inherit(PLAIN_NAMES)
    }

    /// Adds those of `names` that this process has.
    #[must_use]
    pub fn inherit(mut self, names: &[&str]) -> Self {
        for name in names {
            if let Some(value) = std::env::var_os(name) {
                self.0.insert(name.into(), value);
            }
        }
        self
    }

    /// Adds or replaces one variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The value of one variable.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.0.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// All variables, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_names_and_no_values() {
        let env = Environment::empty().with("ANTHROPIC_API_KEY", "sk-ant-secret");
        let shown = format!("{env:?}");
        assert!(shown.contains("ANTHROPIC_API_KEY"));
        assert!(!shown.contains("secret"));
    }

    #[test]
    fn the_plain_environment_holds_no_credential() {
        for name in PLAIN_NAMES {
            for word in ["KEY", "TOKEN", "SECRET", "PASSWORD", "AUTH"] {
                assert!(!name.contains(word), "{name}");
            }
        }
    }
}
