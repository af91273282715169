//! Who runs next when there are fewer slots than sessions: one repository after the other, and within each the one
//! that has waited longest. Pure; the waiting itself is the worker's.
//!
//! A repository that may have no more sessions is passed over and keeps its place. A smaller number of slots takes
//! nothing from those who run: it holds for the next ones.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// One who waits or runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// The queue.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    size: u32,
    caps: BTreeMap<String, u32>,
    /// Those who run, and for which repository.
    running: HashMap<Ticket, String>,
    /// Repositories somebody waits for, the next one first.
    waiting: VecDeque<(String, VecDeque<Ticket>)>,
    last: u64,
}

impl Queue {
    /// A queue before this many slots.
    pub fn new(size: u32) -> Self {
        Self { size, ..Self::default() }
    }

    /// From now on this many may run at once.
    pub fn resize(&mut self, size: u32) {
        self.size = size;
    }

    /// From now on no more than so many may run at once for these repositories; others have no limit of their own.
    pub fn cap(&mut self, caps: BTreeMap<String, u32>) {
        self.caps = caps;
    }

    /// One more waits for a slot for this repository.
    pub fn enter(&mut self, repository: &str) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        match self.waiting.iter_mut().find(|(name, _)| name == repository) {
            Some((_, line)) => line.push_back(ticket),
            None => self.waiting.push_back((repository.to_owned(), VecDeque::from([ticket]))),
        }
        ticket
    }

    /// One waits no longer, or runs no longer.
    pub fn leave(&mut self, ticket: Ticket) {
        if self.running.remove(&ticket).is_none() {
            for (_, line) in &mut self.waiting {
                line.retain(|waiting| *waiting != ticket);
            }
            self.waiting.retain(|(_, line)| !line.is_empty());
        }
    }

    /// The next one that may run, if any may; from now on it does.
    pub fn admit(&mut self) -> Option<Ticket> {
        if self.used() >= self.size {
            return None;
        }
        let place = self.waiting.iter().position(|(name, _)| self.has_room(name))?;
        let (name, mut line) = self.waiting.remove(place)?;
        let ticket = line.pop_front()?;
        self.running.insert(ticket, name.clone());
        if !line.is_empty() {
            // It had its turn; the others come before its next one.
            self.waiting.push_back((name, line));
        }
        Some(ticket)
    }

    fn has_room(&self, repository: &str) -> bool {
        let Some(cap) = self.caps.get(repository) else { return true };
        let running = self.running.values().filter(|name| *name == repository).count();
        u32::try_from(running).is_ok_and(|running| running < *cap)
    }

    /// How many may run at once.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// How many run.
    pub fn used(&self) -> u32 {
        u32::try_from(self.running.len()).unwrap_or(u32::MAX)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.iter().map(|(_, line)| line.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn admitted(queue: &mut Queue) -> Vec<Ticket> {
        std::iter::from_fn(|| queue.admit()).collect()
    }

    #[test]
    fn repositories_take_turns_and_within_each_the_first_comes_first() {
        let mut queue = Queue::new(0);
        let a: Vec<Ticket> = (0..3).map(|_| queue.enter("a")).collect();
        let b = queue.enter("b");
        let c: Vec<Ticket> = (0..2).map(|_| queue.enter("c")).collect();
        queue.resize(6);
        assert_eq!(admitted(&mut queue), [a[0], b, c[0], a[1], c[1], a[2]]);
    }

    #[test]
    fn a_repository_at_its_limit_is_passed_over_and_keeps_its_place() {
        let mut queue = Queue::new(3);
        queue.cap(BTreeMap::from([("a".to_owned(), 1)]));
        let (first, second, other) = (queue.enter("a"), queue.enter("a"), queue.enter("b"));
        assert_eq!(admitted(&mut queue), [first, other]);
        let late = queue.enter("b");
        queue.leave(first);
        queue.resize(2);
        assert_eq!(admitted(&mut queue), [second], "it waited longer than {late:?}");
    }

    #[test]
    fn fewer_slots_stop_nobody_and_hold_for_the_next() {
        let mut queue = Queue::new(3);
        let all: Vec<Ticket> = (0..4).map(|_| queue.enter("a")).collect();
        assert_eq!(admitted(&mut queue), all[..3]);
        queue.resize(1);
        assert_eq!(queue.used(), 3);
        queue.leave(all[0]);
        queue.leave(all[1]);
        assert_eq!(queue.admit(), None);
        queue.leave(all[2]);
        assert_eq!(queue.admit(), Some(all[3]));
    }

    #[test]
    fn who_leaves_before_its_turn_is_not_called() {
        let mut queue = Queue::new(1);
        let (gone, next) = (queue.enter("a"), queue.enter("a"));
        queue.leave(gone);
        queue.leave(gone);
        assert_eq!(admitted(&mut queue), [next]);
        assert_eq!(queue.waiting(), 0);
    }

    proptest! {
        /// Whatever comes and goes: never more than the slots and the limits allow, nobody is forgotten, and no slot
        /// stays free while somebody may have it.
        #[test]
        fn slots_and_limits_hold_and_nobody_is_forgotten(
            deeds in proptest::collection::vec((0_u8..4, 0_usize..3, 0_u32..5), 1..200)
        ) {
            let names = ["a", "b", "c"];
            let mut queue = Queue::new(2);
            let cap = 2;
            queue.cap(BTreeMap::from([("a".to_owned(), cap)]));
            let (mut entered, mut waiting, mut running) = (0_usize, Vec::new(), Vec::new());
            let mut left = 0;
            for (deed, which, size) in deeds {
                let before = queue.used();
                match deed {
                    0 | 1 => {
                        entered += 1;
                        waiting.push((queue.enter(names[which]), names[which]));
                    }
                    2 if !running.is_empty() => {
                        let (ticket, _) = running.remove(which % running.len());
                        queue.leave(ticket);
                        left += 1;
                    }
                    3 => queue.resize(size),
                    _ => {}
                }
                for ticket in admitted(&mut queue) {
                    let place = waiting.iter().position(|(known, _)| *known == ticket).unwrap();
                    let name = waiting[place].1;
                    prop_assert!(waiting[..place].iter().all(|(_, other)| *other != name), "first come, first served");
                    running.push(waiting.remove(place));
                }
                prop_assert!(queue.used() <= queue.size().max(before));
                let of_a = running.iter().filter(|(_, name)| *name == "a").count();
                prop_assert!(of_a <= cap as usize);
                prop_assert_eq!(entered, waiting.len() + running.len() + left);
                let free = queue.used() < queue.size();
                let can = waiting.iter().any(|(_, name)| *name != "a") || (of_a < cap as usize && !waiting.is_empty());
                prop_assert!(!(free && can), "a slot is free and somebody waits");
            }
        }
    }
}
