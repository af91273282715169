//! What people read in Linear: one session's activities, in order, as far as Linear's limits allow.
//!
//! The session stands in line with the heaviest of what waits; when its turn comes, [`plan`] says what is joined or
//! left out at that moment's level. That, and that the first one may have been tried from now on, is in the journal
//! before anything is sent.

use shared::linear::coalesce::{Change, Waiting, plan};
use tokio::sync::watch;

use super::pump::{Pace, Pump};
use crate::journal::JournalError;
use crate::journal::effect::{Effect, Lane, Row};
use crate::linear::POINTS_OF_A_CHANGE;
use crate::worker::linear_budget::{LinearUse, Permit};

/// Pumps a session's activities until the outbox is dropped or the lease is lost.
pub(super) async fn run(pump: Pump, spending: LinearUse, idle: watch::Sender<bool>) {
    let mut pace = Pace::default();
    loop {
        let permit = match turn(&pump, &spending, &idle).await {
            Ok(Some(permit)) => permit,
            Ok(None) => return pump.lose(),
            Err(error) => {
                pump.journal_fails(error).await;
                continue;
            }
        };
        match choose(&pump, &permit).await {
            Ok(Some(row)) => {
                let tried = pump.say(&row.effect, permit).await;
                if !pump.settle(row.id, tried, &mut pace).await {
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => pump.journal_fails(error).await,
        }
    }
}

/// Waits until something waits, the lease is sure, and it is this session's turn. More may come meanwhile, and the
/// place in the line follows the heaviest. `None`: the lease is lost.
async fn turn(
    pump: &Pump,
    spending: &LinearUse,
    idle: &watch::Sender<bool>,
) -> Result<Option<Permit>, JournalError> {
    let mut ticket = None;
    loop {
        let woken = pump.wake.notified();
        let Some(weight) = pump.journal.heaviest(&pump.session, Lane::Linear).await? else {
            ticket = None;
            idle.send_replace(true);
            woken.await;
            continue;
        };
        if !pump.may_act().await {
            return Ok(None);
        }
        let ticket = ticket.get_or_insert_with(|| spending.ticket(weight));
        ticket.weighs(weight);
        tokio::select! {
            permit = ticket.granted(POINTS_OF_A_CHANGE) => {
                // The wait may have been long.
                return Ok(pump.may_act().await.then_some(permit));
            }
            () = woken => {}
        }
    }
}

/// Writes down what is joined and left out now, and that the first row of what is left may have been tried.
async fn choose(pump: &Pump, permit: &Permit) -> Result<Option<Row>, JournalError> {
    let rows = pump.journal.waiting(&pump.session, Lane::Linear).await?;
    let all: Vec<Waiting<'_>> = rows.iter().map(waiting).collect();
    let changes = plan(&all, permit.level());
    let is_gone = |id: i64| {
        changes.iter().any(|change| match change {
            Change::Join { from, .. } => from.contains(&id),
            Change::Drop { id: dropped, .. } => *dropped == id,
        })
    };
    let Some(first) = rows.iter().map(|row| row.id).find(|id| !is_gone(*id)) else { return Ok(None) };
    pump.journal.about_to_send(changes, first).await
}

fn waiting(row: &Row) -> Waiting<'_> {
    let content = match &row.effect {
        Effect::Activity { content, .. } => Some(content),
        _ => None,
    };
    Waiting { id: row.id, weight: row.weight, tried: row.tried, content }
}
