//! Which error type to use where, in both Workers.
//!
//! - A refusal that the caller should read is a [`Problem`]; its detail names the mend.
//! - Everything that the platform throws (`worker::Error`) is ours: it becomes a `Failure::Platform` that
//!   remembers the place, is logged once at the boundary, and answers 500 without detail.
//! - Handlers return [`Answer`]; `?` turns both into a [`Failure`].

use core::panic::Location;

use shared::problem::{Problem, ProblemCode};

/// What a handler gives back.
pub type Answer<T> = Result<T, Failure>;

/// Why a handler did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// The caller is told.
    Refused(Box<Problem>),
    /// Our fault or the platform's; the caller is told nothing but that.
    Platform {
        /// What was thrown.
        source: String,
        /// Where it was met.
        at: &'static Location<'static>,
    },
}

impl Failure {
    /// A failure of ours with its reason for the log.
    #[track_caller]
    pub fn internal(reason: impl Into<String>) -> Self {
        Self::Platform { source: reason.into(), at: Location::caller() }
    }

    /// The document that the caller gets.
    pub fn problem(self) -> Problem {
        match self {
            Self::Refused(problem) => *problem,
            Self::Platform { source, at } => {
                crate::log::error("request.failed", &[("reason", &source), ("at", &at.to_string())]);
                Problem::new(
                    ProblemCode::Internal,
                    "try again; if it stays, the operator's log has the reason",
                )
            }
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl From<worker::Error> for Failure {
    #[track_caller]
    fn from(error: worker::Error) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    #[track_caller]
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<worker::kv::KvError> for Failure {
    #[track_caller]
    fn from(error: worker::kv::KvError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<shared::envelope::EnvelopeError> for Failure {
    #[track_caller]
    fn from(error: shared::envelope::EnvelopeError) -> Self {
        Self::internal(error.to_string())
    }
}
