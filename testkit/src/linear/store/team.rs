//! A team and its workflow states as the stand-in remembers them.

use serde_json::{Map, Value, json};

use super::{derived_id, object};

/// A team.
#[derive(Debug, Clone)]
pub(in crate::linear) struct Team {
    pub(in crate::linear) id: String,
    pub(in crate::linear) key: String,
    pub(in crate::linear) name: String,
}

/// A workflow state.
#[derive(Debug, Clone)]
pub(in crate::linear) struct State {
    pub(in crate::linear) id: String,
    pub(in crate::linear) team_id: String,
    pub(in crate::linear) name: &'static str,
    pub(in crate::linear) kind: &'static str,
    position: u32,
}

/// Name and type; two are `started`, and the one to move to comes second here.
const STATES: [(&str, &str, u32); 7] = [
    ("Triage", "triage", 0),
    ("Backlog", "backlog", 1),
    ("Todo", "unstarted", 2),
    ("In Review", "started", 4),
    ("In Progress", "started", 3),
    ("Done", "completed", 5),
    ("Canceled", "canceled", 6),
];

impl Team {
    /// The team that stands for an id of which nothing else is known.
    pub(in crate::linear) fn plain(id: &str) -> Self {
        Self { id: id.to_owned(), key: "DEMO".into(), name: "Demo".into() }
    }

    /// The plain team of an identifier's key.
    pub(in crate::linear) fn of_key(key: &str) -> Self {
        Self { id: derived_id(&format!("team {key}")), key: key.to_owned(), name: key.to_owned() }
    }

    pub(in crate::linear) fn states(&self) -> [State; STATES.len()] {
        STATES.map(|(name, kind, position)| State {
            id: derived_id(&format!("state {} {name}", self.id)),
            team_id: self.id.clone(),
            name,
            kind,
            position,
        })
    }

    pub(super) fn fields(&self) -> Map<String, Value> {
        object(json!({"id": self.id, "key": self.key, "name": self.name}))
    }
}

impl State {
    pub(super) fn fields(&self) -> Map<String, Value> {
        object(json!({
            "id": self.id,
            "team": self.team_id,
            "name": self.name,
            "type": self.kind,
            "position": self.position,
            "color": "#5e6ad2",
        }))
    }
}
