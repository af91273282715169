//! An agent session and its activities as the stand-in remembers them.

use serde_json::{Map, Value, json};

use super::super::LinearConfig;
use super::{now, object};

/// Most links of a session that are remembered.
const MOST_URLS: usize = 200;

/// One activity of an agent.
#[derive(Debug, Clone)]
pub(in crate::linear) struct Activity {
    pub(in crate::linear) id: String,
    pub(in crate::linear) kind: String,
    pub(in crate::linear) content: Map<String, Value>,
    pub(in crate::linear) ephemeral: bool,
    /// A later activity took the place of this ephemeral one.
    pub(in crate::linear) replaced: bool,
    pub(in crate::linear) signal: Value,
    pub(in crate::linear) signal_metadata: Value,
    pub(in crate::linear) created_at: String,
}

impl Activity {
    pub(in crate::linear) fn new(id: String, kind: &str, content: Map<String, Value>) -> Self {
        Self {
            id,
            kind: kind.to_owned(),
            content,
            ephemeral: false,
            replaced: false,
            signal: Value::Null,
            signal_metadata: Value::Null,
            created_at: now(),
        }
    }

    /// The text that a person reads: the body, or an action with its parameter and result.
    pub(in crate::linear) fn body(&self) -> String {
        let parts = ["body", "action", "parameter", "result"];
        let texts = parts.iter().filter_map(|name| self.content.get(*name).and_then(Value::as_str));
        texts.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn size(&self) -> usize {
        let strings = self.content.values().filter_map(Value::as_str).map(str::len);
        strings.sum::<usize>() + self.signal_metadata.to_string().len() + 512
    }

    pub(super) fn fields(&self, session_id: &str) -> Map<String, Value> {
        let mut content = self.content.clone();
        let initial = self.kind.chars().take(1).map(|c| c.to_ascii_uppercase());
        let type_name: String = initial.chain(self.kind.chars().skip(1)).collect();
        content.insert("__typename".into(), format!("AgentActivity{type_name}Content").into());
        object(json!({
            "id": self.id,
            "agentSession": session_id,
            "content": content,
            "ephemeral": self.ephemeral,
            "signal": self.signal,
            "signalMetadata": self.signal_metadata,
            "createdAt": self.created_at,
            "updatedAt": self.created_at,
        }))
    }
}

/// One agent session.
#[derive(Debug, Clone)]
pub(in crate::linear) struct Session {
    pub(in crate::linear) id: String,
    pub(in crate::linear) issue_id: Option<String>,
    pub(in crate::linear) activities: Vec<Activity>,
    pub(in crate::linear) plan: Value,
    pub(in crate::linear) urls: Vec<(String, String)>,
    status: &'static str,
    created_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    updated_at: String,
}

impl Session {
    /// The session that stands for an id of which nothing else is known.
    pub(super) fn plain(id: &str) -> Self {
        let at = now();
        Self {
            id: id.to_owned(),
            issue_id: None,
            activities: Vec::new(),
            plan: Value::Null,
            urls: Vec::new(),
            status: "pending",
            created_at: at.clone(),
            started_at: None,
            ended_at: None,
            updated_at: at,
        }
    }

    pub(super) fn take(&mut self, activity: Activity) {
        if let Some(last) = self.activities.last_mut()
            && last.ephemeral
        {
            last.replaced = true;
        }
        self.status = match activity.kind.as_str() {
            "elicitation" => "awaitingInput",
            "response" => "complete",
            "error" => "error",
            _ => "active",
        };
        self.started_at.get_or_insert_with(|| activity.created_at.clone());
        let ended = matches!(self.status, "complete" | "error");
        self.ended_at = ended.then(|| activity.created_at.clone());
        self.updated_at.clone_from(&activity.created_at);
        self.activities.push(activity);
    }

    /// Adds a link; a URL stands once, with its newest label.
    pub(in crate::linear) fn set_url(&mut self, label: &str, url: &str) {
        self.updated_at = now();
        let full = self.urls.len() >= MOST_URLS;
        match self.urls.iter_mut().find(|(_, known)| known == url) {
            Some((known, _)) => label.clone_into(known),
            None if full => {}
            None => self.urls.push((label.to_owned(), url.to_owned())),
        }
    }

    pub(in crate::linear) fn links(&self) -> Value {
        self.urls.iter().map(|(label, url)| json!({"label": label, "url": url})).collect()
    }

    pub(super) fn fields(&self, config: &LinearConfig) -> Map<String, Value> {
        object(json!({
            "id": self.id,
            "issue": self.issue_id,
            "status": self.status,
            "plan": self.plan,
            "externalLinks": self.links(),
            "externalUrls": self.links(),
            "appUser": config.app_user_id,
            "type": "commentThread",
            "slugId": self.id.chars().take(8).collect::<String>(),
            "url": format!("https://linear.app/{}/agent-session/{}", config.url_key, self.id),
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "startedAt": self.started_at,
            "endedAt": self.ended_at,
        }))
    }
}
