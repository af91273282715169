//! What is asked over the control socket, and the refusals.

use serde::{Deserialize, Serialize};

use crate::config::RepositoryConfig;
use crate::journal::effect::Effect;

/// The first line of a call, and what may follow it while a run is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// How it stands.
    Status,
    /// Say something to the agent of a session.
    Say {
        /// The session's id.
        session: String,
        /// What.
        text: String,
    },
    /// Stop the agent of a session and keep its work.
    StopSession {
        /// The session's id.
        session: String,
    },
    /// Take no new work, finish what is open, and end.
    Drain,
    /// End now; open work goes on at the next start.
    End,
    /// Work on something here and now; answered by everything that is shown of it.
    Run(Box<RunRequest>),
    /// Of a watched run: stop it.
    Stop,
    /// Something that a newer `cyrus` asks.
    #[serde(other)]
    Unknown,
}

/// A run that another process of the same person asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRequest {
    /// The session's name.
    pub session: String,
    /// What to do.
    pub prompt: String,
    /// The repository's name.
    pub name: String,
    /// Its folder.
    pub folder: std::path::PathBuf,
    /// The branch to start from.
    pub base: Option<String>,
    /// The session was there before.
    pub goes_on: bool,
}

impl RunRequest {
    /// The repository's configuration: the one that is known here, else as it was asked for.
    pub fn repository(&self, known: &[RepositoryConfig]) -> RepositoryConfig {
        let mut config = known
            .iter()
            .find(|one| one.name == self.name && one.repository_path == self.folder)
            .cloned()
            .unwrap_or_else(|| crate::cli::unconfigured(&self.folder));
        config.name.clone_from(&self.name);
        config.base_branch = self.base.clone().or(config.base_branch);
        config
    }
}

/// A line of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Reply {
    /// Done as asked.
    Done,
    /// It will not be done.
    Refused {
        /// Why.
        why: String,
        /// What to do instead.
        next: String,
    },
    /// How it stands.
    Status {
        /// For people and programs.
        status: serde_json::Value,
    },
    /// Something that a run shows.
    Shown {
        /// What.
        effect: Box<Effect>,
    },
    /// A watched run is over.
    Over {
        /// It was left as it was.
        cut: bool,
    },
}
