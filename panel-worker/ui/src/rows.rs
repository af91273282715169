//! What lists show of their records, as plain data: pages turn records into rows, one table draws them all.
//!
//! One kind of record a file below. Pure, and the same types for every list: each further type that a signal
//! holds costs the client kilobytes.

pub mod delivery;
pub mod session;
pub mod worker;

use shared::time::Timestamp;

use crate::wording::Sign;

/// A column: the class of its cells, for the style sheet, and its heading.
pub type Column = (&'static str, &'static str);

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// By what it is known from one fetch to the next.
    pub id: String,
    /// As many as the table has columns.
    pub cells: Vec<Cell>,
    /// A sentence below the row that everybody should see.
    pub note: Option<String>,
    /// What is shown when the row is opened.
    pub detail: Option<Detail>,
}

/// What stands in a cell. A row's link or opener stays the same kind of cell as long as the row lives.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A state: sign, word and colour.
    State(Sign),
    /// The link of the whole row: address, key, title.
    Link(String, String, String),
    /// The button that opens the row: its title.
    Opens(String),
    /// How long something has taken.
    Elapsed(Times),
    /// How long ago something was.
    Ago(Timestamp),
    /// So many of so many.
    Meter(i64, i64),
}

impl Cell {
    /// The words, or a dash where there are none.
    pub fn text(words: Option<String>) -> Self {
        Self::Text(words.unwrap_or_else(|| "–".to_owned()))
    }
}

/// The facts that a length of time hangs on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times {
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended last.
    pub ended: Option<Timestamp>,
    /// What was measured, in ms.
    pub took: Option<i64>,
    /// It will not move any more.
    pub over: bool,
}

impl Times {
    /// Whether it counts up.
    pub fn ticks(self) -> bool {
        !self.over && self.started.is_some()
    }

    /// The length at `now`; a dash where nothing began.
    pub fn text(self, now: Timestamp) -> String {
        let ended = |started: Timestamp| self.took.or(self.ended.map(|ended| ended.since(started)));
        match self.started {
            Some(started) if !self.over => crate::format::clock(now.since(started)),
            Some(started) => ended(started).map_or_else(|| "–".to_owned(), crate::format::duration),
            None => self.took.map_or_else(|| "–".to_owned(), crate::format::duration),
        }
    }
}

/// What an opened row shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// Its way so far, oldest first.
    pub steps: Vec<Step>,
    /// What it waits for now, while it is not over.
    pub now: Option<String>,
    /// It is not tried again before this.
    pub not_before: Option<Timestamp>,
    /// What else is known.
    pub facts: Vec<(&'static str, String)>,
    /// Where the others of its session are.
    pub href: String,
    /// What a person can do: the word of the API and that of the button.
    pub acts: Vec<(&'static str, &'static str)>,
}

/// One step of a way.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What happened.
    pub word: &'static str,
    /// When.
    pub at: Timestamp,
    /// How long after the step before, in ms.
    pub after: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(i64) -> Timestamp = Timestamp::from_millis;

    #[test]
    fn a_running_session_counts_up_to_now_even_after_an_earlier_end() {
        let times = Times { started: Some(AT(0)), ended: Some(AT(1_000)), took: Some(1_000), over: false };
        assert!(times.ticks());
        assert_eq!(times.text(AT(61_000)), "1 m 01 s");
    }

    #[test]
    fn a_session_that_is_over_does_not_move() {
        let times = Times { started: Some(AT(0)), ended: Some(AT(4_200)), took: None, over: true };
        assert_eq!((times.ticks(), times.text(AT(99_999))), (false, "4.2 s".to_owned()));
    }

    #[test]
    fn what_never_began_has_no_length() {
        let times = Times { started: None, ended: None, took: None, over: false };
        assert_eq!((times.ticks(), times.text(AT(99_999))), (false, "–".to_owned()));
    }
}
