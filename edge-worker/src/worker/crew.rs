//! One task a session key, and never two at once: a task whose lease is lost may still be stopping its run, and what
//! comes for its key meanwhile waits until it has.
//!
//! A task that ends with events still open is started again from the journal after a pause.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use shared::id::SessionKey;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::warn;

use super::workshop::{Tools, Workshop};
use crate::session::Told;

/// What a task's inbox holds. The desk has no more events open than half of that, so a sender never waits.
const INBOX: usize = 20_000;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long tasks have to end when the worker does.
const LEAVE: Duration = Duration::from_secs(12);

/// All tasks.
pub struct Crew {
    tools: Tools,
    workshop: Arc<dyn Workshop>,
    seats: HashMap<SessionKey, Seat>,
    tasks: JoinSet<SessionKey>,
    pauses: JoinSet<SessionKey>,
    failures: HashMap<SessionKey, u32>,
}

enum Seat {
    /// Its task takes what comes.
    At(mpsc::Sender<Told>),
    /// Its task is to end; this comes after it.
    Emptying(Vec<Told>),
}

/// What became of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Turned {
    /// Its task ended.
    Ended(SessionKey),
    /// It is time to begin again with what is open.
    Again(SessionKey),
}

impl Crew {
    /// Nobody yet.
    pub fn new(tools: Tools, workshop: Arc<dyn Workshop>) -> Self {
        Self {
            tools,
            workshop,
            seats: HashMap::new(),
            tasks: JoinSet::new(),
            pauses: JoinSet::new(),
            failures: HashMap::new(),
        }
    }

    /// Tells a key's task, which begins if there is none.
    pub async fn tell(&mut self, key: &SessionKey, told: Told) {
        let told = match self.seats.get_mut(key) {
            None => told,
            Some(Seat::Emptying(later)) => return later.push(told),
            Some(Seat::At(inbox)) => match inbox.send(told).await {
                Ok(()) => return,
                // It ended a moment ago, and was not seen to yet.
                Err(returned) => {
                    self.seats.insert(key.clone(), Seat::Emptying(vec![returned.0]));
                    return;
                }
            },
        };
        self.begin(key.clone(), vec![told]).await;
    }

    async fn begin(&mut self, key: SessionKey, first: Vec<Told>) {
        let (inbox, receiver) = mpsc::channel(INBOX);
        for told in first {
            // The channel is new and holds more than that, so this neither waits nor fails.
            let _ = inbox.send(told).await;
        }
        let work = self.workshop.work(key.clone(), receiver, self.tools.clone());
        self.seats.insert(key.clone(), Seat::At(inbox));
        self.tasks.spawn(async move {
            work.await;
            key
        });
    }

    /// The key has nothing open any more, so its task may end; `last` is told it before.
    pub async fn dismiss(&mut self, key: &SessionKey, last: Option<Told>) {
        self.failures.remove(key);
        if let Some(seat) = self.seats.get_mut(key)
            && let Seat::At(inbox) = std::mem::replace(seat, Seat::Emptying(Vec::new()))
            && let Some(last) = last
        {
            let _ = inbox.send(last).await;
        }
    }

    /// The next thing that became of a key; waits for ever when there is nobody.
    pub async fn turn(&mut self) -> Turned {
        tokio::select! {
            Some(Ok(key)) = self.tasks.join_next() => Turned::Ended(key),
            Some(Ok(key)) = self.pauses.join_next() => Turned::Again(key),
            else => std::future::pending().await,
        }
    }

    /// A key's task ended: whoever waits for its seat begins. `true`: a new task began.
    pub async fn clear(&mut self, key: &SessionKey) -> bool {
        match self.seats.remove(key) {
            Some(Seat::Emptying(later)) if !later.is_empty() => {
                self.begin(key.clone(), later).await;
                true
            }
            _ => false,
        }
    }

    /// A key's task ended with events open: it begins again after a pause, which doubles.
    pub fn again_later(&mut self, key: SessionKey) {
        let failures = self.failures.entry(key.clone()).or_default();
        let pause = (FIRST_PAUSE * 2_u32.saturating_pow((*failures).min(10))).min(LONGEST_PAUSE);
        *failures += 1;
        self.pauses.spawn(async move {
            tokio::time::sleep(pause).await;
            key
        });
    }

    /// Whether a key has a task, or one that is ending.
    pub fn has(&self, key: &SessionKey) -> bool {
        self.seats.contains_key(key)
    }

    /// Lets all tasks end: they have been told by [`Tools::ending`].
    pub async fn close(mut self) {
        self.seats.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LEAVE, all).await.is_err() {
            warn!("a run did not end in {} s", LEAVE.as_secs());
        }
    }
}
