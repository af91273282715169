//! Acks on their way to the hub: accepted ones at once, done ones from the journal until the hub confirms.
//!
//! Whatever was not answered is sent again: repeating is harmless. What the hub's answers mean for an event is
//! told to the worker as [`News`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use shared::ack::{Ack, AckAnswer, AckState};
use shared::id::{FencingToken, Seq, SessionKey};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Notify, mpsc, watch};
use tracing::{debug, warn};

use super::leases::Leases;
use super::news::News;
use crate::journal::Journal;
use crate::proxy::client::ProxyClient;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Acks of one request.
const BATCH: usize = 500;
/// The bytes of one request; the hub takes 1 MiB.
const BATCH_BYTES: usize = 900 * 1024;
/// Guesses at the lease of events that the journal lacks, for one `hello`.
const GUESSES: usize = 2_000;

/// Acks that wait to be sent. What comes on top is dropped: the hub offers that event again.
const WAITING: usize = 4_096;

/// The way to say acks; its task ends with it.
pub struct Acks {
    say: mpsc::Sender<Ack>,
    stir: Arc<Notify>,
    hurry: Arc<Notify>,
    counts: Arc<watch::Sender<Counts>>,
    task: tokio::task::JoinHandle<()>,
}

/// How often there was something to send, and up to which of those times all of it is answered.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    stirred: u64,
    answered: u64,
}

impl Drop for Acks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Acks {
    /// Begins to send, what is done in the journal first. What the answers say of moved sessions goes to `news`.
    pub fn start(
        proxy: ProxyClient,
        journal: Journal,
        leases: Leases,
        news: mpsc::UnboundedSender<News>,
    ) -> Self {
        let (say, inbox) = mpsc::channel(WAITING);
        let stir = Arc::new(Notify::new());
        let hurry = Arc::new(Notify::new());
        let counts = Arc::new(watch::Sender::new(Counts::default()));
        let pump = Pump {
            proxy,
            journal,
            leases,
            news,
            stir: Arc::clone(&stir),
            hurry: Arc::clone(&hurry),
            counts: Arc::clone(&counts),
        };
        let task = tokio::spawn(pump.run(inbox));
        let acks = Self { say, stir, hurry, counts, task };
        acks.stir();
        acks
    }

    /// Says one ack.
    pub fn say(&self, seq: Seq, token: FencingToken, state: AckState, reason: Option<&str>) {
        let reason = reason.map(str::to_owned);
        let ack = Ack { seq, token, state, reason, after_ms: None, result: None };
        if self.say.try_send(ack).is_err() {
            debug!(%seq, "its ack is dropped: too many wait");
        }
        self.stir();
    }

    /// Says that events which the hub believes to be here must come again. `tokens` are those of the leases that it
    /// listed: only one of them can have brought an event, and it takes the ack under the one that fits.
    pub fn say_missing(&self, seqs: &[Seq], tokens: &HashMap<SessionKey, FencingToken>) {
        let guesses = seqs.iter().flat_map(|seq| tokens.values().map(move |token| (*seq, *token)));
        for (seq, token) in guesses.take(GUESSES) {
            self.say(seq, token, AckState::Retry, Some("not in the journal"));
        }
    }

    /// Something in the journal is done.
    pub fn stir(&self) {
        self.counts.send_modify(|counts| counts.stirred += 1);
        self.stir.notify_one();
    }

    /// The proxy is there again: what waits is not to wait any longer.
    pub fn hurry(&self) {
        self.stir();
        self.hurry.notify_one();
    }

    /// Whether the hub has answered everything so far.
    pub fn settled(&self) -> bool {
        let counts = *self.counts.borrow();
        counts.stirred == counts.answered
    }

    /// Waits until [`Self::settled`] may have another answer than now.
    pub fn change(&self) -> impl Future<Output = ()> + use<> {
        let mut counts = self.counts.subscribe();
        async move {
            let _ = counts.changed().await;
        }
    }
}

struct Pump {
    proxy: ProxyClient,
    journal: Journal,
    leases: Leases,
    news: mpsc::UnboundedSender<News>,
    stir: Arc<Notify>,
    hurry: Arc<Notify>,
    counts: Arc<watch::Sender<Counts>>,
}

impl Pump {
    async fn run(self, mut inbox: mpsc::Receiver<Ack>) {
        let mut waiting: Vec<Ack> = Vec::new();
        let mut pause = FIRST_PAUSE;
        loop {
            if waiting.is_empty() {
                self.stir.notified().await;
            }
            let stirred = self.counts.borrow().stirred;
            while waiting.len() < BATCH {
                match inbox.try_recv() {
                    Ok(ack) => waiting.push(ack),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let Some(done) = self.unconfirmed().await else {
                tokio::time::sleep(LONGEST_PAUSE).await;
                self.stir.notify_one();
                continue;
            };
            let batch = batch(&waiting, done);
            if batch.is_empty() {
                self.counts.send_modify(|counts| counts.answered = stirred);
                continue;
            }
            let said = waiting.len().min(batch.len());
            match self.send(&batch).await {
                Ok(()) => {
                    waiting.drain(..said);
                    pause = FIRST_PAUSE;
                }
                Err(reason) => {
                    debug!("acks wait: {reason}");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.hurry.notified() => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            // There may be more than one batch; the journal tells.
            self.stir.notify_one();
        }
    }

    async fn unconfirmed(&self) -> Option<Vec<Ack>> {
        let done = match self.journal.unconfirmed().await {
            Ok(done) => done,
            Err(error) => {
                warn!("the journal cannot tell what is done: {error}");
                return None;
            }
        };
        let acks = done.into_iter().map(|event| Ack {
            seq: event.seq,
            token: event.token,
            state: AckState::Done,
            reason: None,
            after_ms: None,
            result: event.result,
        });
        Some(acks.collect())
    }

    async fn send(&self, batch: &[Ack]) -> Result<(), String> {
        let asked = self.leases.now();
        let answers = self.proxy.ack(batch).await.map_err(|error| error.to_string())?;
        if answers.len() != batch.len() {
            return Err(format!("{} answers to {} acks", answers.len(), batch.len()));
        }
        let mut confirmed = Vec::new();
        for (ack, answer) in batch.iter().zip(answers) {
            let (seq, token) = (ack.seq, ack.token);
            let news = match (ack.state, answer) {
                (AckState::Accepted, AckAnswer::Ok) => Some(News::Taken { seq, token, asked }),
                (AckState::Accepted, _) | (AckState::Done, AckAnswer::Stale) => {
                    Some(News::Moved { seq, token, asked })
                }
                _ => None,
            };
            if let Some(news) = news {
                // The worker that listens is gone only when all of it is.
                let _ = self.news.send(news);
            }
            // `ok`, `stale` or `unknown`: in each case the hub wants to hear no more of what is done.
            if ack.state == AckState::Done {
                confirmed.push(ack.seq);
            }
        }
        self.journal.confirm(confirmed).await.map_err(|error| error.to_string())
    }
}

/// What goes into one request: what was said first, then what is done, within the limits.
fn batch(said: &[Ack], done: Vec<Ack>) -> Vec<Ack> {
    let mut bytes = 0_usize;
    let mut batch = Vec::new();
    for ack in said.iter().cloned().chain(done) {
        bytes = bytes.saturating_add(serde_json::to_vec(&ack).map_or(0, |json| json.len() + 1));
        if batch.len() == BATCH || (bytes > BATCH_BYTES && !batch.is_empty()) {
            break;
        }
        batch.push(ack);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(seq: u64, state: AckState, result: usize) -> Ack {
        let result = (result > 0).then(|| serde_json::Value::String("x".repeat(result)));
        Ack { seq: Seq(seq), token: FencingToken(1), state, reason: None, after_ms: None, result }
    }

    #[test]
    fn a_batch_holds_at_most_500_acks_and_fits_into_the_hubs_limit() {
        let said: Vec<Ack> = (0..450).map(|seq| ack(seq, AckState::Accepted, 0)).collect();
        let done: Vec<Ack> = (450..2_000).map(|seq| ack(seq, AckState::Done, 0)).collect();
        let seqs: Vec<u64> = batch(&said, done).iter().map(|ack| ack.seq.0).collect();
        assert_eq!(seqs, (0..500).collect::<Vec<_>>());
        let results: Vec<Ack> = (0..500).map(|seq| ack(seq, AckState::Done, 4096)).collect();
        let fitting = batch(&[], results);
        assert!(serde_json::to_vec(&fitting).unwrap().len() < 1024 * 1024);
        assert!(fitting.len() > 100);
        let giant = vec![ack(1, AckState::Done, 2_000_000), ack(2, AckState::Done, 1)];
        assert_eq!(batch(&[], giant).len(), 1, "one that is too large alone still goes, and is refused");
    }
}
