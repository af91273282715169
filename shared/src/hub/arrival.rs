//! Arrivals: a new event takes its place behind its session's earlier ones; a stop overtakes them.

use crate::id::Seq;

use super::delivery::{EventState, Happening};
use super::lease::Standing;
use super::ledger::{Item, Ledger, Words};
use super::rules::Rules;

impl<L: Ledger> Rules<'_, L> {
    /// An event was stored as pending, under a fresh number.
    pub fn arrive(&mut self, item: Item) -> Result<(), L::Error> {
        if let Some(due) = item.first_thought_due {
            self.wake_at(due);
        }
        if item.sort.is_stop() {
            return self.overtake(item);
        }
        if !self.fleet.workers.iter().any(|worker| worker.connected) {
            // Nobody is there: it waits in the queue, and its place in its session is looked at when somebody comes.
            return Ok(());
        }
        self.place(item).map(drop)
    }

    /// A stop cancels what is open of its agent session. With a live lease the holder hears of it; without one the hub
    /// itself says the closing words.
    fn overtake(&mut self, stop: Item) -> Result<(), L::Error> {
        for mut earlier in self.ledger.open_of(&stop.key)? {
            if earlier.seq < stop.seq && earlier.agent_session == stop.agent_session {
                earlier.reason = Some("overtaken by a stop".to_owned());
                self.advance(&mut earlier, Happening::Cancel)?;
            }
        }
        let session = self.ledger.session(&stop.key)?.unwrap_or_default();
        if self.standing(&session) == Some(Standing::Held) && !session.stop {
            // What was cancelled no longer keeps the lease; the stop that waits does.
            let (key, seq) = (stop.key.clone(), stop.seq);
            self.settle(&key)?;
            if let Some(stop) = self.ledger.item(seq)?.filter(|stop| stop.state == EventState::Pending) {
                self.place(stop)?;
            }
            return Ok(());
        }
        self.close_stopped(stop)
    }

    /// Ends a stopped session that no live lease covers. A holder that comes back is told not to resume.
    pub(super) fn close_stopped(&mut self, mut stop: Item) -> Result<(), L::Error> {
        // Whoever it was offered to has no say in it any more.
        stop.worker = None;
        self.advance(&mut stop, Happening::Finish)?;
        self.owe(&stop, Words::Stopped)?;
        let key = stop.key;
        if let Some(mut session) = self.ledger.session(&key)?
            && session.lease.is_some()
            && self.ledger.front(&key)?.taken().is_none()
        {
            session.stop = true;
            // From here nothing renews it: it ends by its holder's word, or when it may move.
            if let Some(lease) = session.lease.as_mut().filter(|_| !session.unclaimed)
                && let Some(holder) = self.fleet.get(lease.worker)
            {
                lease.renewed_at = lease.renewed_at.max(holder.beat_at);
            }
            session.unclaimed = true;
            self.ledger.put_session(&key, &session)?;
        }
        self.settle(&key)
    }

    /// A person wants a dead or cancelled event tried again. `None`: it is not one of those.
    pub fn replay(&mut self, seq: Seq) -> Result<Option<Item>, L::Error> {
        let Some(mut item) = self.ledger.item(seq)? else { return Ok(None) };
        if !matches!(item.state, EventState::Dead | EventState::Cancelled) {
            return Ok(None);
        }
        item.not_before = self.now;
        // A person wants it done again: what was answered before does not count.
        item.takeover = false;
        item.reason = Some("replayed".to_owned());
        self.advance(&mut item, Happening::Replay)?;
        self.place(item)?;
        self.ledger.item(seq)
    }
}
