//! Brings the router its facts: the event, the journal, the remotes, and the issue as Linear has it.
//!
//! Runs before an event is accepted, so it never waits long: when Linear does not answer in time, what the webhook
//! tells decides. Nothing is posted and nothing is written here.

use std::time::Duration;

use shared::event::{Event, EventBody};
use shared::route::assignment::Assignment;
use shared::route::tag::{normalise, tags};
use shared::route::{Facts, choice, needs_the_issue, route};
use tokio::time::timeout;
use tracing::{info, warn};

use super::rules;
use crate::config::RepositoryConfig;
use crate::git::command::Git;
use crate::session::Means;

/// How long Linear may take to tell of the issue. An offer waits 10 s for its ack.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether this worker serves an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It does, in this repository; `None`: the event needs no repository, or the session has yet to find it.
    Served(Option<Assignment>),
    /// It does not: `reject` with `not_served`, or ask the person.
    NotServed,
}

/// Decides for an event that was offered.
pub async fn decide(means: &Means, event: &Event) -> Decision {
    let settings = means.config.now();
    match &event.body {
        EventBody::SessionStopped { .. }
        | EventBody::IssueEdited { .. }
        | EventBody::IssueClosed { .. }
        | EventBody::Unassigned { .. }
        | EventBody::Unknown => return Decision::Served(None),
        EventBody::CheckRequested { executor, .. } if executor == means.executor.name() => {
            return Decision::Served(None);
        }
        // Another worker may have that executor; the last one that is asked says that nobody has.
        EventBody::CheckRequested { .. } => return Decision::NotServed,
        EventBody::RunRequested { repository, .. } => {
            return match by_name(&settings.repositories, repository.as_deref()).await {
                Some(config) => Decision::Served(Some(Assignment::plain(config.name.clone()))),
                None => Decision::NotServed,
            };
        }
        EventBody::SessionCreated { .. } | EventBody::SessionPrompted { .. } => {}
    }
    let session = event.body.agent_session();
    let known = match means.journal.whereabouts(&session.id, &session.session_key()).await {
        Ok(known) => known,
        Err(error) => {
            warn!("the journal cannot tell where a session works: {error}");
            Default::default()
        }
    };
    let is_here = |name: &String| settings.repositories.iter().any(|config| config.name == *name);
    if let Some(own) = known.own.filter(is_here) {
        return Decision::Served(Some(Assignment::plain(own)));
    }
    if known.asked {
        return Decision::Served(None);
    }
    let remotes = remotes(&settings.repositories, &event.body).await;
    let rules = rules(&settings.repositories, &remotes);
    let mut facts = of_webhook(event);
    // Another session of the issue works there; a person who names a repository may mean another one.
    let tagged = facts.texts.iter().any(|text| !tags(text).is_empty());
    let active: Vec<String> = known.of_key.filter(|_| !tagged).into_iter().collect();
    if needs_the_issue(&rules, &facts, &active)
        && let Some(issue) = &session.issue
        && let Some(linear) = &means.outside.linear
    {
        match timeout(PATIENCE, linear.issue(issue.id.as_str())).await {
            Ok(Ok(found)) => add_issue(&mut facts, found.issue.issue_parts),
            Ok(Err(error)) => info!("Linear did not tell of {}: {error}; the webhook decides", issue.id),
            Err(_) => info!("Linear does not tell of {} in time; the webhook decides", issue.id),
        }
    }
    match Assignment::of(&route(&rules, &facts, &active), &rules) {
        Some(assignment) => Decision::Served(Some(assignment)),
        None => Decision::NotServed,
    }
}

/// The repository of that name or remote, else the only one when none is named.
pub async fn by_name<'a>(
    repositories: &'a [RepositoryConfig],
    name: Option<&str>,
) -> Option<&'a RepositoryConfig> {
    let Some(name) = name else {
        return match repositories {
            [only] => Some(only),
            _ => None,
        };
    };
    let remotes = all_remotes(repositories).await;
    let rules = rules(repositories, &remotes);
    let mine: Vec<_> = rules.iter().enumerate().filter(|(_, rule)| !rule.off).collect();
    choice::named(&mine, name).and_then(|place| repositories.get(place))
}

/// The normalised remotes, in the order of the configuration.
pub async fn all_remotes(repositories: &[RepositoryConfig]) -> Vec<Option<String>> {
    let mut remotes = Vec::new();
    for config in repositories {
        let found = Git::new(&config.repository_path, ["config", "--get", "remote.origin.url"]).line().await;
        remotes.push(found.ok().and_then(|url| normalise(&url)));
    }
    remotes
}

/// The remotes, where a tag may name one.
async fn remotes(repositories: &[RepositoryConfig], body: &EventBody) -> Vec<Option<String>> {
    if texts(body).iter().any(|text| !tags(text).is_empty()) {
        all_remotes(repositories).await
    } else {
        Vec::new()
    }
}

fn texts(body: &EventBody) -> Vec<String> {
    let session = body.agent_session();
    let message = match body {
        EventBody::SessionPrompted { text, .. } => Some(text.clone()),
        _ => None,
    };
    let comment = session.comment.as_ref().map(|comment| comment.body.clone());
    let description = session.issue.as_ref().and_then(|issue| issue.description.clone());
    [message, comment, description].into_iter().flatten().collect()
}

fn of_webhook(event: &Event) -> Facts {
    let issue = event.body.agent_session().issue.as_ref();
    let key = issue.and_then(|issue| issue.team_key.clone());
    let id = issue.and_then(|issue| issue.team_id.clone());
    Facts {
        workspace: event.workspace_id.as_str().to_owned(),
        texts: texts(&event.body),
        team: key.into_iter().chain(id).collect(),
        identifier: issue.and_then(|issue| issue.identifier.clone()),
        ..Facts::default()
    }
}

fn add_issue(facts: &mut Facts, issue: shared::linear::operations::issue::IssueParts) {
    for label in issue.labels.nodes {
        facts.labels.push(label.name);
        facts.labels.extend(label.parent.map(|group| group.name));
    }
    facts.project.extend(issue.project.into_iter().flat_map(|project| [project.name, project.id]));
    facts.team.extend([issue.team.key, issue.team.name, issue.team.id]);
}
