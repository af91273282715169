//! A workshop that notes what it is told, and a worker with it.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use shared::id::WorkerId;
use shared::stream::PROTOCOL;
use shared::worker::Registration;
use tokio::task::JoinHandle;

use super::*;
use crate::journal::event::Taken;
use crate::session::Told;
use crate::worker::boot_clock::BootClock;
use crate::worker::workshop::Verdict;

/// What a task did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    /// Got an event under this token.
    Got(u64, u64),
    /// Handled it under an exclusive lease.
    Handled(u64),
    /// Heard that the lease is lost.
    Lost(String),
    /// Heard that these were stopped while the worker was away.
    Stopped(Vec<u64>),
    /// Ended.
    Ended(String),
}

#[derive(Default)]
struct Notes {
    did: Vec<Did>,
    /// Keys whose events are not handled yet.
    held: HashSet<String>,
    /// Keys with a live task.
    live: HashSet<String>,
    /// Events that are for others.
    not_served: HashSet<u64>,
}

/// The workshop. Clones share the notes.
#[derive(Clone, Default)]
pub struct Bench(Arc<Mutex<Notes>>);

impl Bench {
    fn with<T>(&self, work: impl FnOnce(&mut Notes) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    fn note(&self, did: Did) {
        self.with(|notes| notes.did.push(did));
    }

    /// What was done so far.
    pub fn did(&self) -> Vec<Did> {
        self.with(|notes| notes.did.clone())
    }

    /// Waits until that was done.
    pub async fn has(&self, did: Did) {
        until(&format!("{did:?}, only {:?}", self.did()), || self.did().contains(&did).then_some(())).await;
    }

    /// Events of this key are not handled until they are let go.
    pub fn hold(&self, key: &str) {
        self.with(|notes| notes.held.insert(key.to_owned()));
    }

    pub fn let_go(&self, key: &str) {
        self.with(|notes| notes.held.remove(key));
    }

    pub fn does_not_serve(&self, seq: u64) {
        self.with(|notes| notes.not_served.insert(seq));
    }

    /// A worker with this workshop, and how to ask it to end.
    pub fn start(&self, hub: &Hub, state: &Path) -> (JoinHandle<Ended>, mpsc::UnboundedSender<Ask>) {
        let journal = Journal::open(state, WorkerId::from_uuid(fresh_uuid())).unwrap();
        let registration = Registration {
            worker_id: Some(journal.worker_id()),
            name: "test".to_owned(),
            version: "0".to_owned(),
            protocol: PROTOCOL,
            repositories: Vec::new(),
            teams: Vec::new(),
            executors: Vec::new(),
            slots: 4,
            weight: 1,
        };
        let station = Station {
            proxy: hub.client(journal.worker_id()),
            journal,
            registration,
            transport: Transport::Ndjson,
            clock: Arc::new(BootClock),
            leases: Leases::default(),
            linear_use: LinearUse::default(),
            workshop: Arc::new(self.clone()),
        };
        let (asks, receiver) = mpsc::unbounded_channel();
        (tokio::spawn(async move { run_until(station, receiver).await.unwrap() }), asks)
    }

    async fn follow(&self, key: &SessionKey, inbox: &mut mpsc::Receiver<Told>, tools: &Tools) {
        let mut later = VecDeque::new();
        loop {
            let told = match later.pop_front() {
                Some(told) => told,
                None => match inbox.recv().await {
                    Some(told) => told,
                    None => return,
                },
            };
            match told {
                Told::LeaseLost => {
                    // A run takes its time to stop.
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    return self.note(Did::Lost(key.0.clone()));
                }
                Told::StoppedAway { seqs, .. } => {
                    self.note(Did::Stopped(seqs.iter().map(|seq| seq.0).collect()));
                    self.finish(seqs, tools).await;
                }
                Told::Event(taken) => {
                    self.note(Did::Got(taken.seq.0, taken.token.0));
                    let lost = async {
                        loop {
                            match inbox.recv().await {
                                Some(Told::LeaseLost) => return,
                                None => std::future::pending().await,
                                Some(other) => later.push_back(other),
                            }
                        }
                    };
                    tokio::select! {
                        () = self.handle(key, &taken, tools) => {}
                        () = lost => {
                            tokio::time::sleep(Duration::from_millis(300)).await;
                            return self.note(Did::Lost(key.0.clone()));
                        }
                    }
                }
            }
        }
    }

    async fn handle(&self, key: &SessionKey, taken: &Taken, tools: &Tools) {
        while self.with(|notes| notes.held.contains(&key.0)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if tools.leases.until_exclusive(key, taken.token).await {
            self.note(Did::Handled(taken.seq.0));
            self.finish(vec![taken.seq], tools).await;
        } else {
            std::future::pending().await
        }
    }

    async fn finish(&self, seqs: Vec<Seq>, tools: &Tools) {
        tools.journal.finish(seqs.clone()).await.unwrap();
        tools.done.send(seqs).unwrap();
    }
}

impl Workshop for Bench {
    fn weigh(&self, offer: Taken, _tools: Tools) -> BoxFuture<'static, Verdict> {
        let served = self.with(|notes| !notes.not_served.contains(&offer.seq.0));
        let verdict =
            if served { Verdict::Take { repository: None, ask: false } } else { Verdict::NotServed };
        Box::pin(std::future::ready(verdict))
    }

    fn work(&self, key: SessionKey, mut inbox: mpsc::Receiver<Told>, tools: Tools) -> BoxFuture<'static, ()> {
        let bench = self.clone();
        Box::pin(async move {
            assert!(bench.with(|notes| notes.live.insert(key.0.clone())), "two tasks for one key");
            let mut ending = tools.ending.clone();
            tokio::select! {
                () = bench.follow(&key, &mut inbox, &tools) => {}
                _ = ending.wait_for(|ending| *ending) => {}
            }
            bench.with(|notes| notes.live.remove(&key.0));
            bench.note(Did::Ended(key.0));
        })
    }
}
