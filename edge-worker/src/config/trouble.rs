//! What is wrong with a configuration: where, what, and what mends it.
//!
//! A trouble never repeats a secret: values are shown only where their key holds none.

use serde::Serialize;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Whether the configuration can be used in spite of it.
    pub level: Level,
    /// Where it stands.
    pub source: Source,
    /// The key, `repositories[0].model`; empty: the whole.
    pub place: String,
    /// What is wrong, and what mends it.
    pub what: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// It is used all the same.
    Warning,
    /// It cannot be used; the last good one stays in force.
    Error,
}

/// Where a value comes from. The later ones win over the earlier ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// Nobody set it.
    #[default]
    Default,
    /// The file.
    File,
    /// What `cyrus key` and `cyrus login` sealed.
    Sealed,
    /// The panel.
    Panel,
    /// The environment.
    Environment,
}

impl Trouble {
    /// Something that cannot be used.
    pub fn error(source: Source, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { level: Level::Error, source, place: place.into(), what: what.into() }
    }

    /// Something that is used all the same.
    pub fn warning(source: Source, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { level: Level::Warning, source, place: place.into(), what: what.into() }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let source = match self.source {
            Source::Default | Source::File => "the file",
            Source::Sealed => "the sealed secrets",
            Source::Panel => "the panel's configuration",
            Source::Environment => "the environment",
        };
        match self.place.as_str() {
            "" => write!(f, "{source}: {}", self.what),
            place => write!(f, "{source}: {place}: {}", self.what),
        }
    }
}

/// The known word that is nearest to one that is not known, if any is near.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let limit = (word.chars().count() / 3).clamp(1, 4);
    known
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to add, drop, change or swap with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) =
        (one.chars().take(64).collect(), other.chars().take(64).collect());
    let mut before_that: Vec<usize> = Vec::new();
    let mut before: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut now = vec![row + 1];
        for (column, its) in other.iter().enumerate() {
            let at = |line: &[usize], place: usize| line.get(place).copied().unwrap_or(usize::MAX - 1);
            let change = at(&before, column) + usize::from(letter != its);
            let mut least = change.min(at(&before, column + 1) + 1).min(at(&now, column) + 1);
            let swapped = row > 0
                && column > 0
                && one.get(row - 1) == Some(its)
                && other.get(column - 1) == Some(letter);
            if swapped {
                least = least.min(at(&before_that, column - 1) + 1);
            }
            now.push(least);
        }
        before_that = std::mem::replace(&mut before, now);
    }
    before.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_word_finds_the_one_that_was_meant() {
        let known = ["repositories", "slots", "claudeDefaultModel", "stateDir"];
        let of = |word| nearest(word, known.into_iter());
        assert_eq!(of("slost"), Some("slots"));
        assert_eq!(of("repositorys"), Some("repositories"));
        assert_eq!(of("claudedefaultmodel"), Some("claudeDefaultModel"));
        assert_eq!(of("state_dir"), Some("stateDir"));
        assert_eq!(of("webhook"), None);
        assert_eq!(of(""), None);
        assert_eq!(of(&"ü".repeat(10_000)), None);
    }
}
