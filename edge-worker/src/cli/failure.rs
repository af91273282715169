//! Why a command did not do its work: what went wrong, what to do next, and the exit code.
//!
//! Made by commands, shown by [`super::say`]. No message holds a secret.

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// It was called in the wrong way, or is configured so.
    Usage = 2,
    /// A key is missing or refused.
    NotSignedIn = 3,
    /// It waits for a person.
    Waiting = 4,
}

/// Why a command did not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong.
    pub what: String,
    /// What to do about it.
    pub next: Option<String>,
}

impl Failure {
    /// It failed.
    pub fn new(what: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, what: what.into(), next: None }
    }

    /// It was called in the wrong way.
    pub fn usage(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(what) }
    }

    /// A key is missing or refused.
    pub fn not_signed_in(what: impl Into<String>) -> Self {
        Self { exit: Exit::NotSignedIn, ..Self::new(what) }
    }

    /// What to do about it.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        let exit = match error {
            crate::config::ConfigError::NoKey => Exit::NotSignedIn,
            _ => Exit::Usage,
        };
        Self { exit, ..Self::from(anyhow::Error::from(error)) }
    }
}

impl From<crate::journal::JournalError> for Failure {
    fn from(error: crate::journal::JournalError) -> Self {
        Self::from(anyhow::Error::from(error))
    }
}

impl From<crate::git::GitError> for Failure {
    fn from(error: crate::git::GitError) -> Self {
        Self::from(anyhow::Error::from(error))
    }
}
