//! Commands to the hub: first a row, then the attempt, and again each minute until the hub confirms.
//!
//! The row's id is the delivery id, so the hub takes a repeat for what it is. Commands of one organization go out
//! in the order of their rows: nothing is sent before what stands open in front of it. One that the hub refuses
//! for good is marked and holds nothing back. A confirmed one is forgotten after the retention. What a settled command
//! changes in the records is in [`settled`].

mod settled;

use std::collections::HashSet;

use serde::Deserialize;
use shared::hub::call::{Command, CommandTaken, Order};
use shared::id::{DeliveryId, OrgId};
use shared::problem::{Problem, ProblemCode};
use worker::{D1PreparedStatement, Env};
use worker_shell::failure::{Answer, Failure};
use worker_shell::{clock, log, random, settings};

use crate::db::Db;
use crate::hub_stub;

/// At most this many commands are sent in one go.
const BATCH: u64 = 100;
/// At most this many are forgotten in one go.
const FORGOTTEN: u64 = 1_000;

/// What became of a command that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The hub has it.
    Confirmed(CommandTaken),
    /// It will be sent again.
    Waiting,
}

impl Sent {
    /// Whether the hub has it.
    pub fn is_confirmed(&self) -> bool {
        matches!(self, Self::Confirmed(_))
    }
}

/// A fresh id for a command.
pub fn new_id() -> DeliveryId {
    DeliveryId(format!("cmd_{}", random::uuid(clock::now()).simple()))
}

/// Stores a command and sends it. Fails if the hub refuses it for good.
pub async fn order(env: &Env, db: &Db, org: OrgId, command: &Command) -> Answer<Sent> {
    db.batch(vec![row(db, org, command)?]).await?;
    deliver(env, org, &command.id).await
}

/// The row of a command, for a batch with what belongs to it; an id that is there already stays as it is.
pub fn row(db: &Db, org: OrgId, command: &Command) -> Answer<D1PreparedStatement> {
    db.statement(
        "INSERT INTO hub_outbox (id, organization_id, command, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        vec![
            command.id.as_str().into(),
            org.to_string().into(),
            serde_json::to_string(command)?.into(),
            clock::now().into(),
        ],
    )
}

/// The stored text of a command, if there is one of this id.
pub async fn stored(db: &Db, org: OrgId, id: &DeliveryId) -> Answer<Option<String>> {
    #[derive(Deserialize)]
    struct Text {
        command: String,
    }
    let text: Option<Text> = db
        .first(
            "SELECT command FROM hub_outbox WHERE id = ? AND organization_id = ?",
            vec![id.as_str().into(), org.to_string().into()],
        )
        .await?;
    Ok(text.map(|text| text.command))
}

/// Sends a stored command, after what stands open before it. Fails if the hub refuses it, now or before, for good.
pub async fn deliver(env: &Env, org: OrgId, id: &DeliveryId) -> Answer<Sent> {
    let db = Db::of(env)?;
    let rows: Vec<Row> = db
        .rows(
            "SELECT id, organization_id, command FROM hub_outbox
             WHERE organization_id = ?1 AND confirmed_at IS NULL AND failed_at IS NULL
               AND position <= (SELECT position FROM hub_outbox WHERE id = ?2 AND organization_id = ?1)
             ORDER BY position LIMIT ?3",
            vec![org.to_string().into(), id.as_str().into(), BATCH.into()],
        )
        .await?;
    for row in rows {
        let outcome = send(env, &db, &row).await;
        if row.id == *id {
            return match outcome {
                Outcome::Confirmed(taken) => Ok(Sent::Confirmed(taken)),
                Outcome::Refused(problem) => Err(problem.into()),
                Outcome::Kept { .. } => Ok(Sent::Waiting),
            };
        }
        if matches!(outcome, Outcome::Kept { holds_back: true }) {
            return Ok(Sent::Waiting);
        }
    }
    state(&db, org, id).await
}

/// Sends what is not confirmed: oldest first, each organization's first one before anybody's second.
pub async fn send_open(env: &Env) -> Answer<()> {
    let db = Db::of(env)?;
    let rows: Vec<Row> = db
        .rows(
            "SELECT id, organization_id, command FROM (
               SELECT id, organization_id, command, position,
                 row_number() OVER (PARTITION BY organization_id ORDER BY position) AS place
               FROM hub_outbox WHERE confirmed_at IS NULL AND failed_at IS NULL)
             ORDER BY place, position LIMIT ?",
            vec![BATCH.into()],
        )
        .await?;
    let mut held = HashSet::new();
    for row in rows {
        if held.contains(&row.organization_id) {
            continue;
        }
        if matches!(send(env, &db, &row).await, Outcome::Kept { holds_back: true }) {
            held.insert(row.organization_id);
        }
    }
    Ok(())
}

/// Deletes what the hub confirmed longer ago than the retention, some each minute. What is open or was refused stays.
pub async fn forget_confirmed(env: &Env) -> Answer<()> {
    let retention = i64::try_from(settings::read(env)?.retention_ms).unwrap_or(i64::MAX);
    let before = clock::now().plus_millis(retention.saturating_neg());
    Db::of(env)?
        .run(
            "DELETE FROM hub_outbox WHERE position IN
               (SELECT position FROM hub_outbox WHERE confirmed_at <= ? ORDER BY confirmed_at LIMIT ?)",
            vec![before.into(), FORGOTTEN.into()],
        )
        .await
}

#[derive(Deserialize)]
struct Row {
    id: DeliveryId,
    organization_id: OrgId,
    command: String,
}

enum Outcome {
    Confirmed(CommandTaken),
    Refused(Problem),
    /// It stays open; `holds_back`: and what comes after it waits.
    Kept {
        holds_back: bool,
    },
}

/// One attempt. What goes wrong on our own side leaves the row open; the repeat does no harm.
async fn send(env: &Env, db: &Db, row: &Row) -> Outcome {
    let org = row.organization_id;
    let (command, answer) = match serde_json::from_str::<Command>(&row.command) {
        Ok(command) => {
            let answer = hub_stub::reach::<CommandTaken>(env, org, "/commands", &command).await;
            (Some(command), answer)
        }
        Err(error) => (None, Err(unreadable(&error))),
    };
    let order = command.as_ref().map(|command| &command.order);
    let (outcome, settled) = match answer {
        Ok(taken) => {
            let settled = settled::confirmed(db, org, &row.id, order, &taken).await;
            (Outcome::Confirmed(taken), settled)
        }
        Err(Failure::Refused(problem)) if is_final(&problem) => {
            log::error("outbox.refused", &[("id", row.id.as_str()), ("code", &problem.code)]);
            let settled = settled::refused(db, org, &row.id, order, &problem).await;
            (Outcome::Refused(*problem), settled)
        }
        Err(failure) => {
            log::error("outbox.kept", &[("id", row.id.as_str()), ("reason", &failure.problem().detail)]);
            // A run on an issue waits for Linear, and no other command can refer to it before it is there.
            return Outcome::Kept { holds_back: !matches!(order, Some(Order::RunOnIssue { .. })) };
        }
    };
    match settled {
        Ok(()) => outcome,
        Err(failure) => {
            log::error(
                "outbox.not_settled",
                &[("id", row.id.as_str()), ("reason", &failure.problem().detail)],
            );
            Outcome::Kept { holds_back: true }
        }
    }
}

/// Trying again would bring the same refusal.
fn is_final(problem: &Problem) -> bool {
    (400..500).contains(&problem.status) && !matches!(problem.status, 408 | 425 | 429)
}

fn unreadable(error: &serde_json::Error) -> Failure {
    Problem::new(
        ProblemCode::InvalidRequest,
        format!("this version of the panel cannot read the stored command: {error}"),
    )
    .into()
}

/// Where a command stands that this call did not send itself.
async fn state(db: &Db, org: OrgId, id: &DeliveryId) -> Answer<Sent> {
    #[derive(Deserialize)]
    struct State {
        confirmed_at: Option<i64>,
        answer: Option<String>,
        failure: Option<String>,
    }
    let state: Option<State> = db
        .first(
            "SELECT confirmed_at, answer, failure FROM hub_outbox WHERE id = ? AND organization_id = ?",
            vec![id.as_str().into(), org.to_string().into()],
        )
        .await?;
    let state = state.ok_or_else(|| Failure::internal("a command without a row"))?;
    if let Some(failure) = state.failure {
        return Err(serde_json::from_str::<Problem>(&failure)?.into());
    }
    Ok(match state.confirmed_at {
        Some(_) => {
            let answer = state.answer.as_deref().map(serde_json::from_str).transpose()?;
            Sent::Confirmed(answer.unwrap_or_default())
        }
        None => Sent::Waiting,
    })
}
