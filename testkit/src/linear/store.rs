//! What the stand-in remembers: issues, teams, sessions and their activities.
//!
//! Entities that nobody spoke of yet are plain ones, derived from their id alone, so that the same id gives the
//! same identifier and branch on every start. Everything is capped; the oldest goes first.

mod issue;
mod session;
mod team;

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use shared::time::Timestamp;

pub(super) use issue::{Issue, Label};
pub(super) use session::{Activity, Session};
pub(super) use team::{State, Team};

use super::LinearConfig;
use super::shelf::Shelf;
use crate::server::now_ms;

/// Most issues and most sessions that are remembered.
const MOST_ENTITIES: usize = 10_000;
/// Most bytes of activity content that are remembered.
const MOST_BYTES: usize = 128 << 20;

/// The entities, and links between them by id.
pub(super) struct Store {
    config: LinearConfig,
    started: String,
    issues: Shelf<Issue>,
    identifiers: HashMap<String, String>,
    teams: Shelf<Team>,
    states: HashMap<String, State>,
    labels: HashMap<String, Label>,
    sessions: Shelf<Session>,
    activity_sessions: HashMap<String, String>,
    bytes: usize,
    sync: u64,
}

/// Now, as Linear writes it.
pub(super) fn now() -> String {
    Timestamp::from_millis(now_ms()).to_string()
}

/// A version 4 UUID that is always the same for the same text.
pub(super) fn derived_id(text: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

impl Store {
    pub(super) fn new(config: &LinearConfig) -> Self {
        Self {
            config: config.clone(),
            started: now(),
            issues: Shelf::new(MOST_ENTITIES),
            identifiers: HashMap::new(),
            teams: Shelf::new(1_000),
            states: HashMap::new(),
            labels: HashMap::new(),
            sessions: Shelf::new(MOST_ENTITIES),
            activity_sessions: HashMap::new(),
            bytes: 0,
            sync: 0,
        }
    }

    pub(super) fn app_user_id(&self) -> &str {
        &self.config.app_user_id
    }

    /// When the stand-in started; the age of what has none of its own.
    pub(super) fn started(&self) -> &str {
        &self.started
    }

    /// Counts a change and gives its number.
    pub(super) const fn next_sync(&mut self) -> u64 {
        self.sync += 1;
        self.sync
    }

    // Issues

    pub(super) fn put_issue(&mut self, issue: Issue) {
        for label in issue.labels.iter().take(MOST_ENTITIES.saturating_sub(self.labels.len())) {
            self.labels.insert(label.id.clone(), label.clone());
        }
        self.identifiers.insert(issue.identifier.clone(), issue.id.clone());
        let id = issue.id.clone();
        if let Some(gone) = self.issues.put(&id, issue) {
            self.identifiers.remove(&gone.identifier);
        }
    }

    /// The id of a remembered issue, given its id or identifier.
    pub(super) fn issue_id(&self, id_or_identifier: &str) -> Option<String> {
        let known = self.issues.get(id_or_identifier).map(|issue| &issue.id);
        known.or_else(|| self.identifiers.get(id_or_identifier)).cloned()
    }

    /// The id of an issue that is remembered from now on; `None` for a text that is no id of anything.
    pub(super) fn remember_issue(&mut self, id_or_identifier: &str) -> Option<String> {
        if let Some(id) = self.issue_id(id_or_identifier) {
            return Some(id);
        }
        if !is_id(id_or_identifier) {
            return None;
        }
        let mut issue = Issue::plain(id_or_identifier);
        let team = Team::of_key(issue.key());
        issue.team_id.clone_from(&team.id);
        self.put_team(team);
        issue.state_id = self.state_of_type(&issue.team_id, "unstarted");
        let id = issue.id.clone();
        self.put_issue(issue);
        Some(id)
    }

    pub(super) fn issue_mut(&mut self, id: &str) -> Option<&mut Issue> {
        self.issues.get_mut(id)
    }

    pub(super) fn known_issue(&self, id_or_identifier: &str) -> Option<Map<String, Value>> {
        self.issue_id(id_or_identifier)
            .and_then(|id| self.issues.get(&id))
            .map(|issue| self.issue_fields(issue))
    }

    pub(super) fn issue_ids(&self) -> Vec<String> {
        self.issues.ids().cloned().collect()
    }

    pub(super) fn children_of(&self, id: &str) -> Vec<String> {
        let is_child = |issue: &&Issue| issue.parent_id.as_deref() == Some(id);
        self.issues.values().filter(is_child).map(|issue| issue.id.clone()).collect()
    }

    pub(super) fn label(&self, id: &str) -> Option<&Label> {
        self.labels.get(id)
    }

    fn issue_fields(&self, issue: &Issue) -> Map<String, Value> {
        let mut fields = issue.fields();
        fields.insert(
            "url".into(),
            format!("https://linear.app/{}/issue/{}", self.config.url_key, issue.identifier).into(),
        );
        fields
    }

    // Teams and states

    pub(super) fn put_team(&mut self, team: Team) {
        for state in team.states() {
            self.states.insert(state.id.clone(), state);
        }
        let id = team.id.clone();
        for state in self.teams.put(&id, team).iter().flat_map(Team::states) {
            self.states.remove(&state.id);
        }
    }

    /// The id of a team that is remembered from now on; `None` for a text that is no id of anything.
    pub(super) fn remember_team(&mut self, id: &str) -> Option<String> {
        if self.teams.get(id).is_none() {
            if !is_id(id) {
                return None;
            }
            self.put_team(Team::plain(id));
        }
        Some(id.to_owned())
    }

    pub(super) fn state(&self, id: &str) -> Option<&State> {
        self.states.get(id)
    }

    pub(super) fn team_state_ids(&self, team_id: &str) -> Vec<String> {
        self.teams.get(team_id).map(|team| team.states().map(|state| state.id).to_vec()).unwrap_or_default()
    }

    /// The team's first state of that type, or its unstarted one when the type is unknown.
    pub(super) fn state_of_type(&self, team_id: &str, kind: &str) -> String {
        let states = self.teams.get(team_id).map(Team::states);
        let of = |kind: &str| {
            states.iter().flatten().find(|state| state.kind == kind).map(|state| state.id.clone())
        };
        of(kind).or_else(|| of("unstarted")).unwrap_or_default()
    }

    // Sessions and activities

    pub(super) fn session(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// A session that is remembered from now on; `None` for a text that is no id of anything.
    pub(super) fn remember_session(&mut self, id: &str) -> Option<&mut Session> {
        if self.sessions.get(id).is_none() {
            if !is_id(id) {
                return None;
            }
            let gone = self.sessions.put(id, Session::plain(id));
            self.forget(gone);
        }
        self.sessions.get_mut(id)
    }

    pub(super) fn session_ids(&self) -> Vec<String> {
        self.sessions.ids().cloned().collect()
    }

    pub(super) fn has_activity(&self, id: &str) -> bool {
        self.activity_sessions.contains_key(id)
    }

    pub(super) fn put_activity(&mut self, session_id: &str, activity: Activity) {
        let size = activity.size();
        let activity_id = activity.id.clone();
        let Some(session) = self.remember_session(session_id) else { return };
        session.take(activity);
        self.bytes += size;
        self.activity_sessions.insert(activity_id, session_id.to_owned());
        while self.bytes > MOST_BYTES && self.sessions.len() > 1 {
            let gone = self.sessions.pop_oldest();
            self.forget(gone);
        }
    }

    fn forget(&mut self, session: Option<Session>) {
        for activity in session.iter().flat_map(|session| &session.activities) {
            self.activity_sessions.remove(&activity.id);
            self.bytes = self.bytes.saturating_sub(activity.size());
        }
    }

    fn activity(&self, id: &str) -> Option<(&Session, &Activity)> {
        let session = self.sessions.get(self.activity_sessions.get(id)?)?;
        session.activities.iter().find(|activity| activity.id == id).map(|activity| (session, activity))
    }

    /// The fields of an entity; links to others are their ids. `None` where the entity is not remembered.
    pub(super) fn fields_of(&self, type_name: &str, id: &str) -> Option<Map<String, Value>> {
        match type_name {
            "Issue" => self.known_issue(id),
            "AgentSession" => self.sessions.get(id).map(|session| session.fields(&self.config)),
            "AgentActivity" => self.activity(id).map(|(session, activity)| {
                let mut fields = activity.fields(&session.id);
                fields.insert("user".into(), self.config.app_user_id.as_str().into());
                fields
            }),
            "Team" => self.teams.get(id).map(Team::fields),
            "WorkflowState" => self.states.get(id).map(State::fields),
            "IssueLabel" => self.labels.get(id).map(Label::fields),
            "User" => Some(self.user_fields(id)),
            "Organization" => Some(object(json!({
                "id": self.config.organization_id,
                "name": self.config.organization_name,
                "urlKey": self.config.url_key,
                "userCount": 1,
            }))),
            _ => Some(object(json!({"id": id}))),
        }
    }

    fn user_fields(&self, id: &str) -> Map<String, Value> {
        let is_app = id == self.config.app_user_id;
        let name = if is_app {
            self.config.app_user_name.clone()
        } else {
            format!("user-{}", id.chars().take(8).collect::<String>())
        };
        object(json!({
            "id": id,
            "name": name,
            "displayName": name,
            "email": format!("{name}@example.com"),
            "url": format!("https://linear.app/{}/profiles/{name}", self.config.url_key),
            "active": true,
            "app": is_app,
            "isMe": is_app,
            "isAssignable": true,
            "isMentionable": true,
            "supportsAgentSessions": is_app,
            "organization": self.config.organization_id,
        }))
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Whether a text could be an id: 1 to 128 letters, digits, `-` and `_`.
fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_issue_is_the_same_plain_one_on_every_start() {
        let id = "c47e9d30-2b68-4f15-90a7-e3d81c5b6f02";
        let look = || {
            let mut store = Store::new(&LinearConfig::default());
            store.remember_issue(id).and_then(|id| store.known_issue(&id)).expect("a plain issue")
        };
        let (one, two) = (look(), look());
        assert_eq!((&one["identifier"], &one["branchName"]), (&two["identifier"], &two["branchName"]));
        let identifier = one["identifier"].as_str().expect("text");
        let number = identifier.strip_prefix("DEMO-").expect("the demo team's");
        assert!(number.parse::<u32>().is_ok_and(|number| number > 0), "{identifier}");
        let branch = one["branchName"].as_str().expect("text");
        assert!(branch.starts_with(&format!("agent/demo-{number}-")), "{branch}");
    }

    #[test]
    fn an_issue_is_found_by_identifier_as_well() {
        let mut store = Store::new(&LinearConfig::default());
        let id = store.remember_issue("ENG-774").expect("an issue");
        assert_ne!(id, "ENG-774");
        assert_eq!(store.remember_issue(&id), Some(id.clone()));
        assert_eq!(store.issue_id("ENG-774"), Some(id));
    }

    #[test]
    fn texts_that_are_no_ids_are_not_made_into_entities() {
        let mut store = Store::new(&LinearConfig::default());
        for text in ["", "a b", "../x", "x\n", "é", &"a".repeat(129)] {
            assert_eq!(store.remember_issue(text), None, "{text:?}");
            assert!(store.remember_session(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn memory_stays_bounded_when_an_agent_never_stops_talking() {
        let mut store = Store::new(&LinearConfig::default());
        for at in 0..40 {
            let session = format!("session-{at}");
            let body = "x".repeat(8 << 20);
            store.put_activity(
                &session,
                Activity::new(format!("activity-{at}"), "thought", object(json!({"body": body}))),
            );
        }
        assert!(store.bytes <= MOST_BYTES);
        assert!(!store.has_activity("activity-0") && store.has_activity("activity-39"));
    }
}
