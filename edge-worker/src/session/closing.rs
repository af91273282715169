//! A session that was stopped while its worker was away: the proxy has told Linear, so nothing more is said there.
//!
//! What is left of its run is killed, the panel's record says `stopped`, and its events are done, so that their acks
//! tell the hub. It never touches events that came after the stop.

use shared::event::AgentSession;
use shared::id::{FencingToken, Seq, SessionKey};
use shared::session::SessionState;
use shared::turn::Turn;
use tracing::{info, warn};

use super::telling::Speaker;
use super::{Means, answer, guest, turn};
use crate::journal::JournalError;
use crate::journal::effect::Effect;
use crate::journal::event::Taken;

/// Closes the sessions of these events. `false`: the lease is lost meanwhile, and nothing was closed.
pub async fn close(
    means: &Means,
    key: &SessionKey,
    token: FencingToken,
    seqs: Vec<Seq>,
) -> Result<bool, JournalError> {
    let mut open = means.journal.open_events_of(key).await?;
    open.retain(|taken| seqs.contains(&taken.seq));
    info!(session_key = %key, events = open.len(), "stopped while this worker was away; it ends without a run");
    let mut outboxes = Vec::new();
    for taken in newest_of_each(&open) {
        let session = taken.event.body.agent_session();
        means.journal.session(&session.id, key).await?;
        let run = means.journal.silence(&session.id).await?;
        if matches!(taken.event.body, shared::event::EventBody::CheckRequested { .. }) {
            continue;
        }
        let quiet = AgentSession { local: true, ..session.clone() };
        let mut outbox = means.outbox(&quiet, key, token);
        if let Some(run) = run {
            let speaker = Speaker { session: session.id.clone(), first: taken.seq, token };
            if let Err(error) = turn::left(means, speaker, &Turn::of(taken.seq), run, &mut outbox).await {
                warn!("what a stopped run left cannot be told: {error:#}");
            }
        }
        outbox.add(guest::open_record(means, &Taken { token, ..taken.clone() })).await?;
        outbox.add(Effect::SettleSession(Box::new(answer::over(token, SessionState::Stopped, None)))).await?;
        outboxes.push(outbox);
    }
    for outbox in &mut outboxes {
        if !outbox.drained().await? {
            means.journal.lose(seqs).await?;
            return Ok(false);
        }
    }
    means.journal.finish(seqs.clone()).await?;
    // Nobody listens any more only when the whole worker ends; the journal tells at the next start.
    let _ = means.done.send(seqs);
    Ok(true)
}

fn newest_of_each(open: &[Taken]) -> Vec<&Taken> {
    let mut found: Vec<&Taken> = Vec::new();
    for taken in open.iter().rev() {
        let id = &taken.event.body.agent_session().id;
        if !found.iter().any(|known| known.event.body.agent_session().id == *id) {
            found.push(taken);
        }
    }
    found
}
