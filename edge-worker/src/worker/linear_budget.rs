//! What this worker may spend of Linear's hourly budget, and what it has spent since its last heartbeat.
//!
//! The hub divides the budget and grants a slice with each offer and each heartbeat. Requests are paced over the
//! hour by a token bucket that holds a twentieth of the slice, so that a burst of answers leaves at once and a
//! flood does not. Without a slice nothing waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const HOUR: Duration = Duration::from_secs(3600);
/// The part of a slice that may leave at once.
const BURST: u32 = 20;

/// The spending of one worker. Clones share it.
#[derive(Clone, Default)]
pub struct LinearUse {
    ledger: Arc<Mutex<Ledger>>,
    granted: Arc<watch::Sender<()>>,
}

#[derive(Default)]
struct Ledger {
    used: u32,
    bucket: Option<Bucket>,
}

struct Bucket {
    slice: u32,
    level: f64,
    filled: Instant,
}

impl Bucket {
    fn burst(&self) -> f64 {
        f64::from((self.slice / BURST).max(1))
    }

    /// Requests a second. What may leave at once is taken off, so that an hour holds no more than the slice.
    fn rate(&self) -> f64 {
        let slice = f64::from(self.slice);
        let paced = if slice > self.burst() { slice - self.burst() } else { slice };
        paced / HOUR.as_secs_f64()
    }

    fn fill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.level = (self.level + since * self.rate()).min(self.burst());
        self.filled = now;
    }
}

enum Turn {
    Now,
    In(Duration),
    AfterAGrant,
}

impl LinearUse {
    /// Waits until one request may be sent, and counts it.
    pub async fn spend(&self) {
        let mut granted = self.granted.subscribe();
        loop {
            let wait = match self.turn() {
                Turn::Now => return,
                Turn::In(wait) => wait,
                Turn::AfterAGrant => HOUR,
            };
            tokio::select! {
                () = sleep(wait) => {}
                _ = granted.changed() => {}
            }
        }
    }

    fn turn(&self) -> Turn {
        self.with(|ledger| {
            if let Some(bucket) = &mut ledger.bucket {
                bucket.fill(Instant::now());
                if bucket.slice == 0 {
                    return Turn::AfterAGrant;
                }
                if bucket.level < 1.0 {
                    let seconds = (1.0 - bucket.level) / bucket.rate();
                    return Turn::In(Duration::from_secs_f64(seconds.clamp(0.001, HOUR.as_secs_f64())));
                }
                bucket.level -= 1.0;
            }
            ledger.used = ledger.used.saturating_add(1);
            Turn::Now
        })
    }

    /// The hub's newest slice: requests within the hour from now; `None`: no slice is kept.
    pub fn grant(&self, slice: Option<u32>) {
        let now = Instant::now();
        self.with(|ledger| match (&mut ledger.bucket, slice) {
            (_, None) => ledger.bucket = None,
            (Some(bucket), Some(slice)) => {
                bucket.fill(now);
                bucket.slice = slice;
                bucket.level = bucket.level.min(bucket.burst());
            }
            (empty, Some(slice)) => {
                let mut bucket = Bucket { slice, level: 0.0, filled: now };
                bucket.level = bucket.burst();
                *empty = Some(bucket);
            }
        });
        self.granted.send_replace(());
    }

    /// Takes what was sent since the last call, for a heartbeat.
    pub fn take_used(&self) -> u32 {
        self.with(|ledger| std::mem::take(&mut ledger.used))
    }

    /// The heartbeat did not arrive: this is told with the next one.
    pub fn give_back(&self, used: u32) {
        self.with(|ledger| ledger.used = ledger.used.saturating_add(used));
    }

    fn with<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        work(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn in_time(usage: &LinearUse, limit: Duration) -> u32 {
        let mut spent = 0;
        let _ = tokio::time::timeout(limit, async {
            loop {
                usage.spend().await;
                spent += 1;
                if spent > 100_000 {
                    break;
                }
            }
        })
        .await;
        spent
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_slice_nothing_waits_and_all_is_counted() {
        let usage = LinearUse::default();
        for _ in 0..10_000 {
            tokio::time::timeout(Duration::from_millis(1), usage.spend()).await.unwrap();
        }
        assert_eq!(usage.take_used(), 10_000);
        assert_eq!(usage.take_used(), 0);
        usage.give_back(7);
        assert_eq!(usage.take_used(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_holds_no_more_than_the_slice_and_a_burst_leaves_at_once() {
        let usage = LinearUse::default();
        usage.grant(Some(1000));
        assert_eq!(in_time(&usage, Duration::from_millis(10)).await, 50);
        let rest = in_time(&usage, HOUR - Duration::from_secs(1)).await;
        assert!((940..=950).contains(&rest), "{rest}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_grant_with_every_heartbeat_does_not_fill_the_bucket_anew() {
        let usage = LinearUse::default();
        let mut spent = 0;
        for _ in 0..80 {
            usage.grant(Some(1000));
            spent += in_time(&usage, Duration::from_secs(45)).await;
        }
        assert!(spent <= 1001, "{spent}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slice_of_nothing_waits_for_the_next_grant() {
        let usage = LinearUse::default();
        usage.grant(Some(0));
        assert_eq!(in_time(&usage, 3 * HOUR).await, 0);
        let waiting = tokio::spawn({
            let usage = usage.clone();
            async move { usage.spend().await }
        });
        tokio::task::yield_now().await;
        usage.grant(None);
        tokio::time::timeout(Duration::from_secs(1), waiting).await.unwrap().unwrap();
    }
}
