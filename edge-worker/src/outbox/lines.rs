//! Log lines to the panel, which answers only when a chunk is stored: see [`Pace`] for how many posts at a time.
//!
//! The panel puts posts that overtake each other in order by their lines' numbers and drops what it has, so
//! after any trouble this simply begins again behind what is stored.

use std::time::Duration;

use shared::id::SessionId;
use shared::log_line::LogAnswer;
use shared::problem::ProblemCode;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use super::pace::Pace;
use super::pump::Pump;
use crate::http::HttpError;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest wait that an answer may ask for.
const LONGEST_WISH: Duration = Duration::from_secs(300);

/// Pumps lines until the outbox is dropped or the lease is lost.
pub(super) async fn run(pump: Pump, idle: watch::Sender<bool>) {
    if !pump_lines(&pump, &idle).await {
        pump.lost.send_replace(true);
    }
}

/// Ends only with `false`: the lease is lost.
async fn pump_lines(pump: &Pump, idle: &watch::Sender<bool>) -> bool {
    let mut posts: JoinSet<Result<LogAnswer, HttpError>> = JoinSet::new();
    let (mut pace, mut pause) = (Pace::default(), FIRST_PAUSE);
    let mut sent = 0_u64;
    let mut due = Instant::now();
    loop {
        let woken = pump.wake.notified();
        let Some((id, stored)) = place(pump).await else {
            idle.send_replace(true);
            woken.await;
            continue;
        };
        sent = sent.max(stored);
        let has_room = posts.len() < pace.in_flight();
        if has_room && due <= Instant::now() {
            if let Some(last) = post(pump, id, sent, &mut posts).await {
                let Some(last) = last else { return false };
                sent = last;
                due = Instant::now() + pace.spacing(posts.len());
                continue;
            }
            if posts.is_empty() {
                idle.send_replace(true);
                woken.await;
                continue;
            }
        }
        let too_soon = Instant::now() < due;
        let outcome = tokio::select! {
            Some(outcome) = posts.join_next() => outcome,
            () = sleep_until(due), if has_room && too_soon => continue,
            () = woken, if has_room && !too_soon => continue,
        };
        match outcome {
            Ok(Ok(answer)) => {
                (pace, pause) = (Pace::told(answer.flush_ms), FIRST_PAUSE);
                if let Err(error) = pump.journal.lines_stored(&pump.session, answer.up_to).await {
                    warn!("the journal did not take that lines are stored: {error}");
                }
                if posts.is_empty() {
                    // Whatever the panel did not confirm goes again.
                    sent = answer.up_to;
                }
                idle.send_replace(true);
            }
            Ok(Err(error)) if error.is(ProblemCode::TokenStale) => return false,
            Ok(Err(error)) => {
                debug!(session = %pump.session, "log lines wait: {error}");
                posts.shutdown().await;
                (sent, pace) = (0, Pace::default());
                sleep(error.retry_after().map_or(pause, |wish| wish.min(LONGEST_WISH))).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(_) => sent = 0,
        }
    }
}

/// Sends the lines after a number: `None` when there are none, `Some(None)` when the lease is lost, else the number
/// of the last one.
async fn post(
    pump: &Pump,
    id: SessionId,
    sent: u64,
    posts: &mut JoinSet<Result<LogAnswer, HttpError>>,
) -> Option<Option<u64>> {
    let panel = pump.outside.panel.clone()?;
    let lines = match pump.journal.lines_after(&pump.session, sent).await {
        Ok(lines) => lines,
        Err(error) => {
            warn!("log lines cannot be read: {error}");
            return None;
        }
    };
    let last = lines.last()?.seq;
    if !pump.may_act().await {
        return Some(None);
    }
    let token = pump.holding.token;
    posts.spawn(async move { panel.append_lines(id, token, lines).await });
    Some(Some(last))
}

/// Where the lines go and what is stored; `None` while the panel has no record of the session.
async fn place(pump: &Pump) -> Option<(SessionId, u64)> {
    let id = pump.journal.panel_id(&pump.session).await.ok().flatten()?;
    let (stored, _) = pump.journal.line_marks(&pump.session).await.ok()?;
    Some((id, stored))
}
