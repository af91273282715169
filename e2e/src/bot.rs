//! A worker by hand that behaves well by itself: takes every offer, renews its leases, comes back when its stream ends.
//!
//! What it took is kept in order for the test to look at. It runs nothing and says nothing to Linear.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::poll;
use crate::raw_worker::{Offer, RawWorker, Transport};

/// How far it goes with an event by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It keeps the session open.
    Accept,
    /// It ends the event at once.
    Finish,
}

/// What it has seen.
#[derive(Default)]
struct Seen {
    offers: Vec<(Offer, Instant)>,
    /// Those whose ack the hub took.
    taken: Vec<Offer>,
    hellos: Vec<Value>,
    revoked: Vec<Value>,
    /// Words of the hub other than `ok`.
    refused: Vec<(u64, String)>,
    held: Vec<(String, u64)>,
}

/// One that runs until it is dropped.
pub struct Bot {
    pub worker: RawWorker,
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Bot {
    /// Opens its stream and waits for the first `hello`.
    pub async fn start(worker: RawWorker, transport: Transport, manner: Manner) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (taken, acks) = mpsc::unbounded_channel();
        let tasks = vec![
            tokio::spawn(read(worker.clone(), transport, Arc::clone(&seen), taken)).abort_handle(),
            tokio::spawn(ack(worker.clone(), manner, Arc::clone(&seen), acks)).abort_handle(),
            tokio::spawn(renew(worker.clone(), Arc::clone(&seen))).abort_handle(),
        ];
        let bot = Self { worker, seen, tasks };
        bot.hello(0).await?;
        Ok(bot)
    }

    /// The `hello` of this number, from 0.
    pub async fn hello(&self, number: usize) -> Result<Value> {
        poll::until("a hello", Duration::from_secs(30), async || {
            Ok(lock(&self.seen).hellos.get(number).cloned())
        })
        .await
    }

    /// How many streams it has had.
    pub fn streams(&self) -> usize {
        lock(&self.seen).hellos.len()
    }

    /// Everything that it was offered, in order.
    pub fn offers(&self) -> Vec<Offer> {
        lock(&self.seen).offers.iter().map(|(offer, _)| offer.clone()).collect()
    }

    /// What it was offered and the hub took its ack of, in order. An offer whose stream ended before its ack came is not
    /// among them: it was offered again.
    pub fn taken(&self) -> Vec<Offer> {
        lock(&self.seen).taken.clone()
    }

    /// What it was offered of one session, in order, with the moments.
    pub fn offers_of(&self, session_key: &str) -> Vec<(Offer, Instant)> {
        lock(&self.seen)
            .offers
            .iter()
            .filter(|(offer, _)| offer.session_key == session_key)
            .cloned()
            .collect()
    }

    /// The `revoked` lines that it was sent.
    pub fn revoked(&self) -> Vec<Value> {
        lock(&self.seen).revoked.clone()
    }

    /// Acks that the hub did not take, as (seq, word).
    pub fn refused(&self) -> Vec<(u64, String)> {
        lock(&self.seen).refused.clone()
    }

    /// Ends everything that it has taken and not ended.
    pub async fn finish_all(&self) -> Result<()> {
        let acks: Vec<Value> = {
            let mut seen = lock(&self.seen);
            seen.held.clear();
            seen.offers
                .iter()
                .map(|(offer, _)| json!({"seq": offer.seq, "token": offer.token, "state": "done"}))
                .collect()
        };
        for chunk in acks.chunks(200) {
            self.worker.acks(&json!(chunk)).await?;
        }
        Ok(())
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(
    worker: RawWorker,
    transport: Transport,
    seen: Arc<Mutex<Seen>>,
    taken: mpsc::UnboundedSender<Offer>,
) {
    loop {
        // A hub that is away is tried again; a test's own deadline ends this.
        let Ok(mut stream) = worker.stream_over(transport).await else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        lock(&seen).hellos.push(stream.hello.clone());
        let beat =
            Duration::from_millis(stream.hello["intervals"]["heartbeatLineMs"].as_u64().unwrap_or(15_000));
        loop {
            let line = match transport {
                Transport::Ndjson => stream.next_line().await,
                // Nobody beats on a WebSocket by itself: the client asks, and the platform answers.
                Transport::WebSocket => match tokio::time::timeout(beat, stream.next_line()).await {
                    Ok(line) => line,
                    Err(_) if stream.send(r#"{"type":"heartbeat"}"#).await.is_ok() => continue,
                    Err(_) => break,
                },
            };
            let Ok(Some(line)) = line else { break };
            match line["type"].as_str().unwrap_or_default() {
                "event" => {
                    let Ok(offer) = Offer::of(line) else { continue };
                    lock(&seen).offers.push((offer.clone(), Instant::now()));
                    let _ = taken.send(offer);
                }
                "revoked" => {
                    let mut seen = lock(&seen);
                    seen.held.retain(|(key, token)| line["sessionKey"] != **key || line["token"] != *token);
                    seen.revoked.push(line);
                }
                "reconnect" => break,
                "replaced" => return,
                _ => {}
            }
        }
    }
}

async fn ack(
    worker: RawWorker,
    manner: Manner,
    seen: Arc<Mutex<Seen>>,
    mut taken: mpsc::UnboundedReceiver<Offer>,
) {
    let state = if manner == Manner::Accept { "accepted" } else { "done" };
    let mut offers = Vec::new();
    while taken.recv_many(&mut offers, 100).await > 0 {
        let acks: Vec<Value> = offers
            .iter()
            .map(|offer| json!({"seq": offer.seq, "token": offer.token, "state": state}))
            .collect();
        let answers = loop {
            match worker.acks(&json!(acks)).await {
                Ok(answers) => break answers,
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        };
        let mut seen = lock(&seen);
        for (at, offer) in offers.drain(..).enumerate() {
            match answers[at].as_str().unwrap_or_default() {
                "ok" => {
                    let lease = (offer.session_key.clone(), offer.token);
                    if manner == Manner::Accept && !seen.held.contains(&lease) {
                        seen.held.push(lease);
                    }
                    seen.taken.push(offer);
                }
                word => seen.refused.push((offer.seq, word.to_owned())),
            }
        }
    }
}

async fn renew(worker: RawWorker, seen: Arc<Mutex<Seen>>) {
    loop {
        let every = lock(&seen)
            .hellos
            .last()
            .and_then(|hello| hello["intervals"]["workerHeartbeatMs"].as_u64())
            .unwrap_or(200);
        tokio::time::sleep(Duration::from_millis(every)).await;
        let held = lock(&seen).held.clone();
        if held.is_empty() {
            continue;
        }
        let Ok(answer) = worker.heartbeat(&held).await.context("heartbeat") else { continue };
        for lost in answer["lost"].as_array().into_iter().flatten() {
            lock(&seen).held.retain(|(key, token)| lost["sessionKey"] != **key || lost["token"] != *token);
        }
    }
}
