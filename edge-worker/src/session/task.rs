//! The loop of one session key: each event in the hub's order, one turn at a time.
//!
//! Neighbours: [`super::turn`] is one go of the executor, [`super::place`] says where it works. A message goes into
//! the turn that runs ([`follow`]); a stop or a lost lease ends it. Nothing is done for an event that Linear shows as
//! answered. What is said beside the turns is in [`say`].

mod follow;
mod prepare;
mod say;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use shared::event::{AgentSession, EventBody};
use shared::id::{AgentSessionId, FencingToken, RunId, Seq, SessionKey};
use shared::time::Timestamp;
use shared::turn::{self, Fact, Found, Turn};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use self::prepare::Prepared;
use super::guard;
use super::guest::{self, Guest};
use super::place::{self, Place};
use super::takeover::History;
use super::turn::{LiveTurn, Plan};
use super::{Means, Told, answer, check, closing, workplace};
use crate::config::RepositoryConfig;
use crate::executor::RunOutcome;
use crate::journal::JournalError;
use crate::journal::event::Taken;
use crate::journal::session::Remembered;
use crate::outbox::Outbox;
use crate::worker::leases::Standing;
use crate::worker::now;
use crate::worker::slots::Permit;

/// How long a wait for a time of the wall clock sleeps at most before it looks again.
const LONGEST_NAP: Duration = Duration::from_secs(10);

/// A session key's task; it ends when nothing is left to do.
pub async fn run(means: Means, key: SessionKey, mut inbox: mpsc::Receiver<Told>) {
    let mut task =
        Task { means, key, outbox: None, backlog: VecDeque::new(), guests: Vec::new(), history: None };
    loop {
        let told = match task.backlog.pop_front() {
            Some(told) => told,
            None => match inbox.recv().await {
                Some(told) => told,
                None => return,
            },
        };
        let outcome = match told {
            Told::LeaseLost => return,
            Told::StoppedAway { token, seqs } => task.close(token, seqs).await,
            Told::Event(taken) => task.handle(*taken, &mut inbox).await,
        };
        match outcome {
            Ok(Next::GoOn) => {}
            Ok(Next::End) => return,
            Err(failure) => {
                // The event stays open in the journal and goes on at the next start.
                error!(session_key = %task.key, "the session cannot go on now: {failure:#}");
                return;
            }
        }
    }
}

enum Next {
    GoOn,
    End,
}

/// How the wait for a slot ended.
enum Slot {
    Free(Permit),
    /// A stop came first.
    Stopped(Box<Taken>),
    /// Nothing is to run any more.
    Over(Next),
}

/// What became of a run that was taken up.
enum TakenUp {
    /// Its turn goes on with another run.
    CutOff(Turn),
    /// Its turn, which took these events in, is over and said so.
    Over(Vec<Seq>),
}

enum Ended {
    /// The turn is over and said so.
    Turn,
    /// A stop came while the worker was away.
    Away { token: FencingToken, seqs: Vec<Seq> },
    /// The turn waits for a usage limit to be reset.
    Parked,
    /// The run was left as it is: the lease is lost, or `cyrus` ends.
    Left,
}

struct Task {
    means: Means,
    key: SessionKey,
    /// The outbox of the Linear session that spoke last, and that session's id.
    outbox: Option<(AgentSessionId, FencingToken, Outbox)>,
    /// What came while a slot was awaited, or too late for the turn that was running.
    backlog: VecDeque<Told>,
    /// Other Linear sessions on the issue that joined the turn.
    guests: Vec<Guest>,
    /// What Linear held of a session when it moved here under this token.
    history: Option<(AgentSessionId, FencingToken, Arc<History>)>,
}

impl Task {
    async fn handle(&mut self, taken: Taken, inbox: &mut mpsc::Receiver<Told>) -> anyhow::Result<Next> {
        let session = taken.event.body.agent_session().clone();
        info!(session_key = %self.key, seq = %taken.seq, "{}", taken.event.body.kind());
        if let EventBody::CheckRequested { executor, .. } = &taken.event.body {
            let result = check::result(&self.means, executor).await;
            self.means.journal.finish_with(taken.seq, result).await?;
            let _ = self.means.done.send(vec![taken.seq]);
            return Ok(Next::GoOn);
        }
        if taken.turn_over {
            // It ended before the last stop of cyrus; what was said about it leaves now.
            return self.finish(vec![taken.seq], &session, taken.token).await;
        }
        if taken.turn.is_some_and(|first| first != taken.seq)
            && !self.means.journal.is_open(taken.seq).await?
        {
            // It ended with the turn that had taken it in.
            return Ok(Next::GoOn);
        }
        let remembered = self.means.journal.session(&session.id, &self.key).await?;
        if taken.takeover && !session.local {
            let Some(history) = self.history(&taken).await? else { return Ok(Next::End) };
            if let Some(state) = history.answered(&taken) {
                info!(session_key = %self.key, seq = %taken.seq, "answered before it moved here");
                self.settle(&taken, &session, state).await?;
                return self.finish(vec![taken.seq], &session, taken.token).await;
            }
        }
        if taken.event.body.is_stop()
            && let Some(seqs) = self.stop_what_was_left(&taken, &session, &remembered).await?
        {
            return self.finish(seqs, &session, taken.token).await;
        }
        match &taken.event.body {
            EventBody::SessionStopped { .. } => {
                // Nothing runs here: a stop during a run is taken by the turn itself.
                self.say_stopped(&taken, &session).await?;
                self.finish(vec![taken.seq], &session, taken.token).await
            }
            body if body.is_of_issue() => {
                // An edit wakes nothing. An end finds no run here; only a question that waits is answered by it.
                if body.is_stop() && remembered.asked.is_some() {
                    self.say_stopped(&taken, &session).await?;
                }
                self.finish(vec![taken.seq], &session, taken.token).await
            }
            _ => self.work(taken, session, remembered, inbox).await,
        }
    }

    async fn work(
        &mut self,
        taken: Taken,
        session: AgentSession,
        remembered: Remembered,
        inbox: &mut mpsc::Receiver<Told>,
    ) -> anyhow::Result<Next> {
        let late =
            matches!(taken.event.body, EventBody::SessionCreated { .. }) && remembered.conversation.is_some();
        if late && remembered.open_run.is_none() {
            // A message of this session came first and began its work; the creation adds nothing to do.
            return self.finish(vec![taken.seq], &session, taken.token).await;
        }
        let found = place::find(&self.means, &taken, &remembered).await;
        if matches!(found, Place::Asked) {
            return self.finish(vec![taken.seq], &session, taken.token).await;
        }
        if remembered.open_run.is_none() && !matches!(found, Place::Ask) && !self.has_first_thought(&taken) {
            self.outbox(&session, taken.token).add(guest::first_thought(&taken)).await?;
        }
        let record = guest::open_record(&self.means, &taken);
        self.outbox(&session, taken.token).add(record).await?;
        let (repository, wanted) = match found {
            Place::Here { repository, wanted } => (repository, wanted),
            Place::Ask | Place::Asked => {
                let (wanted, effects) = place::question(&self.means, &taken, &session, &remembered).await;
                self.outbox(&session, taken.token).ask(wanted, taken.seq, effects).await?;
                return self.finish(vec![taken.seq], &session, taken.token).await;
            }
            Place::Nowhere => {
                let failure = anyhow::anyhow!(place::NOWHERE);
                let over = Turn::of(taken.seq).after(Fact::Ends)?;
                self.say_not_started(&taken, &session, &failure, over).await?;
                return self.finish(vec![taken.seq], &session, taken.token).await;
            }
        };
        let known = self.means.journal.turn(&session.id, taken.seq).await?;
        if known.is_none()
            && let Some(refusal) = guard::refusal(&self.means, &taken).await
        {
            let (failure, over) = (anyhow::anyhow!("{refusal}"), Turn::of(taken.seq).after(Fact::Ends)?);
            self.say_not_started(&taken, &session, &failure, over).await?;
            return self.finish(vec![taken.seq], &session, taken.token).await;
        }
        if let Some(started) = guest::started(&taken) {
            self.outbox(&session, taken.token).add(started).await?;
        }
        let mut state = known.clone().unwrap_or_else(|| Turn::of(taken.seq));
        if let Some(run) = state.live_run() {
            let left = (state.clone(), run);
            match self.take_up(&taken, &session, &repository, left).await? {
                TakenUp::CutOff(now) => state = now,
                TakenUp::Over(seqs) => return self.finish(seqs, &session, taken.token).await,
            }
        }
        let cut_off = match known {
            Some(_) if !state.runs.is_empty() => {
                self.means.journal.events_of_turn(state.members.clone()).await?
            }
            // An older `cyrus` began its run.
            None if remembered.open_run.is_some() => vec![taken.clone()],
            _ => Vec::new(),
        };
        let until = match state.phase {
            turn::Phase::Parked { until } => Some(until),
            _ => None,
        };
        let permit = match self.slot(until, &repository.name, &session, taken.token, inbox).await? {
            Slot::Free(permit) => permit,
            Slot::Over(next) => return Ok(next),
            Slot::Stopped(stop) => {
                self.say_stopped(&stop, &session).await?;
                let mut seqs = state.members.clone();
                seqs.extend(self.overtaken(&stop));
                seqs.push(stop.seq);
                return self.finish(seqs, &session, taken.token).await;
            }
        };
        self.means.journal.set_repository(&session.id, repository.name.clone()).await?;
        let account = match &self.history {
            Some((id, _, history)) if taken.takeover && *id == session.id => history.account(),
            _ => None,
        };
        let members = state.members.clone();
        let over = state.after(Fact::Ends)?;
        let worktree = match self.prepare(&taken, &session, &repository, inbox).await {
            Ok(Prepared::Ready(worktree)) => *worktree,
            Ok(Prepared::Over(next)) => return Ok(next),
            Ok(Prepared::Stopped(stop)) => {
                self.say_stopped(&stop, &session).await?;
                let mut seqs = members;
                seqs.extend(self.overtaken(&stop));
                seqs.push(stop.seq);
                return self.finish(seqs, &session, taken.token).await;
            }
            Err(failure) => {
                warn!(session_key = %self.key, "no workplace could be made: {failure:#}");
                self.say_not_started(&taken, &session, &failure, over).await?;
                return self.finish(members, &session, taken.token).await;
            }
        };
        let plan = Plan {
            repository: &repository,
            worktree,
            wanted,
            account,
            remembered: &remembered,
            cut_off: &cut_off,
        };
        let (mut turn, run) = match LiveTurn::begin(&self.means, &taken, &session, plan, state).await {
            Ok(started) => started,
            Err(failure) => {
                warn!(session_key = %self.key, "no run could be started: {failure:#}");
                self.say_not_started(&taken, &session, &failure, over).await?;
                return self.finish(members, &session, taken.token).await;
            }
        };
        self.welcome_again(&cut_off, &turn, &session).await?;
        let ended = self.follow(&mut turn, run, inbox, &session).await?;
        drop(permit);
        match ended {
            Ended::Turn => self.finish(turn.seqs().to_vec(), &session, taken.token).await,
            Ended::Away { token, seqs } => self.close(token, seqs).await,
            Ended::Parked => {
                // It goes on from what is written down, as after a restart.
                self.backlog.push_front(Told::Event(Box::new(taken)));
                Ok(Next::GoOn)
            }
            Ended::Left => Ok(Next::End),
        }
    }

    /// Takes a run up that was live when `cyrus` was killed: tells the rest of it, and ends its turn if it ended.
    async fn take_up(
        &mut self,
        taken: &Taken,
        session: &AgentSession,
        repository: &RepositoryConfig,
        (state, run): (Turn, RunId),
    ) -> anyhow::Result<TakenUp> {
        let means = self.means.clone();
        let outbox = self.outbox(session, taken.token);
        let left = (state.clone(), run);
        let (mut turn, outcome) = LiveTurn::take_up(&means, taken, session, repository, left, outbox).await?;
        let found = if outcome.is_some() { Found::Verdict } else { Found::CutOff };
        match state.next(found) {
            turn::Next::Conclude | turn::Next::ConcludeStopped | turn::Next::ConcludeAsking => {
                let members = self.means.journal.events_of_turn(state.members.clone()).await?;
                self.welcome_again(&members, &turn, session).await?;
                turn.because(members.iter().find_map(|member| answer::why_it_ends(&member.event.body)));
                let outcome = outcome.unwrap_or_else(RunOutcome::stopped);
                self.conclude(&mut turn, outcome, session).await?;
                Ok(TakenUp::Over(state.members))
            }
            turn::Next::Begin | turn::Next::BeginAgain | turn::Next::Wait { .. } | turn::Next::Nothing => {
                Ok(TakenUp::CutOff(turn.breaks(self.outbox(session, taken.token)).await?))
            }
        }
    }

    /// A stop came for a run that was live when `cyrus` was killed, and the hub has cancelled the event that began it:
    /// tells the rest of the run and ends its turn. `None`: there is no such run.
    async fn stop_what_was_left(
        &mut self,
        stop: &Taken,
        session: &AgentSession,
        remembered: &Remembered,
    ) -> anyhow::Result<Option<Vec<Seq>>> {
        let Some(turn) = self.means.journal.unended_turn(&session.id).await? else { return Ok(None) };
        let Some(run) = turn.live_run() else { return Ok(None) };
        let settings = self.means.config.now();
        let mut known = settings.repositories.iter();
        let Some(repository) = known.find(|config| Some(&config.name) == remembered.repository.as_ref())
        else {
            return Ok(None);
        };
        let state = turn.after(Fact::Stops)?.after(Fact::Takes { seq: stop.seq })?;
        // The record may not have been made before the crash, and nothing of the session leaves without one.
        let record = guest::open_record(&self.means, stop);
        self.outbox(session, stop.token).add(record).await?;
        match self.take_up(stop, session, repository, (state, run)).await? {
            TakenUp::Over(seqs) => Ok(Some(seqs)),
            TakenUp::CutOff(_) => Ok(None),
        }
    }

    /// Other Linear sessions that had joined the turn before `cyrus` was killed join it again.
    async fn welcome_again(
        &mut self,
        members: &[Taken],
        turn: &LiveTurn,
        session: &AgentSession,
    ) -> anyhow::Result<()> {
        for member in members {
            let theirs = member.event.body.agent_session();
            if theirs.id != session.id && !self.guests.iter().any(|guest| guest.is(theirs)) {
                self.guests.push(Guest::welcome(&self.means, member, turn.begun()).await?);
            }
        }
        Ok(())
    }

    /// Waits for a slot, not before `until`. A stop of this session ends the wait; everything else waits along.
    async fn slot(
        &mut self,
        until: Option<Timestamp>,
        repository: &str,
        session: &AgentSession,
        token: FencingToken,
        inbox: &mut mpsc::Receiver<Told>,
    ) -> anyhow::Result<Slot> {
        let mut ending = self.means.ending.clone();
        let slots = self.means.slots.clone();
        let mut free = std::pin::pin!(async {
            reached(until).await;
            slots.wait(repository).await
        });
        loop {
            tokio::select! {
                biased;
                () = told_to_end(&mut ending) => return Ok(Slot::Over(Next::End)),
                Some(told) = inbox.recv() => match told {
                    Told::LeaseLost => return Ok(Slot::Over(Next::End)),
                    Told::Event(next) if is_stop_of(&next, session) => return Ok(Slot::Stopped(next)),
                    Told::StoppedAway { token, seqs } => {
                        return Ok(Slot::Over(self.close(token, seqs).await?));
                    }
                    told => self.backlog.push_back(told),
                },
                permit = &mut free => {
                    let lost = self.means.leases.standing(&self.key, token) == Standing::Lost;
                    return Ok(if lost { Slot::Over(Next::End) } else { Slot::Free(permit) });
                }
            }
        }
    }

    /// Waits until what was said has left, then tells the hub.
    async fn finish(
        &mut self,
        seqs: Vec<Seq>,
        session: &AgentSession,
        token: FencingToken,
    ) -> anyhow::Result<Next> {
        let mut ending = self.means.ending.clone();
        let mut guests = std::mem::take(&mut self.guests);
        let outbox = self.outbox(session, token);
        let all = async {
            let mut left = outbox.drained().await?;
            for guest in &mut guests {
                left &= guest.drained().await?;
            }
            Ok::<_, JournalError>(left)
        };
        let left = tokio::select! {
            left = all => left?,
            () = told_to_end(&mut ending) => return Ok(Next::End),
        };
        if !left {
            self.means.journal.lose(seqs).await?;
            return Ok(Next::End);
        }
        self.means.journal.finish(seqs.clone()).await?;
        // Nobody listens any more only when the whole worker ends; the journal tells at the next start.
        let _ = self.means.done.send(seqs.clone());
        let closes = |taken: &Taken| matches!(taken.event.body, EventBody::IssueClosed { .. });
        if self.means.journal.events_of_turn(seqs).await?.iter().any(closes) {
            tokio::select! {
                () = workplace::issue_closed(&self.means, &self.key) => {}
                () = told_to_end(&mut ending) => return Ok(Next::End),
            }
        }
        Ok(Next::GoOn)
    }

    /// Ends what was stopped while the worker was away.
    async fn close(&mut self, token: FencingToken, seqs: Vec<Seq>) -> anyhow::Result<Next> {
        self.outbox = None;
        self.guests.clear();
        self.backlog.retain(|told| !matches!(told, Told::Event(taken) if seqs.contains(&taken.seq)));
        let mut ending = self.means.ending.clone();
        let closed = tokio::select! {
            closed = closing::close(&self.means, &self.key, token, seqs) => closed?,
            () = told_to_end(&mut ending) => false,
        };
        Ok(if closed { Next::GoOn } else { Next::End })
    }

    fn outbox(&mut self, session: &AgentSession, token: FencingToken) -> &mut Outbox {
        let same = |held: &(AgentSessionId, FencingToken, Outbox)| held.0 == session.id && held.1 == token;
        let held = self
            .outbox
            .take()
            .filter(same)
            .unwrap_or_else(|| (session.id.clone(), token, self.means.outbox(session, &self.key, token)));
        &mut self.outbox.insert(held).2
    }

    /// What Linear held of the event's session when it moved here, read once; `None`: the lease is lost, or `cyrus` ends.
    async fn history(&mut self, taken: &Taken) -> anyhow::Result<Option<Arc<History>>> {
        let id = &taken.event.body.agent_session().id;
        if let Some((known, token, history)) = &self.history
            && known == id
            && *token == taken.token
        {
            return Ok(Some(Arc::clone(history)));
        }
        let mut ending = self.means.ending.clone();
        let history = tokio::select! {
            history = History::read(&self.means, id, &self.key, taken.token) => history,
            () = told_to_end(&mut ending) => None,
        };
        let Some(history) = history.map(Arc::new) else { return Ok(None) };
        self.history = Some((id.clone(), taken.token, Arc::clone(&history)));
        Ok(Some(history))
    }
}

fn is_stop_of(taken: &Taken, session: &AgentSession) -> bool {
    let body = &taken.event.body;
    body.is_stop() && (body.is_of_issue() || body.agent_session().id == session.id)
}

/// Waits for a time of the wall clock, also over a suspend of the machine.
async fn reached(until: Option<Timestamp>) {
    let Some(until) = until else { return };
    loop {
        let rest = until.as_millis().saturating_sub(now().as_millis());
        let Ok(rest) = u64::try_from(rest) else { return };
        if rest == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(rest).min(LONGEST_NAP)).await;
    }
}

/// Waits until `cyrus` is to end.
async fn told_to_end(ending: &mut watch::Receiver<bool>) {
    // When the sender is gone, so is the worker: that is the same.
    let _ = ending.wait_for(|ending| *ending).await;
}
