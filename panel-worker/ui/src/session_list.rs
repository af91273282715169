//! A list of sessions that is polled at its head and paged at its tail. Pure.

use shared::api::Page;
use shared::session::SessionRecord;

/// What is known of the list, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionList {
    /// The sessions that are shown.
    pub items: Vec<SessionRecord>,
    /// Where the next page begins; `None`: all are shown.
    pub next: Option<String>,
}

impl SessionList {
    /// Takes in a fresh first page. Sessions that newer ones have pushed off it stay; those that left the list go.
    #[must_use]
    pub fn with_head(&self, head: &Page<SessionRecord>) -> Self {
        let cut = head.items.last().and_then(|last| self.items.iter().position(|item| item.id == last.id));
        let tail = match (cut, &head.next) {
            (Some(cut), Some(_)) => self.items.get(cut + 1..).unwrap_or_default(),
            _ => &[],
        };
        let mut list = Self { items: head.items.clone(), next: head.next.clone() };
        if !tail.is_empty() {
            list.extend(tail);
            list.next.clone_from(&self.next);
        }
        list
    }

    /// Takes in the page after the last one.
    #[must_use]
    pub fn with_more(&self, page: &Page<SessionRecord>) -> Self {
        let mut list = self.clone();
        list.extend(&page.items);
        list.next.clone_from(&page.next);
        list
    }

    fn extend(&mut self, more: &[SessionRecord]) {
        for item in more {
            if self.items.iter().all(|known| known.id != item.id) {
                self.items.push(item.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::id::{SessionId, new_uuid};
    use shared::time::Timestamp;

    fn session(number: u8) -> SessionRecord {
        let id = SessionId::from_uuid(new_uuid(Timestamp::from_millis(i64::from(number)), [number; 10]));
        serde_json::from_value(serde_json::json!({
            "id": id.to_string(), "sessionKey": "issue:1", "agentType": "builder", "executorType": "local",
            "status": "running", "listCostMicroUsd": 0, "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": "2026-01-01T00:00:00Z", "nextSeq": 1,
        }))
        .unwrap()
    }

    fn page(numbers: &[u8], next: Option<&str>) -> Page<SessionRecord> {
        Page { items: numbers.iter().map(|n| session(*n)).collect(), next: next.map(str::to_owned) }
    }

    fn is(list: &SessionList, numbers: &[u8], next: Option<&str>) {
        let expected: Vec<_> = numbers.iter().map(|n| session(*n).id).collect();
        assert_eq!(list.items.iter().map(|item| item.id).collect::<Vec<_>>(), expected);
        assert_eq!(list.next.as_deref(), next);
    }

    #[test]
    fn a_new_session_pushes_none_off_the_list() {
        let list = SessionList::default().with_head(&page(&[5, 4, 3], Some("3")));
        let list = list.with_more(&page(&[2, 1], None));
        is(&list.with_head(&page(&[6, 5, 4], Some("4"))), &[6, 5, 4, 3, 2, 1], None);
    }

    #[test]
    fn a_session_that_left_the_filter_goes() {
        let list = SessionList::default().with_head(&page(&[5, 4, 3], Some("3")));
        is(&list.with_head(&page(&[5, 3, 2], Some("2"))), &[5, 3, 2], Some("2"));
        is(&list.with_head(&page(&[5], None)), &[5], None);
        is(&list.with_head(&page(&[], None)), &[], None);
    }

    #[test]
    fn more_news_than_a_page_starts_the_list_anew() {
        let list = SessionList::default().with_head(&page(&[2, 1], Some("1")));
        is(&list.with_head(&page(&[9, 8], Some("8"))), &[9, 8], Some("8"));
    }

    #[test]
    fn a_page_that_overlaps_adds_nothing_twice() {
        let list = SessionList::default().with_head(&page(&[3, 2], Some("2")));
        is(&list.with_more(&page(&[2, 1], None)), &[3, 2, 1], None);
    }
}
