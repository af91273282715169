//! Linear's webhook bodies: from bytes whose signature holds to what the hub stores.
//!
//! Contract: Linear's `AgentSessionEvent`, `Issue` and `AppUserNotification` webhooks. Unknown types, actions and
//! fields are expected; fields that we need and miss are a `wrong_shape`. The bytes are parsed once. What becomes of an
//! issue is in [`issue`].

use serde::Deserialize;
use serde_json::Value;

use super::part::{
    ActivityPart, ActorPart, CommentPart, IssuePart, List, NotificationPart, SessionPart, Text,
    UpdatedFromPart,
};
use super::{MAX_DEPTH, depth, stamp};
use crate::event::{AgentSession, Comment, EventBody, Issue};
use crate::id::{AgentSessionId, IssueId, LinearWorkspaceId};
use crate::problem::{Problem, ProblemCode};
use crate::surrogate;
use crate::time::Timestamp;

mod issue;

/// What a well-signed, fresh body means.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// Something for an edge.
    Ours {
        /// The workspace.
        workspace: LinearWorkspaceId,
        /// The meaning, by which a repeat under another delivery id is known.
        meaning: String,
        /// The event.
        body: Box<EventBody>,
    },
    /// A type or action that we do not take; answered 200 and counted.
    NotOurs {
        /// What it was, for the count; at most 64 characters.
        kind: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(rename = "type")]
    kind: Option<Value>,
    action: Option<Value>,
    organization_id: Option<Value>,
    #[serde(default)]
    app_user_id: Text,
    webhook_timestamp: Option<Value>,
    #[serde(default)]
    agent_session: SessionPart,
    #[serde(default)]
    agent_activity: ActivityPart,
    #[serde(default)]
    prompt_context: Text,
    #[serde(default)]
    guidance: List<CommentPart>,
    #[serde(default)]
    data: IssuePart,
    #[serde(default)]
    updated_from: UpdatedFromPart,
    #[serde(default)]
    actor: ActorPart,
    #[serde(default)]
    notification: NotificationPart,
}

/// Reads a body: depth, JSON, stamp, then its type.
pub fn read(body: &[u8], now: Timestamp) -> Result<Received, Problem> {
    if depth::deeper_than(MAX_DEPTH, body) {
        return Err(Problem::new(
            ProblemCode::TooDeep,
            format!("the body may nest at most {MAX_DEPTH} levels"),
        ));
    }
    let not_json = |detail: &str| Problem::new(ProblemCode::NotJson, detail);
    let text = core::str::from_utf8(body).map_err(|_| not_json("the body must be UTF-8"))?;
    let envelope: Envelope = surrogate::parse(text).map_err(|error| {
        // The parser's texts for syntax are fixed ones; those for data may repeat what was sent.
        if error.is_data() {
            wrong_shape("the body must be a JSON object")
        } else {
            not_json(&format!("the body must be one JSON object: {error}"))
        }
    })?;
    stamp::check(envelope.webhook_timestamp.as_ref(), now)?;
    let kind = text_of(envelope.kind.as_ref()).ok_or_else(|| wrong_shape("`type` must be a text"))?;
    let action = text_of(envelope.action.as_ref()).unwrap_or_default();
    let workspace = text_of(envelope.organization_id.as_ref())
        .ok_or_else(|| wrong_shape("`organizationId` must be a text"))?;
    let workspace = LinearWorkspaceId(workspace.to_owned());
    match (kind, action) {
        ("AgentSessionEvent", "created") => {
            let agent_session = agent_session(envelope.agent_session)?;
            let meaning = format!("agent_session/{}", agent_session.id);
            let body = Box::new(EventBody::SessionCreated {
                agent_session,
                prompt_context: envelope.prompt_context.0,
                guidance: envelope.guidance.0.into_iter().filter_map(|rule| rule.body.0).collect(),
            });
            Ok(Received::Ours { workspace, meaning, body })
        }
        ("AgentSessionEvent", "prompted") => {
            let agent_session = agent_session(envelope.agent_session)?;
            let activity = envelope.agent_activity;
            if !activity.is_object {
                return Err(wrong_shape("a `prompted` body needs `agentActivity`"));
            }
            let activity_id = required(activity.id, "agentActivity.id")?;
            if activity.user_id.0.is_some() && activity.user_id == envelope.app_user_id {
                // The agent's own words are no wish.
                return Ok(not_ours(kind, "prompted by the agent"));
            }
            let meaning = format!("agent_activity/{activity_id}");
            let body = Box::new(if activity.signal.as_str() == Some("stop") {
                EventBody::SessionStopped { agent_session, activity_id, from_panel: false }
            } else {
                let text = activity
                    .content
                    .body
                    .0
                    .ok_or_else(|| wrong_shape("`agentActivity.content.body` must be a text"))?;
                EventBody::SessionPrompted { agent_session, activity_id, text, from_panel: false }
            });
            Ok(Received::Ours { workspace, meaning, body })
        }
        ("Issue", "update" | "remove") => {
            match issue::changed(action == "remove", envelope.data, envelope.updated_from, envelope.actor)? {
                Some((meaning, body)) => Ok(Received::Ours { workspace, meaning, body: Box::new(body) }),
                None => Ok(not_ours(kind, action)),
            }
        }
        ("AppUserNotification", "issueUnassignedFromYou") => {
            let (meaning, body) = issue::unassigned(envelope.notification)?;
            Ok(Received::Ours { workspace, meaning, body: Box::new(body) })
        }
        _ => Ok(not_ours(kind, action)),
    }
}

fn not_ours(kind: &str, action: &str) -> Received {
    Received::NotOurs { kind: format!("{kind}/{action}").chars().take(64).collect() }
}

fn wrong_shape(detail: &str) -> Problem {
    Problem::new(ProblemCode::WrongShape, detail)
}

fn text_of(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

fn required(text: Text, path: &str) -> Result<String, Problem> {
    text.0
        .filter(|text| !text.is_empty() && text.len() <= 128)
        .ok_or_else(|| wrong_shape(&format!("`{path}` must be a text of 1 to 128 bytes")))
}

fn agent_session(session: SessionPart) -> Result<AgentSession, Problem> {
    if !session.is_object {
        return Err(wrong_shape("`agentSession` must be an object"));
    }
    let CommentPart { id, body, .. } = session.comment;
    let comment = id.0.zip(body.0).map(|(id, body)| Comment { id, body });
    Ok(AgentSession {
        id: AgentSessionId(required(session.id, "agentSession.id")?),
        url: session.url.0,
        issue: if session.issue.is_object {
            Some(issue_of(session.issue, "agentSession.issue.id")?)
        } else {
            None
        },
        comment,
        creator_name: session.creator.name.0,
        local: false,
    })
}

fn issue_of(issue: IssuePart, path: &str) -> Result<Issue, Problem> {
    Ok(Issue {
        id: IssueId(required(issue.id, path)?),
        identifier: issue.identifier.0,
        title: issue.title.0.unwrap_or_default(),
        description: issue.description.0,
        url: issue.url.0,
        team_id: issue.team_id.0,
        team_key: issue.team.key.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_795_342_525_781);

    fn created() -> Value {
        json!({
            "type": "AgentSessionEvent", "action": "created", "organizationId": "org-1", "webhookTimestamp": NOW.as_millis(),
            "agentSession": {
                "id": "as-1", "url": "https://linear.app/x", "creator": {"name": "Ada"}, "newField": [1],
                "comment": {"id": "c", "body": "hi"},
                "issue": {"id": "iss-1", "identifier": "ENG-1", "title": "Do", "team": {"key": "ENG"}}
            },
            "promptContext": "<issue/>", "guidance": [{"body": "be kind", "origin": {}}]
        })
    }

    fn code(body: &[u8]) -> String {
        read(body, NOW).unwrap_err().code
    }

    #[test]
    fn a_created_session_is_projected() {
        let Received::Ours { workspace, meaning, body } =
            read(created().to_string().as_bytes(), NOW).unwrap()
        else {
            panic!("not ours");
        };
        assert_eq!(workspace.as_str(), "org-1");
        assert_eq!(meaning, "agent_session/as-1");
        assert_eq!(body.session_key().as_str(), "iss-1");
        assert_eq!(body.agent_session().creator_name.as_deref(), Some("Ada"));
    }

    #[test]
    fn a_session_without_an_issue_is_keyed_by_itself() {
        let mut body = created();
        body["agentSession"]["issue"] = Value::Null;
        let Received::Ours { body, .. } = read(body.to_string().as_bytes(), NOW).unwrap() else { panic!() };
        assert_eq!(body.session_key().as_str(), "as-1");
    }

    #[test]
    fn a_stop_is_told_from_a_prompt_by_its_signal() {
        let mut body = created();
        body["action"] = json!("prompted");
        body["agentActivity"] =
            json!({"id": "act-1", "content": {"type": "prompt", "body": "Stop"}, "signal": "stop"});
        let Received::Ours { body: event, meaning, .. } = read(body.to_string().as_bytes(), NOW).unwrap()
        else {
            panic!()
        };
        assert_eq!((event.kind(), meaning.as_str()), ("session_stopped", "agent_activity/act-1"));
        body["agentActivity"]["signal"] = Value::Null;
        let Received::Ours { body: event, .. } = read(body.to_string().as_bytes(), NOW).unwrap() else {
            panic!()
        };
        assert_eq!(event.kind(), "session_prompted");
    }

    #[test]
    fn a_title_that_was_cut_inside_an_emoji_is_taken() {
        let body = created().to_string().replace("\"title\":\"Do\"", "\"title\":\"Do \\ud83d\"");
        let Received::Ours { body, .. } = read(body.as_bytes(), NOW).unwrap() else { panic!() };
        assert_eq!(body.agent_session().issue.as_ref().unwrap().title, "Do \u{fffd}");
    }

    #[test]
    fn unknown_types_and_actions_are_not_ours() {
        for (kind, action) in
            [("Weather", json!("sunny")), ("AgentSessionEvent", json!("sighed")), ("Issue", Value::Null)]
        {
            let body = json!({"type": kind, "action": action, "organizationId": "o", "webhookTimestamp": NOW.as_millis()});
            assert!(matches!(read(body.to_string().as_bytes(), NOW), Ok(Received::NotOurs { .. })));
        }
    }

    #[test]
    fn nasty_bodies_are_refused_each_with_its_reason() {
        assert_eq!(code(b""), "not_json");
        assert_eq!(code(b"hello"), "not_json");
        assert_eq!(code(b"{} {}"), "not_json");
        assert_eq!(code(&[0xff, 0xfe, b'{', b'}']), "not_json");
        assert_eq!(code(b"[]"), "wrong_shape");
        assert_eq!(code(b"null"), "wrong_shape");
        assert_eq!(code("[".repeat(200_000).as_bytes()), "too_deep");
        assert_eq!(code(b"{}"), "stamp_missing");
        assert_eq!(code(br#"{"webhookTimestamp":1e400}"#), "not_json");
        let stamped = |mut body: Value| {
            body["webhookTimestamp"] = json!(NOW.as_millis());
            body.to_string()
        };
        assert_eq!(code(stamped(json!({})).as_bytes()), "wrong_shape");
        assert_eq!(code(stamped(json!({"type": 7, "organizationId": "o"})).as_bytes()), "wrong_shape");
        for broken in [
            json!(null),
            json!("x"),
            json!({}),
            json!({"id": ""}),
            json!({"id": "x".repeat(200)}),
            json!({"id": "a", "issue": {}}),
        ] {
            let mut body = created();
            body["agentSession"] = broken;
            assert_eq!(code(body.to_string().as_bytes()), "wrong_shape");
        }
    }

    #[test]
    fn what_the_agent_itself_wrote_wakes_nothing() {
        let prompted = |user: Value| {
            let body = json!({
                "type": "AgentSessionEvent", "action": "prompted", "organizationId": "w", "appUserId": "app",
                "webhookTimestamp": 1_000, "agentSession": {"id": "as-1"},
                "agentActivity": {"id": "a", "userId": user, "content": {"type": "prompt", "body": "x"}},
            });
            read(body.to_string().as_bytes(), Timestamp::from_millis(1_000)).unwrap()
        };
        assert!(matches!(prompted(json!("app")), Received::NotOurs { .. }));
        for other in [json!("person"), json!(null), json!(7)] {
            assert!(matches!(prompted(other), Received::Ours { .. }));
        }
    }
}
