//! Acks: what a worker says of its offers, taken only under the lease's own token (invariant D3).

use crate::ack::{Ack, AckAnswer, AckState};
use crate::id::{SessionKey, WorkerId};

use super::backoff::pause_ms;
use super::delivery::{EventState, Happening};
use super::lease::Lease;
use super::ledger::{Item, Ledger, Session};
use super::rules::Rules;

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 300;

impl<L: Ledger> Rules<'_, L> {
    /// Takes one ack. `random` spreads a retry's pause.
    pub fn ack(&mut self, worker: WorkerId, ack: &Ack, random: u8) -> Result<AckAnswer, L::Error> {
        // Whatever it says, it is there: a worker without leases is heard of by nothing else.
        if let Some(known) = self.fleet.get_mut(worker) {
            known.last_seen_at = known.last_seen_at.max(self.now);
        }
        let Some(mut item) = self.ledger.item(ack.seq)? else { return Ok(AckAnswer::Unknown) };
        let session = self.ledger.session(&item.key)?.unwrap_or_default();
        if self.fencing {
            if item.worker != Some(worker) || item.token != ack.token {
                return Ok(AckAnswer::Stale);
            }
            if !item.state.is_open() {
                // A repeat, or the worker's last word on what a stop has overtaken. To a worker an accepted ack that is
                // taken says that its lease stands, so that is said only where it does.
                let stands = session.lease.is_some_and(|lease| lease.covers(worker, ack.token));
                if stands
                    && session.stop
                    && item.state == EventState::Cancelled
                    && ack.state == AckState::Done
                {
                    // It has heard of the stop and ended: the session is free.
                    self.release(&item.key, session)?;
                    self.settle(&item.key)?;
                }
                if ack.state == AckState::Accepted && item.state != EventState::Done {
                    if !stands || session.stop {
                        return Ok(AckAnswer::Stale);
                    }
                    self.bind(&item.key, session, worker, &item, true)?;
                }
                return Ok(AckAnswer::Ok);
            }
            // The newest token decides, not the lease: an offer may have ended while its ack was on the way.
            // After a stop that its worker has not heard of yet nothing that it says of other events counts: it is about to
            // end them without a run, and they go out again.
            if session.newest != ack.token || session.stop {
                return Ok(AckAnswer::Stale);
            }
        } else if !item.state.is_open() {
            return Ok(AckAnswer::Ok);
        }
        if item.given_back && item.state == EventState::Pending {
            let repeats = matches!(ack.state, AckState::Retry | AckState::Reject);
            return Ok(if repeats { AckAnswer::Ok } else { AckAnswer::Stale });
        }
        if let Some(reason) = &ack.reason {
            item.reason = Some(reason.chars().take(MAX_REASON).collect());
        }
        let key = item.key.clone();
        match ack.state {
            AckState::Accepted => {
                self.bind(&key, session, worker, &item, true)?;
                self.advance(&mut item, Happening::Accept)?;
                self.forgive(worker);
            }
            AckState::Done => {
                self.bind(&key, session, worker, &item, false)?;
                self.forgive(worker);
                self.finish(item)?;
            }
            AckState::Retry => self.retry(item, worker, ack.after_ms, random)?,
            // A worker that was told to ask and still says no has failed at it.
            AckState::Reject if item.ask => self.retry(item, worker, ack.after_ms, random)?,
            AckState::Reject => {
                self.ledger.reject(item.seq, worker)?;
                item.given_back = true;
                self.advance(&mut item, Happening::Reject)?;
            }
        }
        self.settle(&key)?;
        Ok(AckAnswer::Ok)
    }

    /// From its first accepted event on a session sticks to the worker that has it; an offer alone does not bind. An
    /// ack that comes after its offer has ended, and its lease with it, brings the lease back under the same token.
    fn bind(
        &mut self,
        key: &SessionKey,
        session: Session,
        worker: WorkerId,
        item: &Item,
        renews: bool,
    ) -> Result<(), L::Error> {
        let lease = session.lease.or_else(|| {
            if let Some(holder) = self.fleet.get_mut(worker) {
                holder.leases = holder.leases.saturating_add(1);
            }
            Some(Lease { worker, token: item.token, renewed_at: self.now })
        });
        // An accepted ack that is taken confirms the lease, as a heartbeat does.
        let lease = lease.map(|lease| {
            let renewed_at = if renews { lease.renewed_at.max(self.now) } else { lease.renewed_at };
            Lease { renewed_at, ..lease }
        });
        let bound = Session { sticky: Some(worker), lease, ..session };
        if bound == session { Ok(()) } else { self.ledger.put_session(key, &bound) }
    }

    /// `done` counts in session order: one that comes early is kept until the events before it are done too.
    fn finish(&mut self, mut item: Item) -> Result<(), L::Error> {
        if self.ledger.front(&item.key)?.taken().is_some_and(|earlier| earlier < item.seq) {
            item.finished = true;
            return self.advance(&mut item, Happening::Accept).map(drop);
        }
        self.advance(&mut item, Happening::Finish).map(drop)
    }

    /// What was kept behind an event that is over now is done, as far as it goes.
    pub(super) fn cascade(&mut self, key: &SessionKey) -> Result<(), L::Error> {
        loop {
            let front = self.ledger.front(key)?;
            let first = front.accepted.filter(|_| front.is_done());
            let Some(mut first) = first.map(|first| self.ledger.item(first)).transpose()?.flatten() else {
                return Ok(());
            };
            self.advance(&mut first, Happening::Finish)?;
        }
    }

    fn retry(
        &mut self,
        mut item: Item,
        worker: WorkerId,
        after_ms: Option<u64>,
        random: u8,
    ) -> Result<(), L::Error> {
        let pause = pause_ms(item.attempts.saturating_add(1), self.settings, random)
            .max(after_ms.unwrap_or(0).min(self.settings.backoff_max_ms));
        item.not_before = self.now.plus_millis(i64::try_from(pause).unwrap_or(i64::MAX));
        item.given_back = true;
        self.advance(&mut item, Happening::Retry)?;
        self.strike(worker);
        Ok(())
    }
}
