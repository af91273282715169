//! What an agent says in Linear: one activity, as `agentActivityCreate` takes it.
//!
//! The shapes are those that Linear's server checks. `answer` tells what became of the call. `prompt` is a
//! person's type and so has no arm here.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::operations::agent_activity_create;
use crate::id::AgentSessionId;

/// The content of an activity; bodies are Markdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum ActivityContent {
    /// What the agent thinks; sets the session active.
    Thought {
        /// Markdown.
        body: String,
    },
    /// A step with a tool; sets the session active.
    Action {
        /// The verb, as `Running`.
        action: String,
        /// What it is done to, as a command or a path.
        parameter: String,
        /// What came of it, Markdown; absent while the step runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
    },
    /// A question to the person; sets the session waiting for input.
    Elicitation {
        /// Markdown.
        body: String,
    },
    /// The final answer; completes the session. Linear makes a comment of it.
    Response {
        /// Markdown.
        body: String,
    },
    /// What went wrong; ends the session as failed. Linear makes a comment of it.
    Error {
        /// Markdown.
        body: String,
    },
}

impl ActivityContent {
    /// Whether the next activity may replace it: Linear allows that for thoughts and actions only.
    pub const fn may_be_ephemeral(&self) -> bool {
        matches!(self, Self::Thought { .. } | Self::Action { .. })
    }
}

/// An extra meaning that an agent gives to an elicitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentSignal {
    /// Shows a button that links an account.
    Auth {
        /// Where the button leads.
        url: String,
        /// The Linear user who alone sees it; everyone when absent.
        user_id: Option<String>,
        /// The account's provider, for the button's text.
        provider_name: Option<String>,
    },
    /// Shows options; the answer comes as a prompt and may also be free text.
    Select {
        /// The options as (label, value); without a label the value is shown.
        options: Vec<(Option<String>, String)>,
    },
}

/// An activity to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewActivity {
    /// Chosen by us, version 4; a second create with it is refused, which counts as done.
    pub id: Uuid,
    /// The session it belongs to.
    pub agent_session_id: AgentSessionId,
    /// What it says.
    pub content: ActivityContent,
    /// Whether the next activity replaces it; has no effect on content that must stay.
    pub ephemeral: bool,
    /// Extra meaning of an elicitation; has no effect on other content.
    pub signal: Option<AgentSignal>,
}

impl NewActivity {
    /// A lasting activity without a signal.
    pub const fn new(id: Uuid, agent_session_id: AgentSessionId, content: ActivityContent) -> Self {
        Self { id, agent_session_id, content, ephemeral: false, signal: None }
    }

    /// The variables of `AgentActivityCreate`. Fails only when the content cannot be written as JSON.
    pub fn variables(&self) -> Result<agent_activity_create::Variables, serde_json::Error> {
        let signal = match (&self.content, &self.signal) {
            (ActivityContent::Elicitation { .. }, Some(signal)) => Some(signal),
            _ => None,
        };
        Ok(agent_activity_create::Variables {
            input: agent_activity_create::AgentActivityCreateInput {
                agent_session_id: self.agent_session_id.as_str().to_owned(),
                content: serde_json::to_value(&self.content)?,
                ephemeral: (self.ephemeral && self.content.may_be_ephemeral()).then_some(true),
                id: Some(self.id.to_string()),
                signal: signal.map(AgentSignal::word),
                signal_metadata: signal.map(AgentSignal::metadata),
            },
        })
    }
}

impl AgentSignal {
    const fn word(&self) -> agent_activity_create::AgentActivitySignal {
        match self {
            Self::Auth { .. } => agent_activity_create::AgentActivitySignal::Auth,
            Self::Select { .. } => agent_activity_create::AgentActivitySignal::Select,
        }
    }

    fn metadata(&self) -> serde_json::Value {
        let put = |map: &mut serde_json::Map<_, _>, key: &str, value: &Option<String>| {
            if let Some(value) = value {
                map.insert(key.to_owned(), value.as_str().into());
            }
        };
        let mut map = serde_json::Map::new();
        match self {
            Self::Auth { url, user_id, provider_name } => {
                map.insert("url".into(), url.as_str().into());
                put(&mut map, "userId", user_id);
                put(&mut map, "providerName", provider_name);
            }
            Self::Select { options } => {
                let options = options.iter().map(|(label, value)| {
                    let mut option = serde_json::Map::new();
                    put(&mut option, "label", label);
                    option.insert("value".into(), value.as_str().into());
                    serde_json::Value::Object(option)
                });
                map.insert("options".into(), options.collect::<Vec<_>>().into());
            }
        }
        serde_json::Value::Object(map)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn activity(content: ActivityContent) -> NewActivity {
        NewActivity::new(Uuid::from_u128(7), AgentSessionId::from("s"), content)
    }

    #[test]
    fn contents_have_the_shapes_that_linear_checks() {
        let action = |result| ActivityContent::Action {
            action: "Running".into(),
            parameter: "cargo test".into(),
            result,
        };
        let cases = [
            (ActivityContent::Thought { body: "b".into() }, json!({"type": "thought", "body": "b"})),
            (action(None), json!({"type": "action", "action": "Running", "parameter": "cargo test"})),
            (
                action(Some("ok".into())),
                json!({"type": "action", "action": "Running", "parameter": "cargo test", "result": "ok"}),
            ),
            (ActivityContent::Elicitation { body: "?".into() }, json!({"type": "elicitation", "body": "?"})),
            (ActivityContent::Response { body: "!".into() }, json!({"type": "response", "body": "!"})),
            (ActivityContent::Error { body: "x".into() }, json!({"type": "error", "body": "x"})),
        ];
        for (content, wire) in cases {
            assert_eq!(serde_json::to_value(&content).unwrap(), wire);
            assert_eq!(serde_json::from_value::<ActivityContent>(wire).unwrap(), content);
        }
    }

    #[test]
    fn only_thoughts_and_actions_are_ever_ephemeral() {
        for (content, kept) in [
            (ActivityContent::Thought { body: "b".into() }, true),
            (ActivityContent::Response { body: "b".into() }, false),
        ] {
            let mut new = activity(content);
            new.ephemeral = true;
            let input = serde_json::to_value(new.variables().unwrap()).unwrap();
            assert_eq!(input["input"].get("ephemeral").is_some(), kept);
        }
    }

    #[test]
    fn what_is_absent_is_left_out_and_not_sent_as_null() {
        let variables = serde_json::to_value(
            activity(ActivityContent::Thought { body: "b".into() }).variables().unwrap(),
        );
        assert_eq!(
            variables.unwrap(),
            json!({"input": {
                "agentSessionId": "s",
                "content": {"type": "thought", "body": "b"},
                "id": "00000000-0000-0000-0000-000000000007"
            }})
        );
    }

    #[test]
    fn a_select_signal_goes_only_with_an_elicitation() {
        let signal =
            AgentSignal::Select { options: vec![(None, "a".into()), (Some("B".into()), "b".into())] };
        let mut new = activity(ActivityContent::Elicitation { body: "?".into() });
        new.signal = Some(signal);
        let input = serde_json::to_value(new.variables().unwrap()).unwrap();
        assert_eq!(input["input"]["signal"], "select");
        assert_eq!(
            input["input"]["signalMetadata"],
            json!({"options": [{"value": "a"}, {"label": "B", "value": "b"}]})
        );
        new.content = ActivityContent::Thought { body: "b".into() };
        let input = serde_json::to_value(new.variables().unwrap()).unwrap();
        assert!(input["input"].get("signal").is_none());
    }
}
