//! Which repository an event is for: a pure choice among the configured ones, by upstream's keys.
//!
//! The order: a `[repo=…]` tag, then labels, project, team, at last a repository without any keys. A tag that
//! names nothing here means that nobody here serves it. [`decide`] brings the facts; what to do when nobody
//! serves an event is the caller's business.

mod decide;
mod tag;
#[cfg(test)]
mod tests;

pub use decide::{Decision, all_remotes, candidates, decide};
pub use tag::normalise;

use crate::config::RepositoryConfig;

/// A configured repository, and its normalised remote where that is known.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its configuration.
    pub config: &'a RepositoryConfig,
    /// `host/owner/name`.
    pub remote: Option<&'a str>,
}

/// What is known of an event's issue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The Linear workspace; empty: none of Linear's, so every repository may serve it.
    pub workspace: String,
    /// What people wrote, the nearest to the request first: message, comment, description.
    pub texts: Vec<String>,
    /// Names of the issue's labels; of one in a group also the group's name.
    pub labels: Vec<String>,
    /// The project's name and id.
    pub project: Vec<String>,
    /// The team's key, name and id.
    pub team: Vec<String>,
}

/// The repository that serves, by its place in `candidates`; `None`: nobody here does.
pub fn route(candidates: &[Candidate<'_>], facts: &Facts) -> Option<usize> {
    let mine: Vec<(usize, &Candidate<'_>)> =
        candidates.iter().enumerate().filter(|(_, candidate)| is_of(candidate, &facts.workspace)).collect();
    if let Some(names) = facts.texts.iter().map(|text| tag::names(text)).find(|names| !names.is_empty()) {
        return names.iter().find_map(|name| named(&mine, name));
    }
    let by = |keys: fn(&RepositoryConfig) -> &[String], known: &[String]| {
        let fits = |key: &String| known.iter().any(|known| same(key, known));
        mine.iter().find(|(_, candidate)| keys(candidate.config).iter().any(fits)).map(|(place, _)| *place)
    };
    by(|config| &config.routing_labels, &facts.labels)
        .or_else(|| by(|config| &config.project_keys, &facts.project))
        .or_else(|| by(|config| &config.team_keys, &facts.team))
        .or_else(|| catch_all(&mine))
}

/// The repository that a person means by these words: one that is named in them, if only one is.
pub fn chosen(candidates: &[Candidate<'_>], words: &str) -> Option<usize> {
    let all: Vec<(usize, &Candidate<'_>)> = candidates.iter().enumerate().collect();
    if let Some(place) = named(&all, words.trim()) {
        return Some(place);
    }
    if let Some(place) = tag::names(words).iter().find_map(|name| named(&all, name)) {
        return Some(place);
    }
    let said: Vec<&str> = words
        .split(|letter: char| letter.is_whitespace() || "\"'`<>()[],;".contains(letter))
        .map(|word| word.trim_end_matches(['.', '!', '?', ':']))
        .filter(|word| !word.is_empty())
        .collect();
    let mut meant: Vec<usize> = said.iter().filter_map(|word| named(&all, word)).collect();
    meant.sort_unstable();
    meant.dedup();
    match (meant.as_slice(), candidates.len()) {
        ([one], _) => Some(*one),
        // There was only one to choose, so any yes means it.
        ([], 1) => said
            .first()
            .filter(|word| ["yes", "ok", "okay", "sure"].iter().any(|yes| same(yes, word)))
            .map(|_| 0),
        _ => None,
    }
}

/// Whether any choice needs more than the webhook tells.
pub fn needs_the_issue(candidates: &[Candidate<'_>], facts: &Facts) -> bool {
    let tagged = facts.texts.iter().any(|text| !tag::names(text).is_empty());
    let keyed = candidates.iter().filter(|candidate| is_of(candidate, &facts.workspace)).any(|candidate| {
        let config = candidate.config;
        !config.routing_labels.is_empty()
            || !config.project_keys.is_empty()
            || (!config.team_keys.is_empty() && facts.team.is_empty())
    });
    keyed && !tagged
}

fn is_of(candidate: &Candidate<'_>, workspace: &str) -> bool {
    let theirs = candidate.config.linear_workspace_id.as_deref();
    workspace.is_empty() || theirs.is_none_or(|theirs| theirs == workspace)
}

/// By name first, then by the remote, whole or from a slash on.
fn named(mine: &[(usize, &Candidate<'_>)], name: &str) -> Option<usize> {
    let place = |fits: &dyn Fn(&Candidate<'_>) -> bool| {
        mine.iter().find(|(_, candidate)| fits(candidate)).map(|(place, _)| *place)
    };
    let wanted = tag::normalise(name);
    place(&|candidate| same(&candidate.config.name, name)).or_else(|| {
        place(&|candidate| {
            let wanted = wanted.as_deref().unwrap_or(name).to_lowercase();
            candidate.remote.is_some_and(|remote| {
                let remote = remote.to_lowercase();
                remote == wanted || (!wanted.is_empty() && remote.ends_with(&format!("/{wanted}")))
            })
        })
    })
}

/// A repository without any keys serves what no key decides; one of this very workspace comes first.
fn catch_all(mine: &[(usize, &Candidate<'_>)]) -> Option<usize> {
    let keyless = |candidate: &Candidate<'_>| {
        let config = candidate.config;
        config.team_keys.is_empty() && config.routing_labels.is_empty() && config.project_keys.is_empty()
    };
    let mut open = mine.iter().filter(|(_, candidate)| keyless(candidate));
    open.clone()
        .find(|(_, candidate)| candidate.config.linear_workspace_id.is_some())
        .or_else(|| open.next())
        .map(|(place, _)| *place)
}

fn same(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}
