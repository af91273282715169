//! What a person means who was asked which repository it is, in a chosen option or in words of their own.

use super::{Rule, same, tag};

/// The repository that these words name: one, if only one is named in them. Upstream took the first one when nothing
/// fitted; here the person is asked again.
pub fn chosen(rules: &[Rule<'_>], words: &str) -> Option<usize> {
    let all: Vec<(usize, &Rule<'_>)> = rules.iter().enumerate().filter(|(_, rule)| !rule.off).collect();
    if let Some(place) = named(&all, words.trim()) {
        return Some(place);
    }
    if let Some(place) = tag::tags(words).iter().find_map(|tag| named(&all, &tag.name)) {
        return Some(place);
    }
    let said: Vec<&str> = words
        .split(|letter: char| letter.is_whitespace() || "\"'`<>()[],;".contains(letter))
        .map(|word| word.trim_end_matches(['.', '!', '?', ':']))
        .filter(|word| !word.is_empty())
        .collect();
    let mut meant: Vec<usize> = said.iter().filter_map(|word| named(&all, word)).collect();
    meant.sort_unstable();
    meant.dedup();
    match (meant.as_slice(), all.as_slice()) {
        ([one], _) => Some(*one),
        // There was only one to choose, so any yes means it.
        ([], [(only, _)]) => said
            .first()
            .filter(|word| ["yes", "ok", "okay", "sure"].iter().any(|yes| same(yes, word)))
            .map(|_| *only),
        _ => None,
    }
}

/// By name first, then by id, then by the remote, whole or from a slash on.
pub fn named(mine: &[(usize, &Rule<'_>)], name: &str) -> Option<usize> {
    let place =
        |fits: &dyn Fn(&Rule<'_>) -> bool| mine.iter().find(|(_, rule)| fits(rule)).map(|(place, _)| *place);
    if name.trim().is_empty() {
        return None;
    }
    let wanted = tag::normalise(name);
    let wanted = wanted.as_deref().unwrap_or_else(|| name.trim().trim_end_matches(".git")).to_lowercase();
    place(&|rule| same(rule.name, name)).or_else(|| place(&|rule| rule.id == Some(name.trim()))).or_else(
        || {
            place(&|rule| {
                rule.remote.is_some_and(|remote| {
                    let remote = remote.to_lowercase();
                    remote == wanted || (!wanted.is_empty() && remote.ends_with(&format!("/{wanted}")))
                })
            })
        },
    )
}
