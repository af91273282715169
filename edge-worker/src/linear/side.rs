//! What Linear shows of a session beside its words: its plan, its links, and the issue's state.

use shared::id::{AgentSessionId, IssueId};
use shared::linear::operations::{
    AgentSessionUpdate, IssueUpdate, TeamStartedStates, issue_update, team_started_states,
};
use shared::linear::session::{ExternalUrl, SessionUpdate};
use shared::linear::weight::Weight;

use super::{CallError, LinearClient};
use crate::journal::effect::Effect;

/// The states of an issue that nobody needs to start.
const STARTED: [&str; 3] = ["started", "completed", "canceled"];

/// Makes one such effect happen. Doing it twice changes nothing more.
pub async fn happen(
    linear: &LinearClient,
    session: &AgentSessionId,
    effect: &Effect,
) -> Result<(), CallError> {
    let update = match effect {
        Effect::Plan { steps } => SessionUpdate { plan: Some(steps.clone()), ..SessionUpdate::default() },
        Effect::Link { label, url } => SessionUpdate {
            add_urls: vec![ExternalUrl { label: label.clone(), url: url.clone() }],
            ..SessionUpdate::default()
        },
        Effect::IssueStarted { issue } => return start(linear, issue).await,
        _ => return Ok(()),
    };
    linear.call_as::<AgentSessionUpdate>(Weight::Milestone, update.variables(session)?).await.map(|_| ())
}

/// Moves an issue to the first of its team's started states, unless somebody moved it that far already.
async fn start(linear: &LinearClient, issue: &IssueId) -> Result<(), CallError> {
    let found = linear.issue_lately(issue.as_str()).await?.issue.issue_parts;
    if STARTED.contains(&found.state.type_.as_str()) {
        return Ok(());
    }
    let variables = team_started_states::Variables { team_id: found.team.id };
    let states = linear.call_as::<TeamStartedStates>(Weight::Milestone, variables).await?.team.states.nodes;
    let first = states.into_iter().min_by(|one, other| one.position.total_cmp(&other.position));
    let Some(state) = first else { return Ok(()) };
    let input = issue_update::IssueUpdateInput {
        state_id: Some(state.id),
        added_label_ids: None,
        assignee_id: None,
        delegate_id: None,
        description: None,
        label_ids: None,
        parent_id: None,
        priority: None,
        project_id: None,
        removed_label_ids: None,
        title: None,
    };
    let variables = issue_update::Variables { id: issue.as_str().to_owned(), input };
    linear.call_as::<IssueUpdate>(Weight::Milestone, variables).await.map(|_| ())
}
