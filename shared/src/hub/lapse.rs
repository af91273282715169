//! What time does: offers that nobody took, leases that were not renewed, first thoughts that are due, outages.

use crate::id::SessionKey;

use super::delivery::EventState;
use super::lease::Standing;
use super::ledger::{Hold, Ledger, Session, Words};
use super::rules::{Deed, Rules};

impl<L: Ledger> Rules<'_, L> {
    /// Does everything that is due at `now`.
    pub fn ring(&mut self) -> Result<(), L::Error> {
        self.end_stale_offers()?;
        self.close_lapsed_stops()?;
        self.move_lapsed()?;
        self.end_waits()?;
        self.say_first_thoughts()?;
        self.place_returning()?;
        self.fill()
    }

    /// The hub itself was away: every lease starts a full lease and grace anew, and no offer made before counts.
    pub fn forgive_outage(&mut self) -> Result<(), L::Error> {
        for worker in &mut self.fleet.workers {
            worker.last_seen_at = worker.last_seen_at.max(self.now);
            worker.beat_at = worker.beat_at.max(self.now);
        }
        self.ledger.start_anew(self.now)
    }

    /// An offer that nobody took ends the stream it was sent on: that is how a half-open connection is found.
    fn end_stale_offers(&mut self) -> Result<(), L::Error> {
        let wait = i64::try_from(self.settings.offer_ms).unwrap_or(i64::MAX);
        for worker in self.ledger.overdue(self.now.plus_millis(wait.saturating_neg()))? {
            self.strike(worker);
            if let Some(known) = self.fleet.get_mut(worker) {
                known.connected = false;
            }
            self.deeds.push(Deed::CloseStream { worker });
            self.take_back(worker)?;
        }
        Ok(())
    }

    /// A stop whose holder has not come back by the time its lease lapsed: nobody is there to say so but the hub.
    fn close_lapsed_stops(&mut self) -> Result<(), L::Error> {
        for (key, session) in self.lapsed()? {
            if session.stop {
                continue;
            }
            for item in self.ledger.open_of(&key)? {
                // The one before may have brought this one to its end.
                let item = if item.sort.is_stop() { self.ledger.item(item.seq)? } else { None };
                if let Some(stop) = item.filter(|stop| stop.state == EventState::Pending) {
                    self.close_stopped(stop)?;
                }
            }
        }
        Ok(())
    }

    /// Moves every session whose lease has lapsed beyond the grace, where another worker can take it. Its events may
    /// all be in the old worker's journal, so nothing waits that would bring anybody to look at it.
    pub(super) fn move_lapsed(&mut self) -> Result<(), L::Error> {
        for (key, session) in self.lapsed()? {
            if self.standing(&session) != Some(Standing::Movable) {
                continue;
            }
            if session.stop {
                self.release(&key, session)?;
                self.place_first(&key)?;
            } else {
                self.move_session(&key)?;
            }
        }
        Ok(())
    }

    fn lapsed(&mut self) -> Result<Vec<(SessionKey, Session)>, L::Error> {
        let all = self.ledger.leased(None)?;
        Ok(all
            .into_iter()
            .filter(|(_, session)| self.standing(session).is_some_and(|standing| standing != Standing::Held))
            .collect())
    }

    /// Sessions without a lease wait for their worker only so long.
    fn end_waits(&mut self) -> Result<(), L::Error> {
        for id in self.ledger.held_for()? {
            let expected = self.worker(id).is_some_and(|worker| worker.is_expected(self.now, self.settings));
            if !expected {
                self.ledger.end_holds(Hold::Worker(id))?;
            }
        }
        Ok(())
    }

    /// What is to be tried again now goes to its session's holder, however full that is.
    fn place_returning(&mut self) -> Result<(), L::Error> {
        const LIMIT: u32 = 256;
        for item in self.ledger.ready(self.now, crate::id::Seq(0), LIMIT)? {
            let leased = self.ledger.session(&item.key)?.is_some_and(|session| session.lease.is_some());
            if leased && item.not_before > crate::time::Timestamp::from_millis(0) {
                self.place(item)?;
            }
        }
        Ok(())
    }

    /// Claims the first thought of every event that nobody accepted in time.
    fn say_first_thoughts(&mut self) -> Result<(), L::Error> {
        for mut item in self.ledger.thoughts_due(self.now)? {
            item.first_thought = true;
            item.first_thought_due = None;
            self.ledger.put_item(&item)?;
            self.owe(&item, Words::FirstThought)?;
        }
        Ok(())
    }
}
