//! Log lines to the panel: at once and several posts at a time, since the panel answers only when a chunk is stored.
//!
//! The panel puts posts that overtake each other in order by their lines' numbers and drops what it has, so
//! after any trouble this simply begins again behind what is stored.

use std::time::Duration;

use shared::id::SessionId;
use shared::problem::ProblemCode;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::pump::Pump;
use crate::http::HttpError;

/// Posts on their way at once.
const IN_FLIGHT: usize = 8;
/// Lines that come within this time travel together.
const GATHER: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Pumps lines until the outbox is dropped or the lease is lost.
pub(super) async fn run(pump: Pump, idle: watch::Sender<bool>) {
    let Some(panel) = pump.outside.panel.clone() else { return };
    let mut posts: JoinSet<Result<u64, HttpError>> = JoinSet::new();
    let mut sent = 0_u64;
    let mut pause = GATHER;
    loop {
        let woken = pump.wake.notified();
        let Some((id, stored)) = place(&pump).await else {
            idle.send_replace(true);
            woken.await;
            continue;
        };
        sent = sent.max(stored);
        let lines = if posts.len() < IN_FLIGHT {
            pump.journal.lines_after(&pump.session, sent).await
        } else {
            Ok(Vec::new())
        };
        match lines {
            Ok(lines) if !lines.is_empty() => {
                sent = lines.last().map_or(sent, |line| line.seq);
                let (panel, token) = (panel.clone(), pump.token);
                posts.spawn(
                    async move { panel.append_lines(id, token, lines).await.map(|answer| answer.up_to) },
                );
                sleep(GATHER).await;
                continue;
            }
            Ok(_) => {}
            Err(error) => warn!("log lines cannot be read: {error}"),
        }
        if posts.is_empty() {
            idle.send_replace(true);
            woken.await;
            continue;
        }
        let outcome = tokio::select! {
            outcome = posts.join_next() => outcome,
            () = woken, if posts.len() < IN_FLIGHT => continue,
        };
        match outcome {
            Some(Ok(Ok(up_to))) => {
                pause = GATHER;
                if let Err(error) = pump.journal.lines_stored(&pump.session, up_to).await {
                    warn!("the journal did not take that lines are stored: {error}");
                }
                if posts.is_empty() {
                    // Whatever the panel did not confirm goes again.
                    sent = up_to;
                }
                idle.send_replace(true);
            }
            Some(Ok(Err(error))) if error.is(ProblemCode::TokenStale) => {
                pump.lost.send_replace(true);
                return;
            }
            Some(Ok(Err(error))) => {
                debug!(session = %pump.session, "log lines wait: {error}");
                posts.shutdown().await;
                sent = 0;
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Some(Err(_)) | None => sent = 0,
        }
    }
}

/// Where the lines go and what is stored; `None` while the panel has no record of the session.
async fn place(pump: &Pump) -> Option<(SessionId, u64)> {
    let id = pump.journal.panel_id(&pump.session).await.ok().flatten()?;
    let (stored, _) = pump.journal.line_marks(&pump.session).await.ok()?;
    Some((id, stored))
}
