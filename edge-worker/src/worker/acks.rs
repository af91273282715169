//! Acks on their way to the hub: accepted ones at once, done ones from the journal until the hub confirms.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use shared::ack::{Ack, AckState};
use shared::id::{FencingToken, Seq, SessionKey};
use tokio::sync::{Notify, mpsc};
use tracing::{debug, warn};

use crate::journal::{Journal, JournalError};
use crate::proxy::client::ProxyClient;

const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// The way to say acks; its task ends with it.
pub struct Acks {
    say: mpsc::Sender<Ack>,
    stir: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Acks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Acks {
    /// Begins to send.
    pub fn start(proxy: ProxyClient, journal: Journal) -> Self {
        let (say, inbox) = mpsc::channel(256);
        let stir = Arc::new(Notify::new());
        let task = tokio::spawn(pump(proxy, journal, inbox, Arc::clone(&stir)));
        Self { say, stir, task }
    }

    /// Says one ack.
    pub async fn say(&self, ack: Ack) {
        let _ = self.say.send(ack).await;
    }

    /// Says that an event which the hub believes to be here must come again. Only a lease of ours can have brought it.
    pub async fn say_retry(&self, seq: Seq, tokens: &HashMap<SessionKey, FencingToken>) {
        // The journal has no row, so the event's key is unknown; the hub takes the ack under the one that fits.
        for token in tokens.values() {
            let reason = Some("not in the journal".to_owned());
            self.say(Ack {
                seq,
                token: *token,
                state: AckState::Retry,
                reason,
                after_ms: None,
                result: None,
            })
            .await;
        }
    }

    /// Something in the journal is done.
    pub fn stir(&self) {
        self.stir.notify_one();
    }
}

async fn pump(proxy: ProxyClient, journal: Journal, mut inbox: mpsc::Receiver<Ack>, stir: Arc<Notify>) {
    let mut waiting: Vec<Ack> = Vec::new();
    let mut pause = Duration::from_millis(200);
    loop {
        if waiting.is_empty() {
            tokio::select! {
                ack = inbox.recv() => match ack {
                    Some(ack) => waiting.push(ack),
                    None => return,
                },
                () = stir.notified() => {}
            }
        }
        while let Ok(ack) = inbox.try_recv() {
            waiting.push(ack);
        }
        let done = match unconfirmed(&journal).await {
            Ok(done) => done,
            Err(error) => {
                warn!("the journal cannot tell what is done: {error}");
                tokio::time::sleep(LONGEST_PAUSE).await;
                continue;
            }
        };
        let acks: Vec<Ack> = waiting.iter().cloned().chain(done.iter().cloned()).collect();
        if acks.is_empty() {
            continue;
        }
        match proxy.ack(&acks).await {
            Ok(_) => {
                // `ok`, `stale` or `unknown`: in each case the hub wants to hear no more of it.
                waiting.clear();
                if let Err(error) = journal.confirm(done.iter().map(|ack| ack.seq).collect()).await {
                    warn!("the journal did not take the hub's confirmation: {error}");
                }
                pause = Duration::from_millis(200);
            }
            Err(error) => {
                debug!("acks wait: {error}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                stir.notify_one();
            }
        }
    }
}

async fn unconfirmed(journal: &Journal) -> Result<Vec<Ack>, JournalError> {
    let done = journal.unconfirmed().await?;
    Ok(done
        .into_iter()
        .map(|(seq, token)| Ack {
            seq,
            token,
            state: AckState::Done,
            reason: None,
            after_ms: None,
            result: None,
        })
        .collect())
}
