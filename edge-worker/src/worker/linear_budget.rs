//! What this worker may spend of Linear's limits, and what it has spent since its last heartbeat.
//!
//! All sessions share one [`Governor`]: whoever wants to send stands in line, the heaviest first, within a weight
//! by who came first, so a chatty session waits behind the others. This is the governor's clocked shell; what is
//! said and in which words is the outbox's business.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::linear::answer::RateLimit;
use shared::linear::governor::{Go, Governor, Level};
use shared::linear::weight::Weight;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// The spending of one worker. Clones share it.
#[derive(Clone)]
pub struct LinearUse {
    desk: Arc<Mutex<Desk>>,
    changed: Arc<watch::Sender<()>>,
}

struct Desk {
    governor: Governor,
    began: Instant,
    used: u32,
    line: BTreeSet<Place>,
    next: u64,
}

/// A place in the line: the heaviest first, then who came first.
type Place = (Weight, u64);

impl Default for LinearUse {
    fn default() -> Self {
        Self::governed(Governor::default())
    }
}

impl Desk {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn serve(&mut self, place: Place, points: u32) -> Turn {
        self.line.insert(place);
        if self.line.first() != Some(&place) {
            return Turn::Behind;
        }
        let now = self.now();
        let level = self.governor.level(now);
        match self.governor.ask(place.0, points, now) {
            Go::Wait(ms) => Turn::In(Duration::from_millis(ms)),
            Go::Now => {
                self.line.remove(&place);
                self.used = self.used.saturating_add(1);
                Turn::Now(level)
            }
        }
    }
}

enum Turn {
    Now(Level),
    /// Somebody else is first.
    Behind,
    In(Duration),
}

impl LinearUse {
    /// The spending that this governor rules.
    pub fn governed(governor: Governor) -> Self {
        let desk = Desk { governor, began: Instant::now(), used: 0, line: BTreeSet::new(), next: 0 };
        Self { desk: Arc::new(Mutex::new(desk)), changed: Arc::default() }
    }

    /// Stands in line for one request.
    pub fn ticket(&self, weight: Weight) -> Ticket {
        let place = self.with(|desk| {
            desk.next += 1;
            let place = (weight, desk.next);
            desk.line.insert(place);
            place
        });
        Ticket { spending: self.clone(), place }
    }

    /// Waits until one request of this weight and about so many complexity points may be sent.
    pub async fn turn(&self, weight: Weight, points: u32) -> Permit {
        self.ticket(weight).granted(points).await
    }

    /// How much there is to spend now.
    pub fn level(&self) -> Level {
        self.with(|desk| desk.governor.level(desk.now()))
    }

    /// The hub's newest slice: requests within the hour from now; `None`: no slice is kept.
    pub fn grant(&self, slice: Option<u32>) {
        self.with(|desk| desk.governor.grant(slice));
        self.stir();
    }

    /// Takes what was sent since the last call, for a heartbeat.
    pub fn take_used(&self) -> u32 {
        self.with(|desk| std::mem::take(&mut desk.used))
    }

    /// The heartbeat did not arrive: this is told with the next one.
    pub fn give_back(&self, used: u32) {
        self.with(|desk| desk.used = desk.used.saturating_add(used));
    }

    /// Whoever is first in line looks again.
    fn stir(&self) {
        self.changed.send_replace(());
    }

    fn with<T>(&self, work: impl FnOnce(&mut Desk) -> T) -> T {
        work(&mut self.desk.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A place in the line for one request; it is given up when this is dropped.
pub struct Ticket {
    spending: LinearUse,
    place: Place,
}

impl Ticket {
    /// What is to be sent became heavier, or lighter; who came first stays so.
    pub fn weighs(&mut self, weight: Weight) {
        let (old, new) = (self.place, (weight, self.place.1));
        if old == new {
            return;
        }
        self.spending.with(|desk| {
            if desk.line.remove(&old) {
                desk.line.insert(new);
            }
        });
        self.place = new;
        self.spending.stir();
    }

    /// Waits for the turn; one request of about so many complexity points is counted. Nothing is lost when the wait
    /// is dropped and begun again.
    pub async fn granted(&mut self, points: u32) -> Permit {
        let mut changed = self.spending.changed.subscribe();
        loop {
            changed.borrow_and_update();
            match self.spending.with(|desk| desk.serve(self.place, points)) {
                Turn::Now(level) => {
                    self.spending.stir();
                    return Permit { spending: self.spending.clone(), points, level, told: false };
                }
                Turn::Behind => {
                    let _ = changed.changed().await;
                }
                Turn::In(wait) => {
                    tokio::select! {
                        () = sleep(wait) => {}
                        _ = changed.changed() => {}
                    }
                }
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.spending.with(|desk| desk.line.remove(&self.place)) {
            self.spending.stir();
        }
    }
}

/// Leave to send one request. What Linear answered is told to it; dropped without that, no answer came.
pub struct Permit {
    spending: LinearUse,
    points: u32,
    level: Level,
    told: bool,
}

impl Permit {
    /// How much there was to spend when this was given.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Linear answered with these headers at `wall_ms` since 1970; `over`: as over its limit, for so many ms.
    pub fn answered(mut self, limit: &RateLimit, over: Option<u64>, wall_ms: i64) {
        self.told = true;
        self.spending.with(|desk| {
            let now = desk.now();
            desk.governor.answered(limit, self.points, now, wall_ms);
            match over {
                Some(ms) => desk.governor.over_limit(ms, now),
                None => desk.governor.taken(),
            }
        });
        self.spending.stir();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.told {
            self.spending.with(|desk| desk.governor.unanswered());
            self.spending.stir();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn answered(permit: Permit) {
        permit.answered(&RateLimit::default(), None, 0);
    }

    async fn in_time(usage: &LinearUse, weight: Weight, limit: Duration) -> u32 {
        let mut spent = 0;
        let _ = tokio::time::timeout(limit, async {
            loop {
                answered(usage.turn(weight, 2).await);
                spent += 1;
            }
        })
        .await;
        spent
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_holds_no_more_than_the_slice_and_all_is_counted() {
        let usage = LinearUse::default();
        usage.grant(Some(1_000));
        let first = in_time(&usage, Weight::Final, Duration::from_millis(10)).await;
        assert_eq!(first, 100, "six minutes' worth leaves at once");
        let rest = in_time(&usage, Weight::Final, HOUR - Duration::from_secs(1)).await;
        assert!((800..=900).contains(&rest), "{rest}");
        assert_eq!(usage.take_used(), first + rest);
        assert_eq!(usage.take_used(), 0);
        usage.give_back(7);
        assert_eq!(usage.take_used(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_grant_with_every_heartbeat_gives_nothing_anew() {
        let usage = LinearUse::default();
        let mut spent = 0;
        for _ in 0..80 {
            usage.grant(Some(1_000));
            spent += in_time(&usage, Weight::Final, Duration::from_secs(45)).await;
        }
        assert!((700..=1_000).contains(&spent), "{spent}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slice_of_nothing_waits_for_the_next_grant() {
        let usage = LinearUse::default();
        usage.grant(Some(0));
        assert_eq!(in_time(&usage, Weight::First, 3 * HOUR).await, 0);
        let waiting = tokio::spawn({
            let usage = usage.clone();
            async move { usage.turn(Weight::Step, 2).await }
        });
        tokio::task::yield_now().await;
        usage.grant(None);
        tokio::time::timeout(Duration::from_secs(1), waiting).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_heaviest_goes_first_and_of_one_weight_who_came_first() {
        let usage = LinearUse::default();
        usage.grant(Some(0));
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for (name, weight) in [
            ("step", Weight::Step),
            ("first", Weight::First),
            ("milestone", Weight::Milestone),
            ("final", Weight::Final),
            ("another final", Weight::Final),
        ] {
            let (usage, order) = (usage.clone(), Arc::clone(&order));
            waiting.push(tokio::spawn(async move {
                let permit = usage.turn(weight, 2).await;
                order.lock().unwrap().push(name);
                answered(permit);
            }));
            tokio::task::yield_now().await;
        }
        usage.grant(Some(4_000));
        for one in waiting {
            tokio::time::timeout(HOUR, one).await.unwrap().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["final", "another final", "first", "milestone", "step"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_in_the_line_is_kept_while_its_weight_changes_and_given_up_with_its_ticket() {
        let usage = LinearUse::default();
        usage.grant(Some(0));
        let mut early = usage.ticket(Weight::Step);
        let mut late = usage.ticket(Weight::Final);
        let given_up = usage.ticket(Weight::Final);
        assert!(tokio::time::timeout(HOUR, late.granted(2)).await.is_err());
        early.weighs(Weight::Final);
        usage.grant(Some(4_000));
        assert!(tokio::time::timeout(HOUR, late.granted(2)).await.is_err(), "another came first");
        answered(early.granted(2).await);
        drop(given_up);
        answered(tokio::time::timeout(HOUR, late.granted(2)).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn over_the_limit_holds_all_until_the_reset() {
        let usage = LinearUse::default();
        usage.turn(Weight::Step, 2).await.answered(&RateLimit::default(), Some(3_000), 0);
        assert_eq!(usage.level(), Level::Scarce);
        let before = Instant::now();
        answered(usage.turn(Weight::Milestone, 2).await);
        assert_eq!(before.elapsed(), Duration::from_secs(3));
        assert_eq!(usage.level(), Level::Free);
    }
}
