//! The lines of one session as this page knows them: in order, each once, with the holes that the server admits.
//!
//! Pure. It never drops a line that it was given; what is drawn is a window over it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shared::log_line::{LogLevel, LogLine};

/// How many rows are drawn at first, and how many more each "show earlier" adds.
pub const WINDOW: usize = 2_000;

/// One row of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// A line.
    Line(Arc<LogLine>),
    /// Lines that the server says it does not have, both ends included.
    Gap {
        /// The first missing number.
        from: u64,
        /// The last missing number.
        to: u64,
    },
}

impl Row {
    /// The number that orders the row, and names it: a gap and a line never share one.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Line(line) => line.seq,
            Self::Gap { from, .. } => *from,
        }
    }

    /// A key that changes when the row does: a gap that is filled becomes another row.
    pub fn key(&self) -> (u64, u64) {
        match self {
            Self::Line(line) => (line.seq, 0),
            Self::Gap { from, to } => (*from, *to),
        }
    }
}

/// All that is known of a session's log.
#[derive(Debug, Default)]
pub struct LogBook {
    lines: BTreeMap<u64, Arc<LogLine>>,
    gaps: BTreeSet<(u64, u64)>,
    errors: usize,
}

impl LogBook {
    /// Takes a line in; `false`: it was here already.
    pub fn add(&mut self, line: LogLine) -> bool {
        if self.lines.contains_key(&line.seq) {
            return false;
        }
        if line.level == LogLevel::Error {
            self.errors += 1;
        }
        self.lines.insert(line.seq, Arc::new(line));
        true
    }

    /// Takes in that the server lacks `from` to `to`. Ends in the wrong order are ignored.
    pub fn add_gap(&mut self, from: u64, to: u64) {
        if from <= to {
            self.gaps.insert((from, to));
        }
    }

    /// How many lines are here.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line yet.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many of them are errors.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// The highest number that is covered by a line or an admitted gap; 0: none.
    pub fn last_seq(&self) -> u64 {
        let line = self.lines.keys().next_back().copied().unwrap_or(0);
        let gap = self.gaps.iter().map(|(_, to)| *to).max().unwrap_or(0);
        line.max(gap)
    }

    /// The rows from the `skip`th line on, in order; a gap stands where its first still missing number is.
    pub fn rows(&self, skip: usize) -> Vec<Row> {
        let mut rows: Vec<Row> = self.lines.values().skip(skip).cloned().map(Row::Line).collect();
        let start = rows.first().map_or(0, Row::seq);
        let open = self.gaps.iter().filter_map(|(from, to)| self.still_missing(*from, *to));
        rows.extend(open.filter(|row| skip == 0 || row.seq() >= start));
        rows.sort_by_key(Row::seq);
        rows
    }

    /// How many lines come before the line `seq`.
    pub fn position(&self, seq: u64) -> Option<usize> {
        self.lines.contains_key(&seq).then(|| self.lines.range(..seq).count())
    }

    /// What is left of a gap once lines that came later fill its ends; `None`: nothing.
    fn still_missing(&self, from: u64, to: u64) -> Option<Row> {
        let mut first = from;
        for seq in self.lines.range(from..=to).map(|(seq, _)| *seq) {
            if seq > first {
                return Some(Row::Gap { from: first, to: seq - 1 });
            }
            first = seq.checked_add(1)?;
        }
        (first <= to).then_some(Row::Gap { from: first, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::time::Timestamp;

    fn line(seq: u64, level: LogLevel) -> LogLine {
        LogLine {
            seq,
            level,
            message: format!("line {seq}"),
            metadata: serde_json::Value::Null,
            timestamp: Timestamp::from_millis(0),
            run_id: None,
        }
    }

    fn seqs(book: &LogBook, skip: usize) -> Vec<u64> {
        book.rows(skip).iter().map(Row::seq).collect()
    }

    #[test]
    fn lines_sent_twice_and_out_of_order_are_seen_once_and_in_order() {
        let mut book = LogBook::default();
        for seq in [3, 1, 2, 3, 1, 5, 4] {
            book.add(line(seq, LogLevel::Info));
        }
        assert_eq!(seqs(&book, 0), [1, 2, 3, 4, 5]);
        assert!(!book.add(line(5, LogLevel::Error)), "a double is not taken in");
        assert_eq!(book.errors(), 0, "nor counted");
    }

    #[test]
    fn a_gap_is_shown_until_its_lines_come() {
        let mut book = LogBook::default();
        book.add(line(1, LogLevel::Info));
        book.add(line(5, LogLevel::Info));
        book.add_gap(2, 4);
        assert_eq!(book.rows(0).get(1), Some(&Row::Gap { from: 2, to: 4 }));
        book.add(line(2, LogLevel::Info));
        assert_eq!(book.rows(0).get(2), Some(&Row::Gap { from: 3, to: 4 }));
        book.add(line(3, LogLevel::Info));
        book.add(line(4, LogLevel::Info));
        assert_eq!(seqs(&book, 0), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn nasty_gaps_do_no_harm() {
        let mut book = LogBook::default();
        book.add_gap(9, 2);
        assert!(book.rows(0).is_empty());
        book.add_gap(0, u64::MAX);
        book.add(line(u64::MAX, LogLevel::Info));
        assert_eq!(book.last_seq(), u64::MAX);
        assert_eq!(book.rows(0).len(), 2);
    }

    #[test]
    fn a_window_shows_the_end_and_the_gaps_inside_it() {
        let mut book = LogBook::default();
        for seq in [1, 2, 5, 6, 9] {
            book.add(line(seq, LogLevel::Info));
        }
        book.add_gap(3, 4);
        book.add_gap(7, 8);
        assert_eq!(seqs(&book, 3), [6, 7, 9]);
        assert_eq!(book.position(6), Some(3));
        assert_eq!(book.position(7), None);
    }

    #[test]
    fn what_is_covered_counts_gaps_too() {
        let mut book = LogBook::default();
        assert_eq!(book.last_seq(), 0);
        book.add(line(2, LogLevel::Error));
        book.add_gap(3, 7);
        assert_eq!((book.last_seq(), book.len(), book.errors()), (7, 1, 1));
    }
}
