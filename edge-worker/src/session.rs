//! One session key's work, one event after the other (invariant E2: one live run per issue).
//!
//! A task per session key: it takes events in the hub's order, feeds a follow-up into the running turn or
//! begins a new one, and reports each event as done when its turn has ended and its effects have left. Parts:
//! [`prompt`] (what the agent is told), [`workplace`] (where it works), [`turn`] (one go of the executor),
//! [`answer`] (what people read). It never posts under a lease that is lost.

pub mod answer;
mod guest;
pub mod prompt;
mod turn;
mod workplace;

use std::collections::VecDeque;
use std::sync::Arc;

use shared::activity_id::{Step, activity_id};
use shared::event::{AgentSession, EventBody};
use shared::id::{FencingToken, Seq, SessionKey};
use shared::linear::activity::ActivityContent;
use shared::session::SessionState;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{error, info, warn};

use crate::config::Config;
use crate::executor::{Executor, Run};
use crate::journal::effect::Effect;
use crate::journal::event::Taken;
use crate::journal::{Journal, JournalError};
use crate::outbox::{Outbox, Outside};
use guest::Guest;
use turn::Turn;

/// What every session uses.
#[derive(Clone)]
pub struct Means {
    /// The configuration.
    pub config: Arc<Config>,
    /// The journal.
    pub journal: Journal,
    /// Linear and the panel.
    pub outside: Outside,
    /// The executor.
    pub executor: Arc<dyn Executor>,
    /// Its version, asked once.
    pub executor_version: Option<String>,
    /// One permit a run.
    pub slots: Arc<Semaphore>,
    /// Tells the worker which events are done.
    pub done: mpsc::UnboundedSender<Vec<Seq>>,
    /// Turns true when `cyrus` is to end.
    pub ending: watch::Receiver<bool>,
}

/// What a session's task is told.
#[derive(Debug)]
pub enum Told {
    /// An event, in order.
    Event(Box<Taken>),
    /// The lease is gone: stop and post nothing.
    LeaseLost,
}

/// A session key's task; it ends when nothing is left to do.
pub async fn run(means: Means, key: SessionKey, mut inbox: mpsc::Receiver<Told>) {
    let mut task = Task { means, key, outbox: None, backlog: VecDeque::new(), guests: Vec::new() };
    loop {
        let told = match task.backlog.pop_front() {
            Some(taken) => Told::Event(Box::new(taken)),
            None => match inbox.recv().await {
                Some(told) => told,
                None => return,
            },
        };
        let outcome = match told {
            Told::LeaseLost => return,
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

struct Task {
    means: Means,
    key: SessionKey,
    /// The outbox of the Linear session that spoke last, and that session's id.
    outbox: Option<(shared::id::AgentSessionId, FencingToken, Outbox)>,
    /// Events that came too late for the turn that was running.
    backlog: VecDeque<Taken>,
    /// Other Linear sessions on the issue that joined the turn.
    guests: Vec<Guest>,
}

impl Task {
    async fn handle(&mut self, taken: Taken, inbox: &mut mpsc::Receiver<Told>) -> anyhow::Result<Next> {
        let session = taken.event.body.agent_session().clone();
        info!(session_key = %self.key, seq = %taken.seq, "{}", taken.event.body.kind());
        if taken.turn_over {
            // It ended before the last stop of cyrus; what was said about it leaves now.
            return self.finish(vec![taken.seq], &session, taken.token).await;
        }
        match &taken.event.body {
            EventBody::SessionStopped { .. } => {
                // Nothing runs here: a stop during a run is taken by the turn itself.
                self.say_stopped(&taken, &session).await?;
                self.finish(vec![taken.seq], &session, taken.token).await
            }
            EventBody::SessionCreated { .. }
            | EventBody::SessionPrompted { .. }
            | EventBody::RunRequested { .. }
            | EventBody::CheckRequested { .. } => self.work(taken, session, inbox).await,
        }
    }

    async fn work(
        &mut self,
        taken: Taken,
        session: AgentSession,
        inbox: &mut mpsc::Receiver<Told>,
    ) -> anyhow::Result<Next> {
        let remembered = self.means.journal.session(&session.id, &self.key).await?;
        let late =
            matches!(taken.event.body, EventBody::SessionCreated { .. }) && remembered.conversation.is_some();
        if late && remembered.open_run.is_none() {
            // A message of this session came first and began its work; the creation adds nothing to do.
            return self.finish(vec![taken.seq], &session, taken.token).await;
        }
        if remembered.open_run.is_none() && !taken.takeover {
            self.outbox(&session, taken.token).add(guest::first_thought(&taken)).await?;
        }
        let record = guest::open_record(&self.means, &taken);
        self.outbox(&session, taken.token).add(record).await?;
        let mut ending = self.means.ending.clone();
        let permit = tokio::select! {
            permit = Arc::clone(&self.means.slots).acquire_owned() => permit?,
            () = told_to_end(&mut ending) => return Ok(Next::End),
        };
        let started = match Turn::start(&self.means, &taken, &session, &remembered).await {
            Ok(started) => started,
            Err(failure) => {
                warn!(session_key = %self.key, "no run could be started: {failure:#}");
                self.say_not_started(&taken, &session, &failure).await?;
                return self.finish(vec![taken.seq], &session, taken.token).await;
            }
        };
        let (mut turn, run) = started;
        let ended = self.follow(&mut turn, run, inbox, &session).await?;
        drop(permit);
        match ended {
            Ended::Turn => self.finish(turn.seqs().to_vec(), &session, taken.token).await,
            Ended::Left => Ok(Next::End),
        }
    }

    /// Follows a run to its end; follow-ups go into it, a stop ends it.
    async fn follow(
        &mut self,
        turn: &mut Turn,
        mut run: Run,
        inbox: &mut mpsc::Receiver<Told>,
        session: &AgentSession,
    ) -> anyhow::Result<Ended> {
        let control = run.control();
        let mut ending = self.means.ending.clone();
        self.outbox(session, turn.token()).add(Effect::UpdateSession(Box::new(turn.begun()))).await?;
        let mut inbox_open = true;
        loop {
            tokio::select! {
                event = run.next_event() => {
                    let Some(event) = event else { break };
                    let outbox = self.outbox(session, turn.token());
                    turn.tell(outbox, session, &event).await?;
                }
                told = inbox.recv(), if inbox_open => match told {
                    None => inbox_open = false,
                    Some(Told::LeaseLost) => {
                        control.stop().await;
                        return Ok(Ended::Left);
                    }
                    Some(Told::Event(next)) => {
                        if turn.take_in(&control, &next).await {
                            self.greet(turn, &next, session).await?;
                        } else {
                            self.backlog.push_back(*next);
                        }
                    }
                },
                () = told_to_end(&mut ending) => {
                    // The event stays open in the journal; the next start resumes the conversation.
                    control.stop().await;
                    return Ok(Ended::Left);
                }
            }
        }
        let outcome = run.wait().await;
        let ending = turn.conclude(outcome).await;
        for guest in &mut self.guests {
            guest.answer(&ending.update, &ending.content).await?;
        }
        turn.end(self.outbox(session, turn.token()), session, ending).await?;
        Ok(Ended::Turn)
    }

    /// A Linear session that is new to this turn gets its own first thought and record.
    async fn greet(&mut self, turn: &Turn, next: &Taken, session: &AgentSession) -> Result<(), JournalError> {
        let theirs = next.event.body.agent_session();
        let is_stop = matches!(next.event.body, EventBody::SessionStopped { .. });
        if is_stop || theirs.id == session.id || self.guests.iter().any(|guest| guest.is(theirs)) {
            return Ok(());
        }
        self.guests.push(Guest::welcome(&self.means, next, turn.begun()).await?);
        Ok(())
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
            self.means.journal.give_up(seqs).await?;
            return Ok(Next::End);
        }
        self.means.journal.finish(seqs.clone()).await?;
        // Nobody listens any more only when the whole worker ends; the journal tells at the next start.
        let _ = self.means.done.send(seqs);
        Ok(Next::GoOn)
    }

    fn outbox(&mut self, session: &AgentSession, token: FencingToken) -> &mut Outbox {
        let same = |held: &(shared::id::AgentSessionId, FencingToken, Outbox)| {
            held.0 == session.id && held.1 == token
        };
        let held = self.outbox.take().filter(same).unwrap_or_else(|| {
            let outbox = Outbox::open(
                self.means.journal.clone(),
                self.means.outside.clone(),
                session.id.clone(),
                token,
            );
            (session.id.clone(), token, outbox)
        });
        &mut self.outbox.insert(held).2
    }

    async fn say_stopped(&mut self, taken: &Taken, session: &AgentSession) -> Result<(), JournalError> {
        self.means.journal.session(&session.id, &self.key).await?;
        let effect = Effect::Activity {
            id: activity_id(&session.id, taken.seq, Step::Final),
            content: ActivityContent::Response { body: "Stopped. Nothing was running.".to_owned() },
            ephemeral: false,
        };
        self.outbox(session, taken.token).add(effect).await
    }

    async fn say_not_started(
        &mut self,
        taken: &Taken,
        session: &AgentSession,
        failure: &anyhow::Error,
    ) -> Result<(), JournalError> {
        let reason = format!("{failure:#}");
        let outbox = self.outbox(session, taken.token);
        outbox
            .add(Effect::UpdateSession(Box::new(answer::over(
                taken.token,
                SessionState::Failed,
                Some(reason.clone()),
            ))))
            .await?;
        outbox
            .add(Effect::Activity {
                id: activity_id(&session.id, taken.seq, Step::Final),
                content: ActivityContent::Error { body: answer::not_started(&reason) },
                ephemeral: false,
            })
            .await
    }
}

enum Ended {
    /// The turn is over and said so.
    Turn,
    /// The run was left as it is: the lease is lost, or `cyrus` ends.
    Left,
}

/// Waits until `cyrus` is to end.
async fn told_to_end(ending: &mut watch::Receiver<bool>) {
    // When the sender is gone, so is the worker: that is the same.
    let _ = ending.wait_for(|ending| *ending).await;
}
