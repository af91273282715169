//! Issues that a test puts into the stand-in before it sends a webhook about them.

use serde::{Deserialize, Serialize};

use super::store::{Issue, Label, Store, Team, derived_id};

/// An issue to store. What is absent is derived from what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SeedIssue {
    /// UUID; derived from the identifier when absent.
    pub id: Option<String>,
    /// As `ENG-12`; derived from the id when absent.
    pub identifier: Option<String>,
    /// The title.
    pub title: Option<String>,
    /// Markdown.
    pub description: Option<String>,
    /// Linear's suggestion for the git branch; derived from identifier and title when absent.
    pub branch_name: Option<String>,
    /// The team; a plain one of the identifier's key when absent.
    pub team: Option<SeedTeam>,
    /// Type of the state: triage, backlog, unstarted, started, completed or canceled; unstarted when absent.
    pub state: Option<String>,
    /// Names of labels.
    pub labels: Vec<String>,
    /// Name of the project.
    pub project: Option<String>,
    /// Id or identifier of the parent issue.
    pub parent: Option<String>,
    /// Id of the user whom the issue is delegated to.
    pub delegate_id: Option<String>,
    /// Id of the user whom the issue is assigned to.
    pub assignee_id: Option<String>,
}

/// A team to store with an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedTeam {
    /// UUID.
    pub id: String,
    /// The part of identifiers before the number.
    pub key: String,
    /// Name to show.
    pub name: String,
}

/// What a seeded issue is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeededIssue {
    /// UUID.
    pub id: String,
    /// As `ENG-12`.
    pub identifier: String,
    /// Linear's suggestion for the git branch.
    pub branch_name: String,
    /// Id of its team.
    pub team_id: String,
}

pub(super) fn put(store: &mut Store, seed: SeedIssue) -> SeededIssue {
    let key_source = seed.id.clone().or_else(|| seed.identifier.clone());
    let mut issue = Issue::plain(&key_source.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()));
    if let Some(identifier) = seed.identifier {
        issue.set_identifier(&identifier);
    }
    if let Some(title) = seed.title {
        issue.set_title(&title);
    }
    if let Some(branch_name) = seed.branch_name {
        issue.branch_name = branch_name;
    }
    let team = seed.team.map_or_else(
        || Team::of_key(issue.key()),
        |team| Team { id: team.id, key: team.key, name: team.name },
    );
    issue.team_id.clone_from(&team.id);
    store.put_team(team);
    issue.state_id = store.state_of_type(&issue.team_id, seed.state.as_deref().unwrap_or("unstarted"));
    issue.description = seed.description;
    issue.labels = seed.labels.iter().map(|name| Label::named(name)).collect();
    issue.project = seed.project.map(|name| (derived_id(&format!("project {name}")), name));
    issue.parent_id = seed.parent.and_then(|parent| store.remember_issue(&parent));
    issue.delegate_id = seed.delegate_id;
    issue.assignee_id = seed.assignee_id;
    let seeded = SeededIssue {
        id: issue.id.clone(),
        identifier: issue.identifier.clone(),
        branch_name: issue.branch_name.clone(),
        team_id: issue.team_id.clone(),
    };
    store.put_issue(issue);
    seeded
}
