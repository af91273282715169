//! A session that was stopped while its worker was away: the proxy has told Linear, so nothing more is said there.
//!
//! What is left of its run is killed, the panel's record says `stopped`, and its events are done, so that their acks
//! tell the hub. It never touches events that came after the stop.

use shared::event::AgentSession;
use shared::id::{FencingToken, RunId, Seq, SessionKey};
use shared::session::SessionState;
use shared::turn::{Fact, Turn};
use tracing::{info, warn};

use super::telling::Speaker;
use super::turn::LiveTurn;
use super::{Means, answer, guest, left};
use crate::executor::RunOutcome;
use crate::journal::JournalError;
use crate::journal::effect::Effect;
use crate::journal::event::Taken;
use crate::outbox::Outbox;

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
        let taken = Taken { token, ..taken.clone() };
        outbox.add(guest::open_record(means, &taken)).await?;
        if let Err(error) = end_what_was_left(means, &taken, &quiet, run, &mut outbox).await {
            warn!("what a stopped run left cannot be told: {error:#}");
        }
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

/// Tells the rest of a run that was live when `cyrus` was killed, to the log alone, and keeps its work.
async fn end_what_was_left(
    means: &Means,
    taken: &Taken,
    quiet: &AgentSession,
    run: Option<RunId>,
    outbox: &mut Outbox,
) -> anyhow::Result<()> {
    let unended = means.journal.unended_turn(&quiet.id).await?;
    let settings = means.config.now();
    let remembered = means.journal.session(&quiet.id, &taken.session_key).await?;
    let mut known = settings.repositories.iter();
    let repository = known.find(|config| Some(&config.name) == remembered.repository.as_ref());
    if let (Some(turn), Some(repository)) = (unended, repository)
        && let Some(run) = turn.live_run()
    {
        let state = (turn.after(Fact::Stops)?, run);
        let (mut turn, outcome) = LiveTurn::take_up(means, taken, quiet, repository, state, outbox).await?;
        let ending = turn.conclude(outcome.unwrap_or_else(RunOutcome::stopped)).await;
        return turn.end_unsaid(means, ending).await;
    }
    if let Some(run) = run {
        let speaker = Speaker { session: quiet.id.clone(), first: taken.seq, token: taken.token };
        left::tell_the_rest(means, speaker, &Turn::of(taken.seq), run, outbox).await?;
    }
    Ok(())
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
