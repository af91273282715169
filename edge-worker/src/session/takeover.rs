//! What Linear already holds of a session that moved here: what was answered is not done again.
//!
//! An event is answered when its final activity is there, by the id that every worker derives for it. One that was
//! taken into a turn of an earlier event has no final activity of its own: it is answered when the worker that took
//! it in said so (its first thought) and a response came after. In doubt it is not answered: better twice than never.

use std::time::Duration;

use shared::activity_id::{Step, activity_id};
use shared::event::EventBody;
use shared::id::{AgentSessionId, FencingToken, SessionKey};
use shared::linear::answer::Retry;
use shared::linear::operations::agent_session::AgentSessionAgentSessionActivitiesNodesContent as Content;
use shared::session::SessionState;
use tokio::time::sleep;
use tracing::warn;

use super::Means;
use crate::journal::event::Taken;
use crate::linear::CallError;
use crate::worker::leases::Standing;
use crate::worker::now;

/// Most pages that are read: a session of a hundred thousand activities is not one.
const MOST_PAGES: usize = 50;
/// The most of an earlier conversation that goes into a prompt, in characters.
const LONGEST_ACCOUNT: usize = 20_000;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A session's activities, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    activities: Vec<Activity>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Activity {
    id: String,
    /// RFC 3339 UTC with ms, as Linear writes it: its order as text is its order in time.
    at: String,
    kind: Kind,
    body: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prompt,
    Question,
    Response,
    Error,
    Other,
}

impl History {
    /// Reads it, again and again while Linear is away; `None`: the lease is lost meanwhile. A session that Linear
    /// does not show has no history.
    pub async fn read(
        means: &Means,
        session: &AgentSessionId,
        key: &SessionKey,
        token: FencingToken,
    ) -> Option<Self> {
        let mut pause = Duration::from_millis(500);
        loop {
            if means.leases.standing(key, token) == Standing::Lost {
                return None;
            }
            let error = match Self::pages(means, session).await {
                Ok(history) => return Some(history),
                Err(error) => error,
            };
            let wait = match error.retry(now().as_millis()) {
                Retry::Never | Retry::Done => {
                    warn!(session = %session, "Linear does not show what was said before: {error}");
                    return Some(Self::default());
                }
                Retry::AfterMs(ms) => Duration::from_millis(ms).min(LONGEST_PAUSE),
                Retry::Reauthenticate | Retry::BackOff => pause,
            };
            warn!(session = %session, "what was said before cannot be read yet: {error}");
            sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn pages(means: &Means, session: &AgentSessionId) -> Result<Self, CallError> {
        let mut activities = Vec::new();
        let mut after = None;
        let Some(linear) = &means.outside.linear else { return Ok(Self::default()) };
        for _ in 0..MOST_PAGES {
            let page = linear.agent_session(session, after).await?.agent_session.activities;
            for node in page.nodes {
                let (kind, body) = match node.content {
                    Content::AgentActivityPromptContent(content) => (Kind::Prompt, content.body),
                    Content::AgentActivityElicitationContent(content) => (Kind::Question, content.body),
                    Content::AgentActivityResponseContent(content) => (Kind::Response, content.body),
                    Content::AgentActivityErrorContent(content) => (Kind::Error, content.body),
                    _ => (Kind::Other, String::new()),
                };
                activities.push(Activity { id: node.id, at: node.created_at, kind, body });
            }
            after = page.page_info.end_cursor;
            if !page.page_info.has_next_page || after.is_none() {
                break;
            }
        }
        Ok(Self::of(activities))
    }

    fn of(mut activities: Vec<Activity>) -> Self {
        activities.sort_by(|one, other| one.at.cmp(&other.at));
        Self { activities }
    }

    /// The state that an answer left the session in, if this event was answered.
    pub fn answered(&self, taken: &Taken) -> Option<SessionState> {
        let session = &taken.event.body.agent_session().id;
        let find = |id: &str| self.activities.iter().find(|activity| activity.id == id);
        let own = find(&activity_id(session, taken.seq, Step::Final).to_string());
        if let Some(activity) = own {
            return Some(state_after(activity));
        }
        let heard = match &taken.event.body {
            EventBody::SessionStopped { activity_id, .. } => find(activity_id),
            // The proxy's own first thought says nothing of a worker that took the event in.
            _ if taken.first_thought => None,
            _ => find(&activity_id(session, taken.seq, Step::FirstThought).to_string()),
        }?;
        self.activities
            .iter()
            .find(|later| later.at > heard.at && matches!(later.kind, Kind::Response | Kind::Question))
            .map(state_after)
    }

    /// Whether an activity of this id is there.
    pub fn holds(&self, id: &str) -> bool {
        self.activities.iter().any(|activity| activity.id == id)
    }

    /// What people and the agent said to each other, for an agent that takes the work over; `None`: no agent did anything.
    pub fn account(&self) -> Option<String> {
        if self.activities.iter().all(|activity| activity.kind == Kind::Prompt) {
            return None;
        }
        let lines: Vec<String> = self
            .activities
            .iter()
            .filter_map(|activity| {
                let who = match activity.kind {
                    Kind::Prompt => "The person",
                    Kind::Question | Kind::Response | Kind::Error => "You",
                    Kind::Other => return None,
                };
                Some(format!("{who}: {}", activity.body))
            })
            .collect();
        let text = lines.join("\n\n");
        let beyond = text.chars().count().saturating_sub(LONGEST_ACCOUNT);
        Some(text.chars().skip(beyond).collect())
    }
}

fn state_after(activity: &Activity) -> SessionState {
    match activity.kind {
        Kind::Error => SessionState::Failed,
        Kind::Question => SessionState::AwaitingInput,
        _ => SessionState::Completed,
    }
}

#[cfg(test)]
mod tests;
