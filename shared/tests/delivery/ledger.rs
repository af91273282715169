//! A ledger in memory that notes each write that must never happen. It knows nothing of workers or time.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use shared::hub::delivery::EventState;
use shared::hub::fleet::Wants;
use shared::hub::ledger::{Front, Hold, Item, Ledger, Session, Words};
use shared::id::{Seq, SessionKey, WorkerId};
use shared::time::Timestamp;

/// Everything that the hub keeps.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub items: BTreeMap<Seq, Item>,
    pub sessions: BTreeMap<SessionKey, Session>,
    pub rejected: BTreeMap<Seq, BTreeSet<WorkerId>>,
    pub owed: Vec<(Seq, Words)>,
    /// Writes that broke a rule, in words.
    pub wrong: Vec<String>,
    /// Fewer failed attempts than these make no dead letter.
    pub max_attempts: u32,
}

impl Memory {
    fn of_key<'a>(&'a self, key: &'a SessionKey) -> impl Iterator<Item = &'a Item> {
        self.items.values().filter(move |item| item.key == *key)
    }

    fn watch(&mut self, new: &Item) {
        let Some(old) = self.items.get(&new.seq) else {
            self.wrong.push(format!("{} written without having been stored", new.seq));
            return;
        };
        let mut wrong = Vec::new();
        let waits = |item: &&Item| matches!(item.state, EventState::Pending | EventState::Offered);
        let others = || self.of_key(&new.key).filter(|other| other.seq != new.seq);
        if new.state == EventState::Offered && old.state != EventState::Offered {
            if let Some(other) = others().find(|other| other.state == EventState::Offered) {
                wrong.push(format!("{} offered while {} is on its way", new.seq, other.seq));
            }
            // A stop may overtake what is to be tried again later.
            let overtakes = |other: &Item| new.sort.is_stop() && other.state == EventState::Pending;
            let earlier = others().filter(waits).find(|other| other.seq < new.seq && !overtakes(other));
            if let Some(other) = earlier {
                wrong.push(format!("{} offered before {}", new.seq, other.seq));
            }
            if self.rejected.get(&new.seq).is_some_and(|by| new.worker.is_some_and(|it| by.contains(&it)))
                && !new.ask
            {
                wrong.push(format!("{} offered again to a worker that rejected it", new.seq));
            }
        }
        // A stop that the hub closes itself was never with a worker.
        let closed = old.state == EventState::Pending && new.sort.is_stop();
        if new.state == EventState::Done && old.state != EventState::Done && !closed {
            let earlier = others().find(|other| {
                other.seq < new.seq && matches!(other.state, EventState::Offered | EventState::Accepted)
            });
            let newest = self.sessions.get(&new.key).map(|session| session.newest);
            if newest != Some(new.token) {
                wrong.push(format!("{} done under {}, the newest is {newest:?}", new.seq, new.token));
            }
            if let Some(earlier) = earlier {
                wrong.push(format!("{} done before {}", new.seq, earlier.seq));
            }
        }
        if new.state == EventState::Dead && new.attempts < self.max_attempts {
            wrong.push(format!("{} dead after {} attempts", new.seq, new.attempts));
        }
        if old.state == EventState::Done && new.state != EventState::Done {
            wrong.push(format!("{} was done and is {}", new.seq, new.state.as_str()));
        }
        if new.token < old.token {
            wrong.push(format!("{} went back from token {} to {}", new.seq, old.token, new.token));
        }
        self.wrong.append(&mut wrong);
    }
}

type Kept<T> = Result<T, Infallible>;

impl Ledger for &mut Memory {
    type Error = Infallible;

    fn item(&self, seq: Seq) -> Kept<Option<Item>> {
        Ok(self.items.get(&seq).cloned())
    }

    fn put_item(&mut self, item: &Item) -> Kept<()> {
        self.watch(item);
        self.items.insert(item.seq, item.clone());
        Ok(())
    }

    fn front(&self, key: &SessionKey) -> Kept<Front> {
        let first = |state| self.of_key(key).find(|item| item.state == state);
        let stop = |item: &&Item| item.state == EventState::Pending && item.sort.is_stop();
        let accepted = first(EventState::Accepted);
        Ok(Front {
            pending: first(EventState::Pending).map(|item| item.seq),
            stop: self.of_key(key).find(stop).map(|item| item.seq),
            offered: first(EventState::Offered).map(|item| item.seq),
            accepted: accepted.map(|item| item.seq),
            finished: accepted.is_some_and(|item| item.finished),
        })
    }

    fn open_of(&self, key: &SessionKey) -> Kept<Vec<Item>> {
        Ok(self.of_key(key).filter(|item| item.state.is_open()).cloned().collect())
    }

    fn ready(&self, now: Timestamp, after: Seq, limit: u32) -> Kept<Vec<Item>> {
        let ready = |item: &&Item| {
            item.state == EventState::Pending
                && item.hold.is_none()
                && item.not_before <= now
                && item.seq > after
        };
        Ok(self.items.values().filter(ready).take(limit as usize).cloned().collect())
    }

    fn offered_to(&self, worker: WorkerId) -> Kept<Vec<Item>> {
        let offered = |item: &&Item| item.state == EventState::Offered && item.worker == Some(worker);
        Ok(self.items.values().filter(offered).cloned().collect())
    }

    fn overdue(&self, before: Timestamp) -> Kept<Vec<WorkerId>> {
        let overdue = |item: &&Item| {
            item.state == EventState::Offered && item.offered_at.is_some_and(|offered| offered < before)
        };
        let workers: BTreeSet<_> =
            self.items.values().filter(overdue).filter_map(|item| item.worker).collect();
        Ok(workers.into_iter().collect())
    }

    fn thoughts_due(&self, now: Timestamp) -> Kept<Vec<Item>> {
        let due = |item: &&Item| item.first_thought_due.is_some_and(|due| due <= now);
        Ok(self.items.values().filter(due).cloned().collect())
    }

    fn end_holds(&mut self, hold: Hold) -> Kept<()> {
        for item in self.items.values_mut() {
            if item.state == EventState::Pending && item.hold == Some(hold) {
                item.hold = None;
            }
        }
        Ok(())
    }

    fn crowded(&self) -> Kept<Vec<Wants>> {
        let held = self.items.values().filter(|item| item.hold == Some(Hold::Room));
        let mut wants: Vec<Wants> = Vec::new();
        for item in held {
            if !wants.contains(&item.wants) {
                wants.push(item.wants.clone());
            }
        }
        Ok(wants)
    }

    fn held_for_room(&self, wants: &Wants, limit: u32) -> Kept<Vec<Item>> {
        let held = self.items.values().filter(|item| item.hold == Some(Hold::Room) && item.wants == *wants);
        Ok(held.take(limit as usize).cloned().collect())
    }

    fn held_for(&self) -> Kept<Vec<WorkerId>> {
        let workers: BTreeSet<_> = self
            .items
            .values()
            .filter(|item| item.state == EventState::Pending)
            .filter_map(|item| match item.hold {
                Some(Hold::Worker(worker)) => Some(worker),
                _ => None,
            })
            .collect();
        Ok(workers.into_iter().collect())
    }

    fn session(&self, key: &SessionKey) -> Kept<Option<Session>> {
        Ok(self.sessions.get(key).copied())
    }

    fn put_session(&mut self, key: &SessionKey, session: &Session) -> Kept<()> {
        let before = self.sessions.get(key).map_or_else(Default::default, |before| before.newest);
        if session.newest < before {
            self.wrong.push(format!("{key} went back from token {before} to {}", session.newest));
        }
        if session.lease.is_some_and(|lease| lease.token != session.newest) {
            self.wrong.push(format!("{key} is leased under a token that is not its newest"));
        }
        self.sessions.insert(key.clone(), *session);
        Ok(())
    }

    fn leased(&self, worker: Option<WorkerId>) -> Kept<Vec<(SessionKey, Session)>> {
        let held = |session: &Session| {
            session.lease.is_some_and(|lease| worker.is_none_or(|worker| lease.worker == worker))
        };
        Ok(self
            .sessions
            .iter()
            .filter(|(_, session)| held(session))
            .map(|(key, session)| (key.clone(), *session))
            .collect())
    }

    fn start_anew(&mut self, now: Timestamp) -> Kept<()> {
        for lease in self.sessions.values_mut().filter_map(|session| session.lease.as_mut()) {
            lease.renewed_at = lease.renewed_at.max(now);
        }
        for item in self.items.values_mut().filter(|item| item.state == EventState::Offered) {
            item.offered_at = Some(now);
        }
        Ok(())
    }

    fn rejections(&self, seq: Seq) -> Kept<Vec<WorkerId>> {
        Ok(self.rejected.get(&seq).into_iter().flatten().copied().collect())
    }

    fn reject(&mut self, seq: Seq, worker: WorkerId) -> Kept<()> {
        self.rejected.entry(seq).or_default().insert(worker);
        Ok(())
    }

    fn owe(&mut self, seq: Seq, words: Words) -> Kept<()> {
        self.owed.push((seq, words));
        Ok(())
    }
}
