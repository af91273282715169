//! The work behind the stream: what takes a session's events and says when each is done.
//!
//! [`super::sessions`] is the one of `cyrus start`. Another may stand in its place, so that stream, journal, acks
//! and leases can be tried without agents, Linear or git. A workshop never talks to the proxy.

use futures_util::future::BoxFuture;
use shared::id::{Seq, SessionKey};
use shared::worker::Registration;
use tokio::sync::{mpsc, watch};

use super::leases::Leases;
use super::linear_budget::LinearUse;
use super::slots::Slots;
use super::standalone::{Over, Screen, Wish};
use crate::control::words::RunRequest;
use crate::journal::Journal;
use crate::journal::event::Taken;
use crate::session::Told;

/// Whether an offer is for this worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is, for the repository of this name, if one is chosen already.
    Take {
        /// Its name in the configuration.
        repository: Option<String>,
        /// The person is asked which repository is meant.
        ask: bool,
    },
    /// It is not, and never will be.
    NotServed,
    /// That cannot be told now; the offer is left to run out.
    Unknown,
}

/// Does the work.
pub trait Workshop: Send + Sync + 'static {
    /// Whether an offer is for this worker. Asked before it is accepted, so it must be quick and post nothing.
    fn weigh(&self, offer: Taken, tools: Tools) -> BoxFuture<'static, Verdict>;

    /// One session key's task, from its first event until its inbox is closed and empty, its lease is lost, or the
    /// worker ends. Each key has one task at a time.
    fn work(&self, key: SessionKey, inbox: mpsc::Receiver<Told>, tools: Tools) -> BoxFuture<'static, ()>;

    /// Work that nobody waits for, once at the start.
    fn begins(&self, tools: Tools) -> BoxFuture<'static, ()> {
        drop(tools);
        Box::pin(std::future::ready(()))
    }

    /// From now on `registration` takes what it is to tell of itself when that changes.
    fn tells_changes(&self, _tools: &Tools, _registration: watch::Sender<Registration>) {}

    /// The panel's part of the configuration is of this version now.
    fn panel_is_at(&self, _etag: String) {}

    /// Works on what the person of this machine asks for, here and now; `None`: this workshop does not.
    fn run_here(
        &self,
        _tools: Tools,
        _order: RunRequest,
        _wishes: mpsc::UnboundedReceiver<Wish>,
        _screen: Screen,
    ) -> Option<BoxFuture<'static, anyhow::Result<Over>>> {
        None
    }

    /// The worker is registered.
    fn registered(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// What all tasks work with.
#[derive(Clone)]
pub struct Tools {
    /// Where each event is marked as done before that is said.
    pub journal: Journal,
    /// When effects may happen.
    pub leases: Leases,
    /// What may be spent of Linear's budget.
    pub linear_use: LinearUse,
    /// One a run.
    pub slots: Slots,
    /// Says which events are done.
    pub done: mpsc::UnboundedSender<Vec<Seq>>,
    /// Turns true when the worker is to end; what is open then goes on at the next start.
    pub ending: watch::Receiver<bool>,
}
