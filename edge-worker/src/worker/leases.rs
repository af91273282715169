//! The leases that this worker holds, and until when it may act under each.
//!
//! An effect is held back unless the hub has confirmed the lease so lately that nobody else can have it: a
//! confirmation counts from when the question was *sent*, never from when the answer was read, since an answer
//! may have lain in a buffer while the machine slept. The hub confirms by `hello`, by a heartbeat's answer, and
//! by taking the `accepted` ack of an offer; the offer alone proves nothing, since an offer that is not taken in
//! time goes to another worker. [`super::heartbeat`] asks; this file never talks to anybody.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::id::{FencingToken, Seq, SessionKey};
use shared::stream::{HeldLease, Intervals};
use shared::worker::LeaseClaim;
use tokio::sync::{Notify, watch};

use super::boot_clock::{BootClock, Clock};

/// The longest margin.
const LONGEST_MARGIN: Duration = Duration::from_secs(60);
/// The pace before `hello` has told it.
const USUAL_PACE: Duration = Duration::from_secs(45);
const PACES: std::ops::RangeInclusive<u64> = 100..=3_600_000;

/// How long before its end an exclusive time counts as over: a minute, or a third of a time shorter than three
/// minutes. It covers an effect that was begun in time and arrives late.
pub fn margin(exclusive: Duration) -> Duration {
    LONGEST_MARGIN.min(exclusive / 3)
}

/// How a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody else can have it now.
    Exclusive,
    /// It may have moved; the next confirmation tells.
    Unsure,
    /// It has moved: nothing may be done under this token any more.
    Lost,
}

/// All leases of this worker. Clones share them.
#[derive(Clone)]
pub struct Leases {
    clock: Arc<dyn Clock>,
    book: Arc<Mutex<Book>>,
    changed: Arc<watch::Sender<()>>,
    wanted: Arc<Notify>,
}

#[derive(Default)]
struct Book {
    by_key: HashMap<SessionKey, Lease>,
    pace: Option<Duration>,
    /// How long a confirmation lasts: the lease's own time until a heartbeat's answer says more.
    exclusive: Duration,
}

struct Lease {
    token: FencingToken,
    open: BTreeSet<Seq>,
    until: Option<Duration>,
    /// When an event was offered under it last.
    offered: Duration,
    lost: bool,
}

impl Lease {
    fn new(token: FencingToken, offered: Duration) -> Self {
        Self { token, open: BTreeSet::new(), until: None, offered, lost: false }
    }

    fn confirm(&mut self, asked: Duration, exclusive: Duration) {
        let until = asked.saturating_add(exclusive.saturating_sub(margin(exclusive)));
        self.until = self.until.max(Some(until));
    }
}

impl Default for Leases {
    fn default() -> Self {
        Self::new(Arc::new(BootClock))
    }
}

impl Leases {
    /// No leases yet, by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            book: Arc::default(),
            changed: Arc::new(watch::Sender::new(())),
            wanted: Arc::default(),
        }
    }

    /// The lease of a session that only this process knows, under token 0: nobody else can ever have it.
    pub fn of_own(key: &SessionKey) -> Self {
        let leases = Self::default();
        let now = leases.now();
        leases.write(|book| {
            let lease = Lease { until: Some(Duration::MAX), ..Lease::new(FencingToken(0), now) };
            book.by_key.insert(key.clone(), lease);
        });
        leases
    }

    /// Now, by the clock that confirmations are counted on: to be taken before a question is sent.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// How a lease stands now. A lease that was never held, or was given back, is [`Standing::Unsure`].
    pub fn standing(&self, key: &SessionKey, token: FencingToken) -> Standing {
        let now = self.now();
        self.read(|book| match book.by_key.get(key) {
            Some(lease) if lease.token > token => Standing::Lost,
            Some(lease) if lease.token == token && lease.lost => Standing::Lost,
            Some(lease) if lease.token == token && lease.until.is_some_and(|until| now < until) => {
                Standing::Exclusive
            }
            _ => Standing::Unsure,
        })
    }

    /// Whether nobody else can have this lease now, so that an effect may happen.
    pub fn exclusive(&self, key: &SessionKey, token: FencingToken) -> bool {
        self.standing(key, token) == Standing::Exclusive
    }

    /// Waits until an effect may happen: `true`. `false`: the lease is lost, and none ever may. A wait asks for
    /// a heartbeat at once.
    pub async fn until_exclusive(&self, key: &SessionKey, token: FencingToken) -> bool {
        let mut changed = self.changed.subscribe();
        loop {
            match self.standing(key, token) {
                Standing::Exclusive => return true,
                Standing::Lost => return false,
                Standing::Unsure => self.wanted.notify_one(),
            }
            // The sender is in `self`, so this ends only with a change.
            let _ = changed.changed().await;
        }
    }

    /// An event under a lease is open here. That alone confirms nothing.
    pub fn holds(&self, key: &SessionKey, token: FencingToken, seq: Seq) {
        let now = self.now();
        self.write(|book| {
            let lease = book.by_key.entry(key.clone()).or_insert_with(|| Lease::new(token, now));
            if lease.token != token || lease.lost {
                *lease = Lease::new(token, now);
            }
            lease.open.insert(seq);
            lease.offered = now;
        });
    }

    /// A `hello` came on the stream that was asked for at `asked`.
    pub fn hello(&self, asked: Duration, intervals: Intervals, leases: &[HeldLease]) {
        let pace = intervals.worker_heartbeat_ms.clamp(*PACES.start(), *PACES.end());
        self.write(|book| {
            book.pace = Some(Duration::from_millis(pace));
            book.exclusive = Duration::from_millis(intervals.lease_ms);
            for held in leases {
                // One that is not in the book has no open event here; it is entered when it gets one.
                if let Some(lease) = book.by_key.get_mut(&held.session_key)
                    && lease.token == held.token
                    && !lease.lost
                {
                    lease.confirm(asked, book.exclusive);
                }
            }
        });
        self.wanted.notify_one();
    }

    /// The hub took an ack of this event, sent at `asked`, under this token.
    pub fn accepted(&self, asked: Duration, seq: Seq, token: FencingToken) {
        self.write(|book| {
            let exclusive = book.exclusive;
            let of_event =
                |lease: &&mut Lease| lease.token == token && lease.open.contains(&seq) && !lease.lost;
            for lease in book.by_key.values_mut().filter(of_event) {
                lease.confirm(asked, exclusive);
            }
        });
    }

    /// A heartbeat that was sent at `asked` with `claims` was answered.
    pub fn answered(&self, asked: Duration, claims: &[LeaseClaim], lost: &[LeaseClaim], exclusive: Duration) {
        self.write(|book| {
            book.exclusive = exclusive;
            for claim in claims.iter().filter(|claim| !lost.contains(claim)) {
                if let Some(lease) = book.by_key.get_mut(&claim.session_key)
                    && lease.token == claim.token
                    && !lease.lost
                {
                    lease.confirm(asked, exclusive);
                }
            }
        });
    }

    /// These events are done; a lease without open events is given back by the hub itself. Tells which those are.
    pub fn done(&self, seqs: &[Seq]) -> Vec<SessionKey> {
        self.write(|book| {
            let mut given_back = Vec::new();
            for (key, lease) in &mut book.by_key {
                let before = lease.open.len();
                lease.open.retain(|seq| !seqs.contains(seq));
                if lease.open.is_empty() && before > 0 {
                    given_back.push(key.clone());
                }
            }
            for key in &given_back {
                book.by_key.remove(key);
            }
            given_back
        })
    }

    /// The lease is gone: the events that were open under it. `None`: this worker does not hold it under that token
    /// (any more).
    pub fn lose(&self, key: &SessionKey, token: FencingToken) -> Option<Vec<Seq>> {
        self.lose_as_of(key, token, Duration::MAX)
    }

    /// The lease was gone when a question was answered that was sent at `asked`. If an event was offered under the
    /// same token since then, the hub may have given the lease anew: then it is only in doubt (`None`), and the next
    /// answer tells.
    pub fn lose_as_of(&self, key: &SessionKey, token: FencingToken, asked: Duration) -> Option<Vec<Seq>> {
        let lost = self.write(|book| {
            let lease = book.by_key.get_mut(key).filter(|lease| lease.token == token && !lease.lost)?;
            lease.until = None;
            lease.lost = lease.offered <= asked;
            lease.lost.then(|| std::mem::take(&mut lease.open).into_iter().collect())
        });
        if lost.is_none() {
            self.want();
        }
        lost
    }

    /// The token under which events of a key are open here.
    pub fn held(&self, key: &SessionKey) -> Option<FencingToken> {
        self.read(|book| book.by_key.get(key).filter(|lease| !lease.lost).map(|lease| lease.token))
    }

    /// How many events are open here.
    pub fn open_events(&self) -> usize {
        self.read(|book| book.by_key.values().map(|lease| lease.open.len()).sum())
    }

    /// The lease under which an event is open here.
    pub fn of_event(&self, seq: Seq) -> Option<LeaseClaim> {
        self.read(|book| {
            let held = book.by_key.iter().find(|(_, lease)| lease.open.contains(&seq) && !lease.lost)?;
            Some(LeaseClaim { session_key: held.0.clone(), token: held.1.token })
        })
    }

    /// What the next heartbeat claims.
    pub fn claims(&self) -> Vec<LeaseClaim> {
        self.read(|book| {
            book.by_key
                .iter()
                .filter(|(_, lease)| !lease.lost)
                .map(|(key, lease)| LeaseClaim { session_key: key.clone(), token: lease.token })
                .collect()
        })
    }

    /// Between two heartbeats.
    pub fn pace(&self) -> Duration {
        self.read(|book| book.pace).unwrap_or(USUAL_PACE)
    }

    /// Wants a confirmation before its time.
    pub fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits until somebody wants a confirmation before its time.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    fn read<T>(&self, work: impl FnOnce(&Book) -> T) -> T {
        work(&self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        let value = work(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        value
    }
}

#[cfg(test)]
mod tests;
