//! Counts of passed and failed tests, read from what cargo's and Node's test runners print.

use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;

/// How many passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
}

impl Tally {
    /// The counts that a line of output tells, if it tells any.
    pub fn told_by(line: &str) -> Option<Self> {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("test result: ") {
            return Some(Self { passed: before(rest, "passed")?, failed: before(rest, "failed")? });
        }
        // Node: `# pass 3` (TAP) or `ℹ pass 3` (spec).
        let mut words = line.strip_prefix(['#', 'ℹ'])?.split_whitespace();
        let (word, number) = (words.next()?, words.next()?.parse().ok()?);
        match (word, words.next()) {
            ("pass", None) => Some(Self { passed: number, failed: 0 }),
            ("fail" | "cancelled", None) => Some(Self { passed: 0, failed: number }),
            _ => None,
        }
    }

    /// The tally of a program that ended. One that failed without telling of a failed test, or told nothing
    /// at all, counts as a failure.
    pub fn of_program(told: Option<Self>, success: bool) -> Self {
        let mut tally = told.unwrap_or_default();
        if tally.failed == 0 && (!success || told.is_none()) {
            tally.failed = 1;
        }
        tally
    }
}

/// The number before a word, as in `3 passed;`.
fn before(text: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> = text.split([' ', ';']).filter(|word| !word.is_empty()).collect();
    words.windows(2).find(|pair| pair.last() == Some(&word)).and_then(|pair| pair.first()?.parse().ok())
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |mut sum, tally| {
            sum += tally;
            sum
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64) -> Option<Tally> {
        Some(Tally { passed, failed })
    }

    #[test]
    fn result_lines_of_cargo_and_node_are_read_and_others_are_not() {
        let cargo = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.02s";
        assert_eq!(Tally::told_by(cargo), tally(12, 3));
        assert_eq!(Tally::told_by("test result: ok. 0 passed; 0 failed; 0 ignored"), tally(0, 0));
        assert_eq!(Tally::told_by("ℹ pass 4"), tally(4, 0));
        assert_eq!(Tally::told_by("# fail 2"), tally(0, 2));
        assert_eq!(Tally::told_by("# cancelled 1"), tally(0, 1));
        for other in
            ["", "test a ... ok", "ℹ tests 4", "# pass the salt", "# pass 4 times", "4 passed, 0 failed"]
        {
            assert_eq!(Tally::told_by(other), None, "{other}");
        }
    }

    #[test]
    fn a_program_that_breaks_or_tells_nothing_never_counts_as_passed() {
        assert_eq!(Tally::of_program(tally(3, 0), true), Tally { passed: 3, failed: 0 });
        assert_eq!(Tally::of_program(tally(3, 0), false), Tally { passed: 3, failed: 1 });
        assert_eq!(Tally::of_program(tally(3, 2), false), Tally { passed: 3, failed: 2 });
        assert_eq!(Tally::of_program(None, true), Tally { passed: 0, failed: 1 });
    }
}
