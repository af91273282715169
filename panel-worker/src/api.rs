//! The REST interface, a file a resource. Handlers are short: check, load, act, answer.

pub mod credentials;
pub mod deliveries;
pub mod executor_check;
mod given;
mod idempotency;
pub mod leases;
pub mod logs;
pub mod manual_run;
pub mod me;
pub mod overview;
mod query;
pub mod recoveries;
pub mod repositories;
pub mod session;
pub mod sessions;
pub mod status;
pub mod steer;
mod version;
pub mod worker_config;
pub mod worker_keys;
pub mod workers;

use shared::problem::{Problem, ProblemCode};
use worker_shell::failure::Failure;

/// The refusal for a record that is not there, or not in the caller's organization: the two look the same.
pub fn not_found(what: &str) -> Failure {
    Problem::new(ProblemCode::NotFound, format!("there is no such {what} in this organization")).into()
}

/// The refusal for a token that is older than the lease.
pub fn stale() -> Failure {
    Problem::new(
        ProblemCode::TokenStale,
        "this fencing token is not the newest; stop the run and post nothing more",
    )
    .into()
}
