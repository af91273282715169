//! What a command that the hub has confirmed, or refused for good, changes in D1: its row and the records it is about.
//!
//! Both are one transaction. Nothing here speaks to the hub.

use shared::event::EventBody;
use shared::hub::call::{CommandTaken, Order};
use shared::id::{DeliveryId, OrgId, SessionId};
use shared::problem::Problem;
use worker::D1PreparedStatement;
use worker_shell::failure::Answer;
use worker_shell::{clock, random};

use crate::db::Db;
use crate::record::row::NewRow;

/// The hub has the command.
pub async fn confirmed(
    db: &Db,
    org: OrgId,
    id: &DeliveryId,
    order: Option<&Order>,
    taken: &CommandTaken,
) -> Answer<()> {
    let now = clock::now();
    let mut statements = vec![db.statement(
        "UPDATE hub_outbox SET confirmed_at = ?, answer = ? WHERE id = ? AND organization_id = ? AND confirmed_at IS NULL",
        vec![
            now.into(),
            serde_json::to_string(taken)?.into(),
            id.as_str().into(),
            org.to_string().into(),
        ],
    )?];
    match order {
        Some(Order::RunOnIssue { issue, prompt, .. }) => {
            if let Some(agent_session) = &taken.agent_session_id {
                let row = NewRow {
                    session_key: issue.id.as_str(),
                    agent_session_id: Some(agent_session.as_str()),
                    linear_issue_id: Some(issue.id.as_str()),
                    linear_issue_identifier: issue.identifier.as_deref(),
                    linear_issue_title: Some(issue.title.as_str()).filter(|title| !title.is_empty()),
                    linear_issue_url: issue.url.as_deref(),
                    prompt: prompt.as_deref(),
                    ..NewRow::of(org, SessionId::from_uuid(random::uuid(now)))
                };
                statements.push(row.insert(db)?);
            }
        }
        // Nothing had begun: nobody else may ever tell the panel that it is over.
        Some(Order::Event { body, .. }) if matches!(**body, EventBody::SessionStopped { .. }) => {
            statements.push(end_queued(db, org, body, "stopped", None)?);
        }
        _ => {}
    }
    db.batch(statements).await
}

/// The hub will never take the command.
pub async fn refused(
    db: &Db,
    org: OrgId,
    id: &DeliveryId,
    order: Option<&Order>,
    problem: &Problem,
) -> Answer<()> {
    let mut statements = vec![db.statement(
        "UPDATE hub_outbox SET failed_at = ?, failure = ? WHERE id = ? AND organization_id = ? AND confirmed_at IS NULL",
        vec![
            clock::now().into(),
            serde_json::to_string(problem)?.into(),
            id.as_str().into(),
            org.to_string().into(),
        ],
    )?];
    if let Some(Order::Event { body, .. }) = order
        && matches!(**body, EventBody::RunRequested { .. })
    {
        statements.push(end_queued(db, org, body, "failed", Some(&problem.to_string()))?);
    }
    db.batch(statements).await
}

/// Ends the session of an event, if it has not begun.
fn end_queued(
    db: &Db,
    org: OrgId,
    body: &EventBody,
    status: &str,
    error: Option<&str>,
) -> Answer<D1PreparedStatement> {
    let session = body.agent_session();
    let column = if session.local { "id" } else { "agent_session_id" };
    db.statement(
        &format!(
            "UPDATE agent_sessions SET status = ?1, error_message = ?2, completed_at = ?3, updated_at = ?3
             WHERE organization_id = ?4 AND {column} = ?5 AND status = 'queued'"
        ),
        vec![
            status.into(),
            error.map(str::to_owned).into(),
            clock::now().into(),
            org.to_string().into(),
            session.id.as_str().into(),
        ],
    )
}
