//! A map that forgets its oldest entry when it is full, so that a long run stays within memory.

use std::collections::{HashMap, VecDeque};

/// Holds at most `cap` entries.
pub(super) struct Shelf<T> {
    entries: HashMap<String, T>,
    order: VecDeque<String>,
    cap: usize,
}

impl<T> Shelf<T> {
    pub(super) fn new(cap: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), cap }
    }

    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.entries.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.entries.get_mut(id)
    }

    /// Puts an entry and gives back the one that had to go.
    pub(super) fn put(&mut self, id: &str, entry: T) -> Option<T> {
        if self.entries.insert(id.to_owned(), entry).is_none() {
            self.order.push_back(id.to_owned());
        }
        if self.entries.len() > self.cap { self.pop_oldest() } else { None }
    }

    pub(super) fn pop_oldest(&mut self) -> Option<T> {
        self.order.pop_front().and_then(|oldest| self.entries.remove(&oldest))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Oldest first.
    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        self.order.iter()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_shelf_forgets_its_oldest_entry_and_a_replaced_one_keeps_its_place() {
        let mut shelf = Shelf::new(2);
        assert_eq!(shelf.put("a", 1), None);
        assert_eq!(shelf.put("b", 2), None);
        assert_eq!(shelf.put("a", 3), None);
        assert_eq!(shelf.put("c", 4), Some(3));
        assert_eq!((shelf.len(), shelf.get("a"), shelf.get("b")), (2, None, Some(&2)));
        assert_eq!(shelf.ids().collect::<Vec<_>>(), ["b", "c"]);
    }
}
