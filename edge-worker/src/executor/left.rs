//! A run that nobody follows any more: what it left in its files, and what that says of its end.
//! Neighbours: asked for by the session after a restart; read by each executor by the rules of a live run.
//! It must never be asked for while the run's processes live.

use std::path::PathBuf;

use uuid::Uuid;

use super::event::Reading;
use super::outcome::RunOutcome;

/// The run and how far it was told.
#[derive(Debug, Clone)]
pub struct LeftFiles {
    /// The run file.
    pub run_file: PathBuf,
    /// How far it was told, in bytes.
    pub out_at: u64,
    /// How far the error output beside it was told, in bytes.
    pub err_at: u64,
    /// What the conversation had cost before the run, in millionths of a US dollar.
    pub prior_cost_micro_usd: u64,
    /// The messages that it was given, by their ids.
    pub sent: Vec<Uuid>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LeftBehind {
    /// What was not told yet, in order.
    pub readings: Vec<Reading>,
    /// How it ended, if it ended by itself and had its turn with all that it was given.
    pub outcome: Option<RunOutcome>,
    /// What it cost as far as its files tell, in millionths of a US dollar.
    pub cost_micro_usd: Option<u64>,
}
