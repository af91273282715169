//! Which repository an event is for: the configured ones as rules for the router in `shared`, which chooses.
//!
//! [`decide`] brings the facts; what to do when nobody serves an event is the caller's business.

mod decide;

pub use decide::{Decision, all_remotes, decide};

use shared::route::Rule;

use crate::config::RepositoryConfig;

/// Repositories as rules, in the order of the configuration, with their normalised remotes where those are known.
pub fn rules<'a>(repositories: &'a [RepositoryConfig], remotes: &'a [Option<String>]) -> Vec<Rule<'a>> {
    repositories
        .iter()
        .enumerate()
        .map(|(place, config)| Rule {
            name: &config.name,
            id: config.id.as_deref(),
            remote: remotes.get(place).and_then(Option::as_deref),
            workspace: config.linear_workspace_id.as_deref(),
            labels: &config.routing_labels,
            projects: &config.project_keys,
            teams: &config.team_keys,
            off: config.is_active == Some(false),
        })
        .collect()
}
