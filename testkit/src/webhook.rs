//! Builds and signs what Linear sends: agent session webhooks in the exact shape of the real ones.
//!
//! The sender's half of the contract; whoever receives is tested with it. Ids and stamps come from outside.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use shared::time::Timestamp;

/// The signature of a body: HMAC-SHA256 in lower-case hex, without a prefix.
pub fn sign(secret: &str, body: &[u8]) -> String {
    // HMAC takes a key of any length.
    Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map(|mut mac| {
            mac.update(body);
            hex::encode(mac.finalize().into_bytes())
        })
        .unwrap_or_default()
}

/// The headers of a delivery of an `AgentSessionEvent`. `delivery` is a UUID, `timestamp_ms` ms since 1970.
pub fn headers(secret: &str, body: &[u8], delivery: &str, timestamp_ms: i64) -> Vec<(&'static str, String)> {
    vec![
        ("accept-charset", "utf-8".into()),
        ("content-type", "application/json; charset=utf-8".into()),
        ("linear-delivery", delivery.into()),
        ("linear-event", "AgentSessionEvent".into()),
        ("linear-signature", sign(secret, body)),
        ("linear-timestamp", timestamp_ms.to_string()),
        ("user-agent", "Linear-Webhook".into()),
    ]
}

/// What the webhooks of one agent session have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSessionWebhooks {
    /// The workspace.
    pub organization_id: String,
    /// The OAuth app.
    pub oauth_client_id: String,
    /// The agent's user in the workspace.
    pub app_user_id: String,
    /// The webhook's own id.
    pub webhook_id: String,
    /// The workspace's part of URLs.
    pub url_key: String,
    /// The agent's name, as in Linear's root comment.
    pub agent_name: String,
    /// The session.
    pub agent_session_id: String,
    /// The thread's root comment.
    pub comment_id: String,
    /// The person who speaks.
    pub creator_id: String,
    /// The person's name.
    pub creator_name: String,
    /// The issue.
    pub issue_id: String,
    /// As `ENG-12`.
    pub identifier: String,
    /// The issue's title.
    pub title: String,
    /// The issue's text.
    pub description: String,
    /// The team.
    pub team_id: String,
    /// The team's key.
    pub team_key: String,
    /// The team's name.
    pub team_name: String,
}

impl AgentSessionWebhooks {
    /// A session on an issue; all else is plain. Ids should be UUIDs.
    pub fn new(organization_id: &str, app_user_id: &str, agent_session_id: &str, issue_id: &str) -> Self {
        Self {
            organization_id: organization_id.into(),
            oauth_client_id: "a1b2c3d4e5f60718293a4b5c6d7e8f90".into(),
            app_user_id: app_user_id.into(),
            webhook_id: "3b9d1c52-8a40-4c1e-9f6b-51d0a7e2c840".into(),
            url_key: "demo".into(),
            agent_name: "cyrus".into(),
            agent_session_id: agent_session_id.into(),
            comment_id: "e85a1f3c-6d29-4c70-b4e8-92f07a5d1b36".into(),
            creator_id: "1d4f6b82-93c5-4e07-a2d8-7b60c9e5f314".into(),
            creator_name: "Ada Example".into(),
            issue_id: issue_id.into(),
            identifier: "DEMO-1".into(),
            title: "Show totals in the invoice list".into(),
            description: "Each row of the list needs a sum column.".into(),
            team_id: "6a8e0c24-57d1-4b93-8f2e-0d4c6b9a7e15".into(),
            team_key: "DEMO".into(),
            team_name: "Demo".into(),
        }
    }

    /// A person delegated the issue to the agent; Linear itself made the root comment.
    pub fn created_by_delegation(&self, timestamp_ms: i64) -> Value {
        let body = format!("This thread is for an agent session with {}.", self.agent_name);
        let comment = self.comment(&body, Value::Null);
        let mut event = self.envelope(
            "created",
            timestamp_ms,
            self.session("pending", comment, Value::Null, timestamp_ms),
        );
        event["previousComments"] = Value::Null;
        event["guidance"] = Value::Null;
        event["promptContext"] = self.prompt_context("").into();
        event
    }

    /// A person mentioned the agent in a comment.
    pub fn created_by_mention(&self, comment: &str, timestamp_ms: i64) -> Value {
        let root = self.comment(comment, self.creator_id.as_str().into());
        let session = self.session("pending", root.clone(), self.source_metadata(), timestamp_ms);
        let mut event = self.envelope("created", timestamp_ms, session);
        event["previousComments"] = json!([root]);
        event["guidance"] = Value::Null;
        let thread = format!(
            "\n\n<primary-directive-thread comment-id=\"{}\"><comment author=\"{}\">{}</comment></primary-directive-thread>",
            self.comment_id,
            escape(&self.creator_name),
            escape(comment)
        );
        event["promptContext"] = self.prompt_context(&thread).into();
        event
    }

    /// A person said something in a session that is there: a follow-up, or an answer.
    pub fn prompted(&self, activity_id: &str, body: &str, timestamp_ms: i64) -> Value {
        let comment = json!("9a1d5d3e-77a1-4a8f-9f0c-2f6f6a7e1b20");
        self.prompt("active", activity_id, body, Value::Null, comment, timestamp_ms)
    }

    /// A person pressed stop.
    pub fn stop(&self, activity_id: &str, timestamp_ms: i64) -> Value {
        self.prompt("stopping", activity_id, "Stop", "stop".into(), Value::Null, timestamp_ms)
    }

    fn prompt(
        &self,
        status: &str,
        activity_id: &str,
        body: &str,
        signal: Value,
        source_comment_id: Value,
        timestamp_ms: i64,
    ) -> Value {
        let at = Timestamp::from_millis(timestamp_ms).to_string();
        let root = self
            .comment(&format!("@{} please take this one", self.agent_name), self.creator_id.as_str().into());
        let session = self.session(status, root, self.source_metadata(), timestamp_ms);
        let mut event = self.envelope("prompted", timestamp_ms, session);
        event["agentActivity"] = json!({
            "id": activity_id,
            "createdAt": at,
            "updatedAt": at,
            "archivedAt": null,
            "agentSessionId": self.agent_session_id,
            "userId": self.creator_id,
            "user": self.creator(),
            "sourceCommentId": source_comment_id,
            "signal": signal,
            "signalMetadata": null,
            "content": {"type": "prompt", "body": body},
        });
        event["guidance"] = Value::Null;
        event
    }

    fn envelope(&self, action: &str, timestamp_ms: i64, session: Value) -> Value {
        json!({
            "type": "AgentSessionEvent",
            "action": action,
            "createdAt": Timestamp::from_millis(timestamp_ms).to_string(),
            "organizationId": self.organization_id,
            "oauthClientId": self.oauth_client_id,
            "appUserId": self.app_user_id,
            "agentSession": session,
            "webhookTimestamp": timestamp_ms,
            "webhookId": self.webhook_id,
        })
    }

    fn session(&self, status: &str, comment: Value, source_metadata: Value, timestamp_ms: i64) -> Value {
        let at = Timestamp::from_millis(timestamp_ms).to_string();
        let started = if status == "pending" { Value::Null } else { at.as_str().into() };
        json!({
            "id": self.agent_session_id,
            "createdAt": at,
            "updatedAt": at,
            "archivedAt": null,
            "creatorId": self.creator_id,
            "appUserId": self.app_user_id,
            "organizationId": self.organization_id,
            "commentId": self.comment_id,
            "sourceCommentId": null,
            "issueId": self.issue_id,
            "status": status,
            "type": "commentThread",
            "startedAt": started,
            "endedAt": null,
            "summary": null,
            "url": format!("{}#agent-session-{}", self.issue_url(), self.agent_session_id.split('-').next().unwrap_or_default()),
            "sourceMetadata": source_metadata,
            "creator": self.creator(),
            "comment": comment,
            "issue": {
                "id": self.issue_id,
                "title": self.title,
                "teamId": self.team_id,
                "team": {"id": self.team_id, "key": self.team_key, "name": self.team_name},
                "identifier": self.identifier,
                "url": self.issue_url(),
                "description": self.description,
            },
        })
    }

    fn issue_url(&self) -> String {
        format!("https://linear.app/{}/issue/{}", self.url_key, self.identifier)
    }

    fn creator(&self) -> Value {
        json!({
            "id": self.creator_id,
            "name": self.creator_name,
            "email": "person@example.com",
            "avatarUrl": null,
            "url": format!("https://linear.app/{}/profiles/person", self.url_key),
        })
    }

    fn comment(&self, body: &str, user_id: Value) -> Value {
        json!({"id": self.comment_id, "body": body, "userId": user_id, "issueId": self.issue_id})
    }

    fn source_metadata(&self) -> Value {
        json!({"type": "comment", "agentSessionMetadata": {"sourceCommentId": self.comment_id}})
    }

    fn prompt_context(&self, thread: &str) -> String {
        format!(
            "<issue identifier=\"{}\">\n<title>{}</title>\n<description>{}</description>\n<team name=\"{}\"/>\n</issue>{thread}",
            escape(&self.identifier),
            escape(&self.title),
            escape(&self.description),
            escape(&self.team_name)
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_a_known_vector() {
        // RFC 4231, test case 2.
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn delegation_and_mention_differ_as_they_do_in_linear() {
        let hooks = AgentSessionWebhooks::new("o", "a", "s", "i");
        let delegated = hooks.created_by_delegation(1_795_342_525_781);
        assert_eq!(delegated["webhookTimestamp"], 1_795_342_525_781_i64);
        assert_eq!(delegated["createdAt"], "2026-11-22T10:15:25.781Z");
        assert_eq!(delegated["previousComments"], Value::Null);
        assert_eq!(delegated["agentSession"]["comment"]["userId"], Value::Null);
        let mentioned = hooks.created_by_mention("@cyrus <b>", 0);
        assert_eq!(mentioned["previousComments"][0], mentioned["agentSession"]["comment"]);
        assert!(mentioned["promptContext"].as_str().is_some_and(|text| text.contains("@cyrus &lt;b&gt;")));
    }

    #[test]
    fn a_stop_is_a_prompt_with_the_signal() {
        let hooks = AgentSessionWebhooks::new("o", "a", "s", "i");
        let stop = hooks.stop("activity", 0);
        assert_eq!((&stop["action"], &stop["agentActivity"]["signal"]), (&json!("prompted"), &json!("stop")));
        let prompted = hooks.prompted("activity", "More", 0);
        assert_eq!(prompted["agentActivity"]["content"], json!({"type": "prompt", "body": "More"}));
        assert_eq!(prompted["agentActivity"]["signal"], Value::Null);
    }
}
