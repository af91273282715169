//! Files of a session: those that people attached in Linear, brought for the agent, and images of the agent's last
//! words, sent back.

use std::path::Path;

use shared::event::{AgentSession, EventBody};
use shared::linear::activity::ActivityContent;

use super::Means;
use crate::linear::{attachments, images};

/// Brings what the texts of these events link to; what the agent is told of it.
pub async fn attached(means: &Means, session: &AgentSession, bodies: &[&EventBody]) -> Option<String> {
    let linear = means.outside.linear.as_ref().filter(|_| !session.local)?;
    let texts: Vec<&str> = bodies.iter().flat_map(|body| texts(body)).collect();
    if !texts.iter().any(|text| text.contains("://")) {
        return None;
    }
    let folder: String =
        session.id.as_str().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let folder = means.config.now().state_dir.join("attachments").join(folder);
    attachments::bring(&linear.access().await?, &texts, &folder).await
}

fn texts(body: &EventBody) -> Vec<&str> {
    let session = body.agent_session();
    let mut texts: Vec<&str> = Vec::new();
    texts.extend(session.issue.as_ref().and_then(|issue| issue.description.as_deref()));
    texts.extend(session.comment.as_ref().map(|comment| comment.body.as_str()));
    match body {
        EventBody::SessionCreated { prompt_context, .. } => texts.extend(prompt_context.as_deref()),
        EventBody::SessionPrompted { text, .. } => texts.push(text),
        _ => {}
    }
    texts
}

/// The last words with the worktree's images uploaded.
pub async fn with_images(
    means: &Means,
    session: &AgentSession,
    content: ActivityContent,
    worktree: &Path,
) -> ActivityContent {
    match (content, means.outside.linear.as_ref().filter(|_| !session.local)) {
        (ActivityContent::Response { body }, Some(linear)) => {
            ActivityContent::Response { body: images::uploaded(linear, body, worktree).await }
        }
        (content, _) => content,
    }
}
