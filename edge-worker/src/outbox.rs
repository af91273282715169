//! Effects on the outside: written to the journal first, then made to happen, in order, until they have.
//!
//! Each session has its lanes and its log lines, each pumped by a task of its own, so a panel that is away
//! does not keep people in Linear waiting. What Linear or the panel refuses for good is told once and kept as
//! failed. Each effect waits for a lease that was confirmed lately. What a lost lease leaves behind is not posted:
//! dropping the [`Outbox`] ends the pumps.

mod lines;
mod pace;
mod pump;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;
use std::time::Duration;

use shared::event::AgentSession;
use shared::id::{AgentSessionId, FencingToken, RunId, Seq, SessionKey};
use shared::linear::governor::Level;
use shared::log_line::LogLine;
use shared::money::MicroUsd;
use shared::turn::Turn;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::journal::effect::{Effect, Lane};
use crate::journal::run::{Held, Told};
use crate::journal::{Journal, JournalError};
use crate::linear::LinearClient;
use crate::panel::PanelClient;
use crate::worker::leases::Leases;
use crate::worker::linear_budget::LinearUse;

/// How long the end of a turn waits for a push. Tests wait less.
const PUSH_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

/// Whom effects go to.
#[derive(Clone)]
pub struct Outside {
    /// Linear, unless `cyrus` runs on its own.
    pub linear: Option<LinearClient>,
    /// The panel, where there is one.
    pub panel: Option<PanelClient>,
    /// Who sits in front of a run of this machine alone: it is shown what Linear and the panel would be told.
    pub screen: Option<mpsc::UnboundedSender<Effect>>,
}

/// Under which lease a session's effects happen.
#[derive(Clone)]
pub struct Holding {
    /// All leases of this worker.
    pub leases: Leases,
    /// The session key.
    pub key: SessionKey,
    /// The token that is shown.
    pub token: FencingToken,
}

/// The outbox of one session, pumping while it lives.
pub struct Outbox {
    journal: Journal,
    session: AgentSessionId,
    wake: Arc<Notify>,
    idle: Vec<watch::Receiver<bool>>,
    lost: watch::Receiver<bool>,
    has_panel: bool,
    /// Somebody is told of the session's state: the panel, or a screen.
    has_records: bool,
    /// Linear knows of the session.
    in_linear: bool,
    spending: Option<LinearUse>,
    _pumps: JoinSet<()>,
}

impl Outbox {
    /// Begins to pump what the journal holds for a session. Of a local one nothing goes to Linear.
    pub fn open(journal: Journal, outside: Outside, session: &AgentSession, holding: Holding) -> Self {
        let has_screen = outside.screen.is_some();
        let (in_linear, session) = (!session.local || has_screen, session.id.clone());
        let wake = Arc::new(Notify::new());
        let (lost_sender, lost) = watch::channel(false);
        let lost_sender = Arc::new(lost_sender);
        let mut pumps = JoinSet::new();
        let mut idle = Vec::new();
        let has_panel = outside.panel.is_some();
        let spending = outside.linear.as_ref().map(|linear| linear.spending().clone());
        let has_records = has_panel || has_screen;
        let shared = pump::Pump {
            journal: journal.clone(),
            outside,
            session: session.clone(),
            in_linear,
            holding,
            wake: Arc::clone(&wake),
            lost: lost_sender,
        };
        for lane in Lane::ALL {
            let (sender, receiver) = watch::channel(false);
            idle.push(receiver);
            match (&shared.outside.linear, lane) {
                (Some(linear), Lane::Linear) if !has_screen => {
                    let spending = linear.spending().clone();
                    pumps.spawn(words::run(shared.clone(), spending, sender))
                }
                _ => pumps.spawn(pump::run_lane(shared.clone(), lane, sender)),
            };
        }
        if has_panel {
            let (sender, receiver) = watch::channel(false);
            idle.push(receiver);
            pumps.spawn(lines::run(shared, sender));
        }
        Self {
            journal,
            session,
            wake,
            idle,
            lost,
            has_panel,
            has_records,
            in_linear,
            spending,
            _pumps: pumps,
        }
    }

    fn wants(&self, effect: &Effect) -> bool {
        wanted(effect, self.has_records, self.in_linear)
    }

    /// Writes an effect down; it happens soon.
    pub async fn add(&mut self, effect: Effect) -> Result<(), JournalError> {
        if !self.wants(&effect) {
            return Ok(());
        }
        self.journal.add_effect(&self.session, effect).await?;
        self.stir();
        Ok(())
    }

    /// Writes down that a turn ended, what its run cost, and what is to be said about it, as one.
    pub async fn end_turn(
        &mut self,
        turn: Turn,
        run: Option<(RunId, Option<MicroUsd>)>,
        effects: Vec<Effect>,
    ) -> Result<(), JournalError> {
        let effects = effects.into_iter().filter(|effect| self.wants(effect)).collect();
        self.journal.turn_ends(&self.session, turn, run, effects).await?;
        self.stir();
        Ok(())
    }

    /// Writes down that a run was cut off, and what is to be said of it, as one.
    pub async fn break_run(
        &mut self,
        turn: Turn,
        run: RunId,
        effects: Vec<Effect>,
    ) -> Result<(), JournalError> {
        let effects = effects.into_iter().filter(|effect| self.wants(effect)).collect();
        self.journal.run_breaks(&self.session, turn, run, effects).await?;
        self.stir();
        Ok(())
    }

    /// Tells what a run has told; see [`Journal::tell`].
    pub async fn tell<C>(&mut self, told: Told<C>) -> Result<Option<Held>, JournalError>
    where
        C: FnOnce(u64) -> (Vec<Effect>, Option<Held>) + Send + 'static,
    {
        let (has_records, in_linear) = (self.has_records, self.in_linear);
        let Told { run, places, lines, compose } = told;
        let compose = move |first| {
            let (mut effects, held) = compose(first);
            effects.retain(|effect| wanted(effect, has_records, in_linear));
            (effects, held)
        };
        let held = self.journal.tell(&self.session, Told { run, places, lines, compose }).await?;
        self.stir();
        Ok(held)
    }

    /// Writes down that a turn ended with the question which repository is meant, as one.
    pub async fn ask(&mut self, wanted: String, seq: Seq, effects: Vec<Effect>) -> Result<(), JournalError> {
        let effects = effects.into_iter().filter(|effect| self.wants(effect)).collect();
        self.journal.asks(&self.session, wanted, seq, effects).await?;
        self.stir();
        Ok(())
    }

    /// Writes lines down; returns the number of the last one.
    pub async fn add_lines(&mut self, lines: Vec<LogLine>) -> Result<u64, JournalError> {
        let last = self.journal.add_lines(&self.session, lines).await?;
        self.stir();
        Ok(last)
    }

    fn stir(&mut self) {
        for idle in &mut self.idle {
            idle.mark_unchanged();
        }
        self.wake.notify_waiters();
    }

    /// Waits until everything that was written down has happened; for a push not longer than a minute, since a remote
    /// may be away for hours, and people must not wait for it. `false`: the lease is lost, and it never will.
    pub async fn drained(&mut self) -> Result<bool, JournalError> {
        let patience = Instant::now() + PUSH_PATIENCE;
        loop {
            if *self.lost.borrow() {
                return Ok(false);
            }
            if self.is_empty(Instant::now() < patience).await? {
                return Ok(true);
            }
            self.wake.notify_waiters();
            let mut lost = self.lost.clone();
            let idle =
                futures_util::future::select_all(self.idle.iter_mut().map(|idle| Box::pin(idle.changed())));
            tokio::select! {
                _ = idle => {}
                _ = lost.changed() => {}
                // A pump that is backing off says nothing; looking again now and then costs one read.
                () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
            }
        }
    }

    async fn is_empty(&self, with_pushes: bool) -> Result<bool, JournalError> {
        for lane in Lane::ALL {
            if lane == Lane::Git && !with_pushes {
                continue;
            }
            // What is shown beside the words waits for better times without holding up what comes next.
            if lane == Lane::LinearSide
                && self.spending.as_ref().is_some_and(|spending| spending.level() == Level::Scarce)
            {
                continue;
            }
            if self.journal.next_effect(&self.session, lane).await?.is_some() {
                return Ok(false);
            }
        }
        let (stored, last) = self.journal.line_marks(&self.session).await?;
        Ok(!self.has_panel || stored >= last)
    }
}

/// Whether an effect has anywhere to go.
fn wanted(effect: &Effect, has_records: bool, in_linear: bool) -> bool {
    match effect.lane() {
        Lane::Linear | Lane::LinearSide => in_linear,
        Lane::Panel => has_records,
        Lane::Git => true,
    }
}
