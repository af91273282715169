//! What people read in Linear, and what the panel records of a session. Pure text and records.

use shared::event::{AgentSession, Closing, EventBody};
use shared::id::{FencingToken, SessionKey};
use shared::money::MicroUsd;
use shared::session::{AgentType, ExecutorType, NewSession, SessionState, SessionUpdate};
use shared::time::Timestamp;

use crate::executor::{RunEnd, RunErrorKind, RunOutcome, trouble};

/// Between the agent's words and where to find the work.
const FOOT: &str = "\n\n---\n";

/// The sign of life.
pub fn first_thought(body: &EventBody) -> String {
    match body {
        EventBody::SessionCreated { agent_session, .. } => match &agent_session.issue {
            Some(issue) => {
                format!(
                    "On it. I am reading {} and preparing a worktree.",
                    issue.identifier.as_deref().unwrap_or("the issue")
                )
            }
            None => "On it. I am preparing a worktree.".to_owned(),
        },
        EventBody::SessionPrompted { from_panel: true, .. } => {
            "Got it. I am looking at what was written in the control panel.".to_owned()
        }
        EventBody::SessionPrompted { .. } => "Got it. I am looking at what you wrote.".to_owned(),
        EventBody::SessionStopped { .. } | EventBody::IssueClosed { .. } | EventBody::Unassigned { .. } => {
            "Stopping.".to_owned()
        }
        EventBody::IssueEdited { .. } => "The issue was changed. I take that into account.".to_owned(),
        EventBody::RunRequested { .. } | EventBody::CheckRequested { .. } | EventBody::Unknown => {
            String::new()
        }
    }
}

/// Why work ends that nobody stopped in words.
pub fn why_it_ends(body: &EventBody) -> Option<String> {
    let by = body.actor().and_then(|actor| actor.name.as_deref()).map(by_name).unwrap_or_default();
    match body {
        EventBody::IssueClosed { how, .. } => {
            let how = match how {
                Closing::Done => "moved to a completed state",
                Closing::Canceled => "canceled",
                Closing::Deleted => "deleted",
                Closing::Unknown => "closed",
            };
            Some(format!("The issue was {how}{by}, so I stopped."))
        }
        EventBody::Unassigned { .. } => Some(format!("The issue was taken away from me{by}, so I stopped.")),
        _ => None,
    }
}

fn by_name(name: &str) -> String {
    let plain: String =
        name.chars().filter(|c| !c.is_control() && !"@[]()<>`*_".contains(*c)).take(60).collect();
    if plain.trim().is_empty() { String::new() } else { format!(" by {}", plain.trim()) }
}

/// The panel's record of a session that begins.
pub fn record(
    session: &AgentSession,
    key: &SessionKey,
    token: FencingToken,
    repository: Option<String>,
    worker: &str,
) -> NewSession {
    let issue = session.issue.as_ref();
    NewSession {
        session_key: key.clone(),
        token,
        agent_session_id: Some(session.id.clone()),
        repository,
        linear_issue_id: issue.map(|issue| issue.id.0.clone()),
        linear_issue_identifier: issue.and_then(|issue| issue.identifier.clone()),
        linear_issue_title: issue.map(|issue| issue.title.clone()),
        linear_issue_url: issue.and_then(|issue| issue.url.clone()).or_else(|| session.url.clone()),
        agent_type: AgentType::Builder,
        executor_type: ExecutorType::Local,
        worker_name: worker.to_owned(),
    }
}

/// The update that ends a session's record.
pub fn over(token: FencingToken, status: SessionState, error: Option<String>) -> SessionUpdate {
    SessionUpdate {
        token,
        status: Some(status),
        error_message: error,
        completed_at: Some(crate::worker::now()),
        ..SessionUpdate::default()
    }
}

/// What is said when the turn waits for a usage limit to be reset.
pub fn parked(until: Timestamp) -> String {
    format!(
        "The plan of the model's account is used up until {until}. I keep what is done and go on by myself then; \
         send a stop if it is not wanted any more."
    )
}

/// What is said when no run could be started.
pub fn not_started(reason: &str) -> String {
    format!("I could not start: {reason}\n\nWrite here when it is mended, and I try again.")
}

/// Where a turn's work is to be found.
pub struct Place<'a> {
    /// The branch.
    pub branch: &'a str,
    /// The newest commit, if the turn or an earlier one made any.
    pub commit: Option<&'a str>,
    /// What the run cost.
    pub cost: Option<MicroUsd>,
}

/// The final words of a turn: the agent's own, or why it was ended; then where to find the work.
pub fn last_words(outcome: &RunOutcome, place: &Place<'_>, ended_by: Option<&str>) -> String {
    let mut foot = vec![format!("Branch `{}`", place.branch)];
    foot.push(place.commit.map_or_else(
        || "no commit".to_owned(),
        |commit| format!("commit `{}`", commit.chars().take(10).collect::<String>()),
    ));
    if let Some(cost) = place.cost {
        foot.push(format!("{cost} at list price"));
    }
    foot.push(format!("{} s", outcome.duration.as_secs()));
    let words = match outcome.end {
        RunEnd::Completed => outcome
            .result_text
            .clone()
            .filter(|text| !text.trim().is_empty())
            .unwrap_or_else(|| "Done.".to_owned()),
        RunEnd::Stopped => {
            format!("{} What was done so far is kept on the branch.", ended_by.unwrap_or("Stopped."))
        }
        RunEnd::Failed => {
            let error = outcome.error.clone().unwrap_or_else(|| {
                trouble::error(RunErrorKind::NoResult, "the agent ended without a result")
            });
            format!("The run failed: {}\n\n{}", error.message, trouble::next(&error))
        }
    };
    format!("{words}{FOOT}{}", foot.join(" · "))
}

/// Last words without what [`last_words`] put under them.
pub fn without_foot(words: &str) -> &str {
    words.rsplit_once(FOOT).map_or(words, |(words, _)| words)
}

/// The state that an outcome leaves.
pub fn state(end: RunEnd) -> SessionState {
    match end {
        RunEnd::Completed => SessionState::Completed,
        RunEnd::Failed => SessionState::Failed,
        RunEnd::Stopped => SessionState::Stopped,
    }
}
