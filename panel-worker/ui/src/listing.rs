//! A list that is polled at its head and paged at its tail. Pure.

use serde_json::Value;

use crate::json;
use crate::rows::Row;

/// What is known of the list, newest first; one page of it alike.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// The rows that are shown.
    pub rows: Vec<Row>,
    /// Where the next page begins; `None`: all are shown.
    pub next: Option<String>,
}

impl Listing {
    /// A page of the API (`shared::api::Page`) as rows.
    pub fn of(page: &Value, row: fn(&Value) -> Row) -> Self {
        Self { rows: json::items(page, "items").iter().map(row).collect(), next: json::text(page, "next") }
    }

    /// Takes in a fresh first page. Rows that newer ones have pushed off it stay; those that left the list go.
    #[must_use]
    pub fn with_head(&self, head: &Self) -> Self {
        let cut = head.rows.last().and_then(|last| self.rows.iter().position(|row| row.id == last.id));
        let tail = match (cut, &head.next) {
            (Some(cut), Some(_)) => self.rows.get(cut + 1..).unwrap_or_default(),
            _ => &[],
        };
        let mut list = head.clone();
        if !tail.is_empty() {
            list.extend(tail);
            list.next.clone_from(&self.next);
        }
        list
    }

    /// Takes in the page after the last one.
    #[must_use]
    pub fn with_more(&self, page: &Self) -> Self {
        let mut list = self.clone();
        list.extend(&page.rows);
        list.next.clone_from(&page.next);
        list
    }

    fn extend(&mut self, more: &[Row]) {
        for row in more {
            if self.rows.iter().all(|known| known.id != row.id) {
                self.rows.push(row.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(numbers: &[u8], next: Option<&str>) -> Listing {
        let page = shared::api::Page { items: numbers.to_vec(), next: next.map(str::to_owned) };
        let row = |n: &Value| Row { id: n.to_string(), cells: Vec::new(), note: None, detail: None };
        Listing::of(&serde_json::to_value(page).unwrap(), row)
    }

    fn is(list: &Listing, numbers: &[u8], next: Option<&str>) {
        assert_eq!(list, &page(numbers, next));
    }

    #[test]
    fn a_new_row_pushes_none_off_the_list() {
        let list = Listing::default().with_head(&page(&[5, 4, 3], Some("3")));
        let list = list.with_more(&page(&[2, 1], None));
        is(&list.with_head(&page(&[6, 5, 4], Some("4"))), &[6, 5, 4, 3, 2, 1], None);
    }

    #[test]
    fn a_row_that_left_the_filter_goes() {
        let list = Listing::default().with_head(&page(&[5, 4, 3], Some("3")));
        is(&list.with_head(&page(&[5, 3, 2], Some("2"))), &[5, 3, 2], Some("2"));
        is(&list.with_head(&page(&[5], None)), &[5], None);
        is(&list.with_head(&page(&[], None)), &[], None);
    }

    #[test]
    fn more_news_than_a_page_starts_the_list_anew() {
        let list = Listing::default().with_head(&page(&[2, 1], Some("1")));
        is(&list.with_head(&page(&[9, 8], Some("8"))), &[9, 8], Some("8"));
    }

    #[test]
    fn a_page_that_overlaps_adds_nothing_twice() {
        let list = Listing::default().with_head(&page(&[3, 2], Some("2")));
        is(&list.with_more(&page(&[2, 1], None)), &[3, 2, 1], None);
    }
}
