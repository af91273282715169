//! The slots that runs take: as many as are configured now, given out in the order of [`shared::queue`].
//!
//! Neighbours: a session's task waits here, the heartbeat tells how many are taken, and the configuration changes
//! their number while everything goes on. Whoever stops waiting leaves the queue by that alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use shared::queue::{Queue, Ticket};
use tokio::sync::{oneshot, watch};

/// All slots of a worker. Clones share them.
#[derive(Clone)]
pub struct Slots {
    inner: Arc<Mutex<Inner>>,
    size: Arc<watch::Sender<u32>>,
}

struct Inner {
    queue: Queue,
    called: HashMap<Ticket, oneshot::Sender<()>>,
}

/// A slot; dropping it frees it.
pub struct Permit(Seat);

struct Seat {
    slots: Slots,
    ticket: Ticket,
}

impl Slots {
    /// So many slots.
    pub fn new(size: u32) -> Self {
        let inner = Inner { queue: Queue::new(size), called: HashMap::new() };
        Self { inner: Arc::new(Mutex::new(inner)), size: Arc::new(watch::channel(size).0) }
    }

    /// Waits for a slot for a repository. Dropped half way, nobody waits any more.
    pub async fn wait(&self, repository: &str) -> Permit {
        let (call, called) = oneshot::channel();
        let ticket = self.with(|inner| {
            let ticket = inner.queue.enter(repository);
            inner.called.insert(ticket, call);
            ticket
        });
        let seat = Seat { slots: self.clone(), ticket };
        // The call cannot be lost: the sender is dropped only with the seat.
        let _ = called.await;
        Permit(seat)
    }

    /// From now on there are so many, and no more than `caps` says for each of its repositories.
    pub fn resize(&self, size: u32, caps: BTreeMap<String, u32>) {
        self.with(|inner| {
            inner.queue.resize(size);
            inner.queue.cap(caps);
        });
        self.size.send_if_modified(|known| std::mem::replace(known, size) != size);
    }

    /// How many there are, now and after each change.
    pub fn size(&self) -> watch::Receiver<u32> {
        self.size.subscribe()
    }

    /// How many there are, and how many of them are taken.
    pub fn count(&self) -> (u32, u32) {
        self.with(|inner| (inner.queue.size(), inner.queue.used()))
    }

    /// How many sessions wait for one.
    pub fn waiting(&self) -> usize {
        self.with(|inner| inner.queue.waiting())
    }

    /// Changes something, then calls whoever may go now.
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = work(&mut inner);
        while let Some(ticket) = inner.queue.admit() {
            // One that is gone leaves by itself; its seat is dropped right after.
            if let Some(call) = inner.called.remove(&ticket) {
                let _ = call.send(());
            }
        }
        answer
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let ticket = self.ticket;
        self.slots.with(|inner| {
            inner.called.remove(&ticket);
            inner.queue.leave(ticket);
        });
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Permit({:?})", self.0.ticket)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn waits(slots: &Slots, repository: &str) -> bool {
        timeout(Duration::from_millis(1), slots.wait(repository)).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_freed_slot_goes_to_whoever_waits() {
        let slots = Slots::new(1);
        let first = slots.wait("a").await;
        assert!(waits(&slots, "a").await, "the one is taken");
        assert_eq!(slots.waiting(), 0, "who gave up is not in the queue");
        let next = tokio::spawn({
            let slots = slots.clone();
            async move { slots.wait("b").await }
        });
        tokio::task::yield_now().await;
        drop(first);
        let held = timeout(Duration::from_secs(1), next).await.unwrap().unwrap();
        assert_eq!(slots.count(), (1, 1));
        drop(held);
        assert_eq!(slots.count(), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn more_slots_let_those_in_who_wait_and_fewer_stop_nobody() {
        let slots = Slots::new(1);
        let mut size = slots.size();
        let _first = slots.wait("a").await;
        let waiting = tokio::spawn({
            let slots = slots.clone();
            async move { slots.wait("a").await }
        });
        tokio::task::yield_now().await;
        slots.resize(2, BTreeMap::new());
        let second = timeout(Duration::from_secs(1), waiting).await.unwrap().unwrap();
        assert!(size.has_changed().unwrap() && *size.borrow_and_update() == 2);
        slots.resize(1, BTreeMap::new());
        assert_eq!(slots.count(), (1, 2));
        drop(second);
        assert!(waits(&slots, "a").await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_repository_has_no_more_than_its_own_limit() {
        let slots = Slots::new(4);
        slots.resize(4, BTreeMap::from([("a".to_owned(), 1)]));
        let _held = slots.wait("a").await;
        assert!(waits(&slots, "a").await);
        assert!(!waits(&slots, "b").await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_that_was_given_to_one_who_is_gone_is_free_again() {
        let slots = Slots::new(1);
        let held = slots.wait("a").await;
        let gone = tokio::spawn({
            let slots = slots.clone();
            async move { slots.wait("a").await }
        });
        tokio::task::yield_now().await;
        drop(held);
        gone.abort();
        drop(gone.await);
        assert!(!waits(&slots, "a").await);
    }
}
