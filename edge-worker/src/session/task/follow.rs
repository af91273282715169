//! Following a run: its events go to the outbox, what people say goes into it, a stop or a lost lease ends it.
//!
//! An event that the running turn cannot take in keeps its place for the next turn, and what comes after it stays
//! behind it. Nothing is fed to the agent that another worker may have answered.

use std::time::Duration;

use shared::event::AgentSession;
use shared::id::Seq;
use shared::time::Timestamp;
use shared::turn::Phase;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

use super::super::guest::{self, Guest};
use super::super::teller::TOLD_AT_ONCE;
use super::super::turn::LiveTurn;
use super::super::{answer, files};
use super::{Ended, Task, Told, told_to_end};
use crate::executor::{Run, RunControl, RunErrorKind, RunOutcome};
use crate::journal::effect::Effect;
use crate::journal::event::Taken;
use crate::worker::now;

/// How often the work of a run that goes on is kept where another worker finds it.
const KEPT_EVERY: Duration = Duration::from_secs(60);

impl Task {
    /// Follows a run to its end; follow-ups go into it, a stop ends it.
    pub(super) async fn follow(
        &mut self,
        turn: &mut LiveTurn,
        mut run: Run,
        inbox: &mut mpsc::Receiver<Told>,
        session: &AgentSession,
    ) -> anyhow::Result<Ended> {
        let control = run.control();
        let mut ending = self.means.ending.clone();
        self.outbox(session, turn.token()).add(Effect::UpdateSession(Box::new(turn.begun()))).await?;
        // What came while a slot was awaited belongs to this turn, if it can be taken in.
        for told in std::mem::take(&mut self.backlog) {
            match told {
                Told::Event(next) => self.take_in(turn, &control, next, session).await?,
                told => self.backlog.push_back(told),
            }
        }
        let mut inbox_open = true;
        let mut keeping = tokio::time::interval(KEPT_EVERY);
        keeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        keeping.reset();
        let silence = self.means.config.now().sign_of_life;
        let (mut said, mut lives) = (Instant::now(), 0);
        loop {
            tokio::select! {
                () = sleep_until(said + silence) => {
                    turn.say_it_lives(self.outbox(session, turn.token()), lives).await?;
                    (said, lives) = (Instant::now(), lives + 1);
                }
                _ = keeping.tick() => {
                    turn.keep_in_progress(self.outbox(session, turn.token())).await?;
                }
                readings = run.next_readings(TOLD_AT_ONCE) => {
                    if readings.is_empty() {
                        break;
                    }
                    if turn.tell(self.outbox(session, turn.token()), readings).await? {
                        said = Instant::now();
                    }
                }
                told = inbox.recv(), if inbox_open => match told {
                    None => inbox_open = false,
                    Some(Told::Event(next)) => self.take_in(turn, &control, next, session).await?,
                    Some(Told::LeaseLost) => {
                        control.stop().await;
                        return Ok(Ended::Left);
                    }
                    Some(Told::StoppedAway { token, seqs }) => {
                        // Linear has been told: what waits to be posted there stays unsaid.
                        self.outbox = None;
                        self.guests.clear();
                        control.stop().await;
                        let ending = turn.conclude(run.wait().await).await;
                        turn.end_unsaid(&self.means, ending).await?;
                        return Ok(Ended::Away { token, seqs });
                    }
                },
                () = turn.is_asked_too_long() => turn.go_on_unanswered(&control).await,
                () = told_to_end(&mut ending) => {
                    // The event stays open in the journal; the next start takes the run up.
                    control.stop().await;
                    return Ok(Ended::Left);
                }
            }
        }
        let outcome = run.wait().await;
        if let Some(until) = self.parks_until(turn, &outcome) {
            let means = self.means.clone();
            turn.park(&means, self.outbox(session, turn.token()), until, &outcome).await?;
            return Ok(Ended::Parked);
        }
        self.conclude(turn, outcome, session).await?;
        Ok(Ended::Turn)
    }

    /// Until when the turn waits because its run ended at a usage limit; `None`: it ends.
    fn parks_until(&self, turn: &LiveTurn, outcome: &RunOutcome) -> Option<Timestamp> {
        let error = outcome.error.as_ref().filter(|error| error.kind == RunErrorKind::UsageLimit)?;
        let limit = self.means.config.now().usage_limit;
        let until = error.resets_at?;
        let hours = (until.as_millis() - now().as_millis()) as f64 / 3_600_000.0;
        let running = matches!(turn.state().phase, Phase::Running { .. });
        let may = limit.resume && turn.state().pauses < limit.max_resumes && hours <= limit.max_wait_hours;
        (running && may).then_some(until)
    }

    /// Ends a turn with its answer, for all who wait for it.
    pub(super) async fn conclude(
        &mut self,
        turn: &mut LiveTurn,
        outcome: RunOutcome,
        session: &AgentSession,
    ) -> anyhow::Result<()> {
        let mut ending = turn.conclude(outcome).await;
        ending.content = files::with_images(&self.means, session, ending.content, turn.worktree_path()).await;
        for guest in &mut self.guests {
            guest.answer(&ending.update, &ending.content).await?;
        }
        turn.end(self.outbox(session, turn.token()), ending).await
    }

    /// Takes an event into the running turn, or keeps it, and what comes after it, for the next one.
    async fn take_in(
        &mut self,
        turn: &mut LiveTurn,
        control: &RunControl,
        next: Box<Taken>,
        session: &AgentSession,
    ) -> anyhow::Result<()> {
        if turn.state().has(next.seq) {
            // It was taken in before `cyrus` was killed, and the agent was told all of that again.
            return Ok(());
        }
        if next.event.body.is_stop() {
            // The hub has cancelled what waits of this session.
            turn.because(answer::why_it_ends(&next.event.body));
            let mut with = self.overtaken(&next);
            with.push(next.seq);
            return turn.stop(&self.means, control, with).await;
        }
        if !self.backlog.is_empty()
            || self.stands_apart(&next)
            || !turn.take_in(&self.means, control, &next).await?
        {
            self.backlog.push_back(Told::Event(next));
            return Ok(());
        }
        let theirs = next.event.body.agent_session();
        if self.guests.iter().any(|guest| guest.is(theirs)) {
            return Ok(());
        }
        if theirs.id == session.id {
            if turn.was_answered() {
                self.outbox(session, turn.token()).add(turn.goes_on()).await?;
            }
            // Says to the person, and to a worker that might take over, that the running turn has it.
            self.outbox(session, turn.token()).add(guest::first_thought(&next)).await?;
        } else {
            self.guests.push(Guest::welcome(&self.means, &next, turn.begun()).await?);
        }
        Ok(())
    }

    /// Whether an event must not go into a running turn: it is over, it asks the person, or it may be answered already.
    fn stands_apart(&self, taken: &Taken) -> bool {
        let may_be_answered = || match &self.history {
            Some((id, token, history))
                if *id == taken.event.body.agent_session().id && *token == taken.token =>
            {
                history.answered(taken).is_some()
            }
            _ => true,
        };
        taken.turn_over || taken.ask || (taken.takeover && may_be_answered())
    }

    /// Takes what came before a stop of the same session out of the backlog.
    pub(super) fn overtaken(&mut self, stop: &Taken) -> Vec<Seq> {
        let session = &stop.event.body.agent_session().id;
        let mut seqs = Vec::new();
        self.backlog.retain(|told| match told {
            Told::Event(taken) if taken.seq < stop.seq && taken.event.body.agent_session().id == *session => {
                seqs.push(taken.seq);
                false
            }
            _ => true,
        });
        seqs
    }
}
