//! Offers: where a pending event goes. To the lease's holder, or to a worker that gets a new lease, or nowhere yet.
//!
//! The next event of a session is offered once the one before it is accepted: a follow-up must reach a running
//! agent. An event that cannot go anywhere now says what it waits for, so that nobody looks at it in vain.

use crate::id::{FencingToken, SessionKey, WorkerId};

use super::balance::choose;
use super::delivery::{EventState, Happening};
use super::fleet::{STRIKES, Worker};
use super::lease::{Lease, Standing, next_token};
use super::ledger::{Front, Hold, Item, Ledger, Session};
use super::rules::{Deed, Rules};

impl<L: Ledger> Rules<'_, L> {
    /// Offers a pending event if it can be offered now. `false`: it waits.
    pub(super) fn place(&mut self, item: Item) -> Result<bool, L::Error> {
        let front = self.ledger.front(&item.key)?;
        self.place_behind(item, front)
    }

    /// The same for a caller that has just looked at the session.
    pub(super) fn place_behind(&mut self, item: Item, front: Front) -> Result<bool, L::Error> {
        if item.state != EventState::Pending {
            return Ok(false);
        }
        // A stop waits only for what is on its way: it goes before every other event.
        let earlier = !item.sort.is_stop()
            && (front.stop.is_some() || front.pending.is_some_and(|first| first < item.seq));
        if earlier || front.offered.is_some() {
            return self.hold(item, Some(Hold::Order));
        }
        if item.not_before > self.now {
            return self.hold(item, None);
        }
        let session = self.ledger.session(&item.key)?.unwrap_or_default();
        match session.lease {
            None => self.place_anew(item, session),
            Some(_) if session.stop && item.sort.is_stop() => self.close_stopped(item).map(|()| false),
            Some(lease) if !session.stop => self.place_under(item, session, lease),
            Some(_) if self.standing(&session) == Some(Standing::Movable) => {
                let key = item.key.clone();
                self.release(&key, session)?;
                let session = self.ledger.session(&key)?.unwrap_or_default();
                self.place_anew(item, session)
            }
            // Its holder was stopped without hearing of it, and may still act for a while: only itself may go on.
            Some(lease)
                if self.worker(lease.worker).is_some_and(Worker::takes_new)
                    && !self.rejections(&item)?.contains(&lease.worker) =>
            {
                let token = self.give(&item.key, session, lease.worker)?;
                self.offer(item, lease.worker, token).map(|()| true)
            }
            Some(lease) => self.hold(item, Some(Hold::Worker(lease.worker))),
        }
    }

    /// A session with a lease: its holder gets the event, however full it is.
    fn place_under(&mut self, item: Item, session: Session, lease: Lease) -> Result<bool, L::Error> {
        let rejected = !item.ask && self.rejections(&item)?.contains(&lease.worker);
        let there = self.worker(lease.worker).is_some_and(|holder| holder.connected && !holder.revoked);
        if rejected {
            if self.ledger.front(&item.key)?.taken().is_some() {
                return self.hold(item, Some(Hold::Order));
            }
            let key = item.key.clone();
            self.release(&key, session)?;
            return self.place_anew(item, Session { lease: None, stop: false, unclaimed: false, ..session });
        }
        if there {
            return self.offer(item, lease.worker, lease.token).map(|()| true);
        }
        if self.standing(&session) == Some(Standing::Movable) && self.move_session(&item.key)? {
            return Ok(true);
        }
        self.hold(item, Some(Hold::Worker(lease.worker)))
    }

    /// A session without a lease: its sticky worker while that is expected, else the best one.
    fn place_anew(&mut self, mut item: Item, session: Session) -> Result<bool, L::Error> {
        if item.sort.is_stop() {
            // Nobody holds the session any more: no worker has anything to end.
            return self.close_stopped(item).map(|()| false);
        }
        let rejections = self.rejections(&item)?;
        let sticky = session.sticky.filter(|id| !rejections.contains(id));
        if let Some(worker) = sticky.and_then(|id| self.worker(id))
            && !worker.connected
            && worker.strikes < STRIKES
            && worker.is_expected(self.now, self.settings)
        {
            let hold = Some(Hold::Worker(worker.id));
            return self.hold(item, hold);
        }
        let on_line: Vec<&Worker> = self.fleet.workers.iter().filter(|worker| worker.takes_new()).collect();
        let says_no = |worker: &&Worker| rejections.contains(&worker.id) || !worker.serves(&item.wants);
        item.ask = !on_line.is_empty() && !rejections.is_empty() && on_line.iter().all(says_no);
        let serving: Vec<&Worker> =
            on_line.iter().filter(|worker| item.ask || !says_no(worker)).copied().collect();
        // An offer that came back goes to the next one, if there is one, and not to the same again.
        let before = item.worker.filter(|before| sticky != Some(*before));
        let next = choose(serving.iter().copied().filter(|worker| Some(worker.id) != before), sticky);
        let chosen = next.or_else(|| choose(serving.iter().copied(), sticky));
        let serves = !serving.is_empty();
        match chosen {
            Some(worker) => {
                let token = self.give(&item.key, session, worker)?;
                self.offer(item, worker, token).map(|()| true)
            }
            // Somebody would take it and has no room, or nobody at all is on line: it waits in the queue.
            None if on_line.is_empty() => self.hold(item, None),
            None if serves => {
                let elsewhere = self.fleet.has_room().then_some(Hold::Room);
                if elsewhere.is_some()
                    && let Some(crowded) = &mut self.fleet.crowded
                    && !crowded.contains(&item.wants)
                {
                    crowded.push(item.wants.clone());
                }
                self.hold(item, elsewhere)
            }
            None => self.hold(item, Some(Hold::Served)),
        }
    }

    /// Who has rejected an event: nobody, while it was never offered.
    fn rejections(&self, item: &Item) -> Result<Vec<WorkerId>, L::Error> {
        if item.worker.is_none() { Ok(Vec::new()) } else { self.ledger.rejections(item.seq) }
    }

    /// Gives a lease under a new token, which voids every older one.
    pub(super) fn give(
        &mut self,
        key: &SessionKey,
        session: Session,
        worker: WorkerId,
    ) -> Result<FencingToken, L::Error> {
        if let Some(before) = session.lease.and_then(|lease| self.fleet.get_mut(lease.worker)) {
            before.leases = before.leases.saturating_sub(1);
        }
        let token = next_token(session.newest);
        let lease = Lease { worker, token, renewed_at: self.now };
        let session = Session { newest: token, lease: Some(lease), stop: false, unclaimed: false, ..session };
        self.ledger.put_session(key, &session)?;
        if let Some(holder) = self.fleet.get_mut(worker) {
            holder.leases = holder.leases.saturating_add(1);
        }
        self.wake_after(self.settings.lease_ms);
        Ok(token)
    }

    fn offer(&mut self, mut item: Item, worker: WorkerId, token: FencingToken) -> Result<(), L::Error> {
        if self.worker(worker).is_some_and(|worker| worker.protocol < item.wants.protocol) {
            // It could not read it, and what comes behind must not wait for that.
            item.reason = Some("its worker is too old to know this kind".to_owned());
            let key = item.key.clone();
            self.advance(&mut item, Happening::Finish)?;
            return self.settle(&key);
        }
        item.worker = Some(worker);
        item.token = token;
        item.hold = None;
        item.given_back = false;
        if self.advance(&mut item, Happening::Offer)? {
            self.deeds.push(Deed::Offer { worker, item: Box::new(item) });
        }
        Ok(())
    }

    /// Moves a session whose lease may move, if another worker can take it: a new token, and every event that is not
    /// done is offered again, oldest first. `false`: nobody else is there, and it waits for the old one.
    pub(super) fn move_session(&mut self, key: &SessionKey) -> Result<bool, L::Error> {
        let Some(session) = self.ledger.session(key)? else { return Ok(false) };
        let Some(lease) = session.lease else { return Ok(false) };
        let open = self.ledger.open_of(key)?;
        // An event at its last attempt becomes a dead letter by the move; the next one decides who can take it.
        let last = |item: &Item| {
            item.state == EventState::Accepted
                && item.attempts.saturating_add(1) >= self.settings.max_attempts
        };
        let next = open.iter().find(|item| !last(item));
        let Some(wanted) = next.or(open.first()) else { return Ok(false) };
        let rejections = self.rejections(wanted)?;
        let others = self.fleet.workers.iter().filter(|worker| {
            worker.takes_new()
                && worker.id != lease.worker
                && (wanted.ask || (!rejections.contains(&worker.id) && worker.serves(&wanted.wants)))
        });
        let to = choose(others, None);
        // A revoked holder never comes back: with nobody else who serves it, one asks.
        let gone = self.worker(lease.worker).is_none_or(|holder| holder.revoked);
        let (to, ask) = match to {
            Some(to) => (to, false),
            None if gone => {
                let all = self
                    .fleet
                    .workers
                    .iter()
                    .filter(|worker| worker.takes_new() && worker.id != lease.worker);
                let says_no =
                    |worker: &Worker| rejections.contains(&worker.id) || !worker.serves(&wanted.wants);
                if rejections.is_empty() || !all.clone().all(says_no) {
                    return Ok(false);
                }
                let Some(to) = choose(all, None) else { return Ok(false) };
                (to, true)
            }
            None => return Ok(false),
        };
        for mut item in open {
            if item.state == EventState::Pending {
                item.takeover = true;
                item.hold = Some(Hold::Order);
                self.ledger.put_item(&item)?;
                continue;
            }
            item.takeover = true;
            self.advance(&mut item, Happening::LeaseMoved)?;
            if item.state == EventState::Pending {
                item.hold = Some(Hold::Order);
                self.ledger.put_item(&item)?;
            }
        }
        self.deeds.push(Deed::Revoke { worker: lease.worker, key: key.clone(), token: lease.token });
        let first = self.ledger.front(key)?.pending;
        let Some(mut next) = first.map(|first| self.ledger.item(first)).transpose()?.flatten() else {
            // All of them were at their last attempt.
            self.release(key, session)?;
            return Ok(true);
        };
        next.ask |= ask;
        let token = self.give(key, session, to)?;
        self.offer(next, to, token)?;
        Ok(true)
    }
}
