//! The rules of delivery over a [`Ledger`]: what happens to events, sessions and leases when something arrives.
//!
//! One value of [`Rules`] lives for one call: it changes the ledger and the fleet, and gathers [`Deed`]s that the
//! shell does once the ledger's transaction holds. Parts: [`super::arrival`], [`super::offer`], [`super::ack`],
//! [`super::stream`], [`super::lapse`]. Nothing here reads a clock, waits, or speaks to anybody.

use crate::id::{FencingToken, Seq, SessionKey, WorkerId};
use crate::settings::Settings;
use crate::time::Timestamp;

use super::delivery::{EventState, Happening, step};
use super::fleet::{Fleet, Worker};
use super::lease::{Standing, next_token};
use super::ledger::{Front, Hold, Item, Ledger, Session, Words};

/// What the shell does after the ledger's transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Sends an event's line to a worker.
    Offer {
        /// To whom.
        worker: WorkerId,
        /// What.
        item: Box<Item>,
    },
    /// Tells a worker that a lease is gone.
    Revoke {
        /// Whom.
        worker: WorkerId,
        /// The session.
        key: SessionKey,
        /// The token that is void.
        token: FencingToken,
    },
    /// Closes a worker's stream, since it did not take what it was offered.
    CloseStream {
        /// Whose.
        worker: WorkerId,
    },
    /// Writes a worker's strikes down.
    Strikes {
        /// Whose.
        worker: WorkerId,
        /// How many now.
        strikes: u32,
    },
    /// Words are owed to Linear now.
    Speak,
}

/// The rules for one call.
pub struct Rules<'a, L> {
    /// What is kept.
    pub ledger: L,
    /// Who is there.
    pub fleet: &'a mut Fleet,
    /// The numbers.
    pub settings: &'a Settings,
    /// The clock.
    pub now: Timestamp,
    /// What the shell does afterwards, in order.
    pub deeds: Vec<Deed>,
    /// When the shell has to ring, as far as this call has changed that.
    pub wake: Option<Timestamp>,
    /// Tokens decide who may speak for a session. Off only in a build that shows what happens without.
    pub fencing: bool,
}

impl<'a, L: Ledger> Rules<'a, L> {
    /// Rules over a ledger, at `now`.
    pub fn new(ledger: L, fleet: &'a mut Fleet, settings: &'a Settings, now: Timestamp) -> Self {
        Self { ledger, fleet, settings, now, deeds: Vec::new(), wake: None, fencing: true }
    }

    /// Takes a step with an event and writes its outcome. `false`: it cannot be taken, nothing changed.
    pub(super) fn advance(&mut self, item: &mut Item, happening: Happening) -> Result<bool, L::Error> {
        let Some(outcome) = step(item.state, item.attempts, happening, self.settings.max_attempts) else {
            return Ok(false);
        };
        item.state = outcome.state;
        item.attempts = outcome.attempts;
        match outcome.state {
            EventState::Pending => {
                item.offered_at = None;
                item.finished = false;
                item.ended_at = None;
                item.hold = None;
                if item.not_before > self.now {
                    self.wake_at(item.not_before);
                }
            }
            EventState::Offered => {
                item.offered_at = Some(self.now);
                self.wake_after(self.settings.offer_ms);
            }
            EventState::Accepted => {
                item.accepted_at = item.accepted_at.or(Some(self.now));
                item.first_thought_due = None;
            }
            EventState::Done | EventState::Dead | EventState::Cancelled => {
                item.ended_at = item.ended_at.or(Some(self.now));
                item.first_thought_due = None;
                item.hold = None;
            }
        }
        self.ledger.put_item(item)?;
        if outcome.state == EventState::Dead {
            self.owe(item, Words::Dead)?;
        }
        Ok(true)
    }

    pub(super) fn owe(&mut self, item: &Item, words: Words) -> Result<(), L::Error> {
        if item.sort.is_in_linear() {
            self.ledger.owe(item.seq, words)?;
            self.wake_at(self.now);
            self.deeds.push(Deed::Speak);
        }
        Ok(())
    }

    pub(super) fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    pub(super) fn wake_after(&mut self, ms: u64) {
        self.wake_at(self.now.plus_millis(i64::try_from(ms).unwrap_or(i64::MAX)));
    }

    /// How firmly a session's lease is held. Heartbeats renew all leases of a worker that it names.
    pub(super) fn standing(&self, session: &Session) -> Option<Standing> {
        let mut lease = session.lease?;
        let Some(holder) = self.fleet.get(lease.worker) else { return Some(Standing::Movable) };
        if holder.revoked {
            return Some(Standing::Movable);
        }
        if !session.unclaimed {
            lease.renewed_at = lease.renewed_at.max(holder.beat_at);
        }
        Some(lease.standing(self.now, self.settings))
    }

    /// After anything of a session has changed: what was kept behind an earlier event is done as far as it goes, a lease
    /// under which nothing is open is ended, and what waits is offered.
    pub(super) fn settle(&mut self, key: &SessionKey) -> Result<(), L::Error> {
        let mut front = self.ledger.front(key)?;
        if front.is_done() {
            self.cascade(key)?;
            front = self.ledger.front(key)?;
        }
        if front.taken().is_none()
            // The holder may still run what a waiting stop is to end: until it hears, or its lease lapses, it keeps it.
            && front.stop.is_none()
            && let Some(session) = self.ledger.session(key)?
            && session.lease.is_some()
            && !session.stop
        {
            self.release(key, session)?;
        }
        self.place_front(front)
    }

    /// Offers a session's earliest pending event, if none is offered already. A stop goes before every other.
    pub(super) fn place_first(&mut self, key: &SessionKey) -> Result<(), L::Error> {
        let front = self.ledger.front(key)?;
        self.place_front(front)
    }

    fn place_front(&mut self, front: Front) -> Result<(), L::Error> {
        if front.offered.is_none()
            && let Some(first) = front.stop.or(front.pending)
            && let Some(item) = self.ledger.item(first)?
        {
            self.place_behind(item, front)?;
        }
        Ok(())
    }

    pub(super) fn release(&mut self, key: &SessionKey, mut session: Session) -> Result<(), L::Error> {
        if let Some(lease) = session.lease.take()
            && let Some(holder) = self.fleet.get_mut(lease.worker)
        {
            holder.leases = holder.leases.saturating_sub(1);
            // What it said last counted this one; its next heartbeat says anew.
            holder.reported = if holder.leases == 0 { 0 } else { holder.reported.saturating_sub(1) };
        }
        if session.stop {
            session.newest = next_token(session.newest);
        }
        session.stop = false;
        session.unclaimed = false;
        self.ledger.put_session(key, &session)
    }

    pub(super) fn hold(&mut self, mut item: Item, hold: Option<Hold>) -> Result<bool, L::Error> {
        if let Some(Hold::Worker(worker)) = hold
            && !self.settings.takeover_never
            && let Some(until) = self.worker(worker).map(|worker| worker.expected_until(self.settings))
        {
            self.wake_at(until.max(self.now));
        }
        if item.hold != hold {
            item.hold = hold;
            self.ledger.put_item(&item)?;
        }
        Ok(false)
    }

    pub(super) fn strike(&mut self, worker: WorkerId) {
        self.set_strikes(worker, |strikes| strikes.saturating_add(1));
    }

    pub(super) fn forgive(&mut self, worker: WorkerId) {
        self.set_strikes(worker, |_| 0);
    }

    fn set_strikes(&mut self, id: WorkerId, change: impl FnOnce(u32) -> u32) {
        if let Some(worker) = self.fleet.get_mut(id) {
            let strikes = change(worker.strikes);
            if strikes != worker.strikes {
                worker.strikes = strikes;
                self.deeds.push(Deed::Strikes { worker: id, strikes });
            }
        }
    }

    /// Offers what waits for room: first what was held for a worker that has some now, then the queue, oldest first.
    pub fn fill(&mut self) -> Result<(), L::Error> {
        if self.fleet.has_room() {
            self.fill_crowded()?;
        }
        self.fill_queue()
    }

    fn fill_crowded(&mut self) -> Result<(), L::Error> {
        const PAGE: u32 = 64;
        let crowded = match self.fleet.crowded.take() {
            Some(crowded) => crowded,
            None => self.ledger.crowded()?,
        };
        // What is held again meanwhile is added to this list, not to the one that is gone through.
        self.fleet.crowded = Some(Vec::new());
        let mut kept = Vec::new();
        for wants in crowded {
            let room = |rules: &Self| {
                rules
                    .fleet
                    .workers
                    .iter()
                    .any(|worker| worker.takes_new() && worker.has_room() && worker.serves(&wants))
            };
            let mut left = true;
            while left && room(self) {
                let page = self.ledger.held_for_room(&wants, PAGE)?;
                left = page.len() as u32 == PAGE;
                let mut placed = false;
                for item in page {
                    if !room(self) {
                        left = true;
                        break;
                    }
                    placed |= self.place(item)?;
                }
                if !placed {
                    // Those who have room have rejected what is looked at; it waits for a change among the workers.
                    left = true;
                    break;
                }
            }
            if left {
                kept.push(wants);
            }
        }
        let again = self.fleet.crowded.get_or_insert_default();
        kept.retain(|wants| !again.contains(wants));
        again.append(&mut kept);
        Ok(())
    }

    fn fill_queue(&mut self) -> Result<(), L::Error> {
        /// Events that are looked at in one go; the next goes on behind them.
        const WINDOW: u32 = 512;
        const PAGE: u32 = 64;
        let mut after = std::mem::replace(&mut self.fleet.cursor, Seq(0));
        let (mut seen, mut from_start) = (0, after == Seq(0));
        while self.fleet.has_room() {
            let page = self.ledger.ready(self.now, after, PAGE)?;
            let Some(last) = page.last().map(|item| item.seq) else {
                if from_start {
                    break;
                }
                (after, from_start) = (Seq(0), true);
                continue;
            };
            seen += PAGE;
            after = last;
            for item in page {
                if !self.fleet.has_room() {
                    return Ok(());
                }
                self.place(item)?;
            }
            if seen >= WINDOW {
                self.fleet.cursor = after;
                self.wake_after(self.settings.backoff_ms);
                break;
            }
        }
        Ok(())
    }

    pub(super) fn worker(&self, id: WorkerId) -> Option<&Worker> {
        self.fleet.get(id)
    }
}
