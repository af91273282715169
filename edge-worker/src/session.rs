//! One session key's work, one event after the other (invariant E2: one live run per issue).
//!
//! A task per session key: it takes events in the hub's order, feeds a follow-up into the running turn or
//! begins a new one, and reports each event as done when its turn has ended and its effects have left. Parts:
//! [`task`] (the loop), [`route`] and [`place`] (which repository), [`prompt`] (what the agent is told),
//! [`workplace`] (where it works), [`turn`] (one go of the executor), [`telling`] and [`answer`] (what people read), [`takeover`]
//! (what was done elsewhere), [`closing`] (a stop that came while the worker was away), [`check`]. It never posts
//! under a lease that is lost.

pub mod answer;
mod asking;
mod check;
mod closing;
mod files;
mod guard;
mod guest;
mod left;
mod place;
mod plan;
pub mod prompt;
pub mod recovery;
pub mod route;
mod setup;
#[cfg(test)]
pub(crate) mod stage;
mod takeover;
mod task;
mod teller;
mod telling;
#[cfg(test)]
mod tests;
mod turn;
mod workplace;

use std::sync::Arc;

use shared::event::AgentSession;
use shared::id::{FencingToken, Seq, SessionKey};
use tokio::sync::{mpsc, watch};

use crate::config::live::Live;
use crate::executor::Executor;
use crate::journal::event::Taken;
use crate::journal::{Journal, JournalError};
use crate::outbox::{Holding, Outbox, Outside};
use crate::worker::slots::Slots;

pub use task::run;
pub use workplace::clear_all;

/// What every session uses.
#[derive(Clone)]
pub struct Means {
    /// The configuration.
    pub config: Live,
    /// The journal.
    pub journal: Journal,
    /// Linear and the panel.
    pub outside: Outside,
    /// The executor.
    pub executor: Arc<dyn Executor>,
    /// Its version, asked once.
    pub executor_version: Option<String>,
    /// One a run.
    pub slots: Slots,
    /// Tells the worker which events are done.
    pub done: mpsc::UnboundedSender<Vec<Seq>>,
    /// Turns true when `cyrus` is to end.
    pub ending: watch::Receiver<bool>,
    /// Until when effects may happen.
    pub leases: crate::worker::leases::Leases,
    /// What may be spent of Linear's budget.
    pub linear_use: crate::worker::linear_budget::LinearUse,
}

/// What a session's task is told.
#[derive(Debug)]
pub enum Told {
    /// An event, in order.
    Event(Box<Taken>),
    /// The lease is gone: stop and post nothing.
    LeaseLost,
    /// A stop came while this worker was away, and Linear was told by the proxy: these events end without a run
    /// and without a word to Linear. Events that come later are not meant.
    StoppedAway {
        /// The lease's token.
        token: FencingToken,
        /// The open events of the key when the worker heard of it.
        seqs: Vec<Seq>,
    },
}

/// What a key's task is to be told when `hello` says that its session was stopped; `None`: nothing of it is open here.
/// To be asked before any later event of the key is taken.
pub async fn stopped_away(
    journal: &Journal,
    key: &SessionKey,
    token: FencingToken,
) -> Result<Option<Told>, JournalError> {
    let seqs: Vec<Seq> = journal.open_events_of(key).await?.into_iter().map(|taken| taken.seq).collect();
    Ok((!seqs.is_empty()).then_some(Told::StoppedAway { token, seqs }))
}

impl Means {
    /// Opens the outbox of a session under a lease.
    fn outbox(&self, session: &AgentSession, key: &SessionKey, token: FencingToken) -> Outbox {
        let holding = Holding { leases: self.leases.clone(), key: key.clone(), token };
        Outbox::open(self.journal.clone(), self.outside.clone(), session, holding)
    }
}
