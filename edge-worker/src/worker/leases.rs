//! The leases that this worker believes it holds, and the heartbeat that keeps them, sent only while there are any.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::id::{FencingToken, Seq, SessionKey};
use shared::stream::Intervals;
use shared::worker::{Heartbeat, LeaseClaim};
use tokio::sync::mpsc;
use tracing::debug;

use crate::proxy::client::ProxyClient;
use crate::session::Means;

/// Shared by the worker and its heartbeat.
#[derive(Clone, Default)]
pub struct Leases {
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    by_key: HashMap<SessionKey, (FencingToken, BTreeSet<Seq>)>,
    pace: Option<Duration>,
}

impl Leases {
    fn with<T>(&self, work: impl FnOnce(&mut Held) -> T) -> T {
        work(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An event under a lease is open here.
    pub fn holds(&self, key: &SessionKey, token: FencingToken, seq: Seq) {
        self.with(|held| {
            let entry = held.by_key.entry(key.clone()).or_insert_with(|| (token, BTreeSet::new()));
            entry.0 = token;
            entry.1.insert(seq);
        });
    }

    /// These events are done; a lease without open events is given back by the hub itself.
    pub fn done(&self, seqs: &[Seq]) {
        self.with(|held| {
            held.by_key.retain(|_, (_, open)| {
                open.retain(|seq| !seqs.contains(seq));
                !open.is_empty()
            });
        });
    }

    /// The lease is gone.
    pub fn lose(&self, key: &SessionKey) {
        self.with(|held| held.by_key.remove(key));
    }

    /// The hub's own numbers.
    pub fn set_pace(&self, intervals: Intervals) {
        self.with(|held| held.pace = Some(Duration::from_millis(intervals.worker_heartbeat_ms.max(100))));
    }

    fn pace(&self) -> Duration {
        self.with(|held| held.pace).unwrap_or(Duration::from_secs(45))
    }

    fn claims(&self) -> Vec<LeaseClaim> {
        self.with(|held| {
            held.by_key
                .iter()
                .map(|(key, (token, _))| LeaseClaim { session_key: key.clone(), token: *token })
                .collect()
        })
    }
}

/// Renews what is held, for ever; leases that the hub does not know go to `lost`.
pub async fn beat(proxy: ProxyClient, leases: Leases, means: Means, lost: mpsc::UnboundedSender<SessionKey>) {
    loop {
        tokio::time::sleep(leases.pace()).await;
        let claims = leases.claims();
        if claims.is_empty() {
            continue;
        }
        let slots = means.config.slots;
        let free = u32::try_from(means.slots.available_permits()).unwrap_or(0);
        let heartbeat = Heartbeat { leases: claims, slots, used: slots.saturating_sub(free), linear_used: 0 };
        match proxy.heartbeat(&heartbeat).await {
            Ok(answer) => {
                for claim in answer.lost {
                    if lost.send(claim.session_key).is_err() {
                        return;
                    }
                }
            }
            Err(error) => debug!("no heartbeat: {error}"),
        }
    }
}
