//! Streams: what a worker is told when it comes, and what becomes of its offers when it goes.

use crate::id::{Seq, WorkerId};
use crate::stream::HeldLease;
use crate::worker::LeaseClaim;

use super::delivery::{EventState, Happening};
use super::ledger::{Hold, Ledger, Session};
use super::rules::{Deed, Rules};

/// What `hello` says of a worker's leases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Greeting {
    /// The leases it holds, and those under which it must not resume.
    pub leases: Vec<HeldLease>,
    /// What the hub believes to be in its journal and not done.
    pub accepted: Vec<Seq>,
}

impl<L: Ledger> Rules<'_, L> {
    /// A worker's stream opens: what it is told first. Its unaccepted offers go out again, then what waited for it.
    pub fn open_stream(&mut self, worker: WorkerId) -> Result<Greeting, L::Error> {
        if let Some(known) = self.fleet.get_mut(worker) {
            known.connected = true;
            known.last_seen_at = self.now;
            // `hello` confirms the leases that it lists: from here they last as after a heartbeat.
            known.beat_at = self.now;
        }
        let mut greeting = Greeting::default();
        for (key, session) in self.ledger.leased(Some(worker))? {
            let Some(lease) = session.lease else { continue };
            let open = self.ledger.open_of(&key)?;
            greeting.leases.push(HeldLease {
                session_key: key.clone(),
                token: lease.token,
                stop: session.stop,
            });
            if session.stop {
                // Told at each hello, until it says `done` or the lease may move: the line may be lost on its way.
                continue;
            }
            if session.unclaimed {
                // It counts this as a confirmation.
                self.ledger.put_session(&key, &Session { unclaimed: false, ..session })?;
            }
            for item in open {
                if item.worker == Some(worker) && item.state == EventState::Accepted {
                    greeting.accepted.push(item.seq);
                }
            }
        }
        greeting.accepted.sort_unstable();
        for mut item in self.ledger.offered_to(worker)? {
            self.advance(&mut item, Happening::Offer)?;
            self.deeds.push(Deed::Offer { worker, item: Box::new(item) });
        }
        self.ledger.end_holds(Hold::Worker(worker))?;
        self.ledger.end_holds(Hold::Served)?;
        self.move_lapsed()?;
        self.fill()?;
        self.offer_held_by(worker)?;
        Ok(greeting)
    }

    /// What waits under the worker's own leases goes to it even when it is full.
    fn offer_held_by(&mut self, worker: WorkerId) -> Result<(), L::Error> {
        for (key, _) in self.ledger.leased(Some(worker))? {
            self.place_first(&key)?;
        }
        Ok(())
    }

    /// A worker's last stream is gone: what it was offered and did not take goes back, uncounted.
    pub fn close_stream(&mut self, worker: WorkerId) -> Result<(), L::Error> {
        if let Some(known) = self.fleet.get_mut(worker) {
            known.connected = false;
            known.last_seen_at = self.now;
        }
        self.take_back(worker)?;
        self.fill()
    }

    pub(super) fn take_back(&mut self, worker: WorkerId) -> Result<(), L::Error> {
        for mut item in self.ledger.offered_to(worker)? {
            self.advance(&mut item, Happening::OfferEnded)?;
            let key = item.key.clone();
            self.settle(&key)?;
        }
        Ok(())
    }

    /// A worker leaves, or its key is revoked: what waits for it alone waits no longer.
    pub fn leave(&mut self, worker: WorkerId) -> Result<(), L::Error> {
        self.ledger.end_holds(Hold::Worker(worker))?;
        self.move_lapsed()?;
        self.fill()
    }

    /// A worker registered: it may serve what nobody served, and have more room.
    pub fn register(&mut self) -> Result<(), L::Error> {
        self.ledger.end_holds(Hold::Served)?;
        self.fill()
    }

    /// A heartbeat: renews the leases that the worker names, and tells which of them it has lost. A lease that it
    /// holds and does not name is not renewed: it lapses and moves.
    pub fn heartbeat(
        &mut self,
        worker: WorkerId,
        claims: Vec<LeaseClaim>,
    ) -> Result<Vec<LeaseClaim>, L::Error> {
        let before = self.fleet.get(worker).map_or(self.now, |known| known.beat_at);
        let mut claims: std::collections::BTreeMap<_, _> =
            claims.into_iter().map(|claim| (claim.session_key, claim.token)).collect();
        for (key, mut session) in self.ledger.leased(Some(worker))? {
            let Some(lease) = session.lease.as_mut() else { continue };
            let named = claims.get(&key) == Some(&lease.token);
            if named {
                claims.remove(&key);
            }
            if session.stop {
                // Its holder is about to end what it has under it; that is not lost, and not renewed either.
                continue;
            }
            if named == session.unclaimed {
                if !named {
                    lease.renewed_at = lease.renewed_at.max(before);
                }
                session.unclaimed = !named;
                self.ledger.put_session(&key, &session)?;
            }
        }
        if let Some(known) = self.fleet.get_mut(worker) {
            known.beat_at = self.now;
            known.last_seen_at = self.now;
        }
        if !self.fencing {
            return Ok(Vec::new());
        }
        Ok(claims.into_iter().map(|(session_key, token)| LeaseClaim { session_key, token }).collect())
    }
}
