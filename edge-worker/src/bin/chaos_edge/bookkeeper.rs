//! The workshop: each event in order, once, under a lease that nobody else can have.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use edge_worker::journal::event::Taken;
use edge_worker::session::Told;
use edge_worker::worker::workshop::{Tools, Verdict, Workshop};
use futures_util::future::BoxFuture;
use shared::id::{Seq, SessionKey};
use tokio::sync::mpsc;
use tracing::{error, info};

use super::ledger::Ledger;

const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Keeps the ledger.
pub struct Bookkeeper {
    ledger: Arc<Mutex<Ledger>>,
    hold: Option<PathBuf>,
}

impl Bookkeeper {
    /// With this ledger; nothing is handled while `hold` is there.
    pub fn new(ledger: Ledger, hold: Option<PathBuf>) -> Self {
        Self { ledger: Arc::new(Mutex::new(ledger)), hold }
    }
}

impl Workshop for Bookkeeper {
    fn weigh(&self, _offer: Taken, _tools: Tools) -> BoxFuture<'static, Verdict> {
        Box::pin(std::future::ready(Verdict::Take { repository: None, ask: false }))
    }

    fn work(&self, key: SessionKey, mut inbox: mpsc::Receiver<Told>, tools: Tools) -> BoxFuture<'static, ()> {
        let task = Task { ledger: Arc::clone(&self.ledger), hold: self.hold.clone(), tools };
        Box::pin(async move {
            let mut ending = task.tools.ending.clone();
            // At the end of the worker the task is left where it is: a kill may do that too.
            tokio::select! {
                outcome = task.follow(&mut inbox) => if let Err(failure) = outcome {
                    error!(session_key = %key, "{failure:#}");
                },
                _ = ending.wait_for(|ending| *ending) => {}
            }
        })
    }
}

struct Task {
    ledger: Arc<Mutex<Ledger>>,
    hold: Option<PathBuf>,
    tools: Tools,
}

impl Task {
    async fn follow(&self, inbox: &mut mpsc::Receiver<Told>) -> anyhow::Result<()> {
        while let Some(told) = inbox.recv().await {
            match told {
                Told::LeaseLost => return Ok(()),
                Told::StoppedAway { seqs, .. } => self.finish(seqs).await?,
                Told::Event(taken) => {
                    if !self.handle(*taken).await? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// `false`: the lease is lost.
    async fn handle(&self, taken: Taken) -> anyhow::Result<bool> {
        while self.hold.as_ref().is_some_and(|hold| hold.exists()) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let _permit = self.tools.slots.wait("").await;
        let seq = taken.seq;
        loop {
            if !self.tools.leases.until_exclusive(&taken.session_key, taken.token).await {
                return Ok(false);
            }
            let (ledger, leases, taken) =
                (Arc::clone(&self.ledger), self.tools.leases.clone(), taken.clone());
            let handled = tokio::task::spawn_blocking(move || {
                let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
                let known = if taken.takeover { ledger.anybody_has(seq)? } else { ledger.has(seq) };
                if known {
                    info!(%seq, "handled already");
                    return Ok(true);
                }
                // The file may have been busy for long.
                if !leases.exclusive(&taken.session_key, taken.token) {
                    return Ok(false);
                }
                ledger.append(&taken).map(|()| true)
            });
            if handled.await?? {
                break;
            }
        }
        self.finish(vec![seq]).await?;
        Ok(true)
    }

    async fn finish(&self, seqs: Vec<Seq>) -> anyhow::Result<()> {
        self.tools.journal.finish(seqs.clone()).await?;
        // Nobody listens any more only when the whole worker ends; the journal tells at the next start.
        let _ = self.tools.done.send(seqs);
        Ok(())
    }
}
