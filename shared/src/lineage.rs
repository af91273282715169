//! Whether work that no person asked for may begin: agents that give work to agents end somewhere.
//!
//! What a person asks for is always begun. Of the rest, an issue too deep below others, one that is its own ancestor,
//! and one too many within an hour are refused. Pure: who asks brings the chain of issues and the count.

use std::fmt;

use crate::id::IssueId;

/// The most issues that may stand above one whose session no person began.
pub const DEEPEST: usize = 3;
/// The most sessions within an hour that no person began.
pub const MOST_AN_HOUR: u32 = 20;
/// Issues to read for a decision: the issue itself, those above it that are allowed, and one more.
pub const LONGEST_CHAIN: usize = DEEPEST + 2;

/// Where a session comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// A person began it.
    pub by_person: bool,
    /// The issue, its parent, and so on upwards, up to [`LONGEST_CHAIN`].
    pub chain: Vec<IssueId>,
    /// Sessions that no person began and that came within the last hour, this one not counted.
    pub within_an_hour: u32,
}

/// Why nothing is begun. Its text is for people, with what they can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The issue is its own ancestor.
    Cycle,
    /// Too many issues stand above it.
    TooDeep,
    /// Too many came within an hour.
    TooMany,
}

impl fmt::Display for Refusal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cycle => to.write_str("this issue is its own ancestor; take it out of the circle"),
            Self::TooDeep => write!(
                to,
                "no person asked for this, and more than {DEEPEST} issues stand above it, so agents may be giving work to agents without an end; write here to have it done all the same"
            ),
            Self::TooMany => write!(
                to,
                "no person asked for this, and {MOST_AN_HOUR} such sessions came within an hour; write here to have it done all the same"
            ),
        }
    }
}

/// Decides.
pub fn admit(lineage: &Lineage) -> Result<(), Refusal> {
    if lineage.by_person {
        return Ok(());
    }
    let seen_twice =
        |(place, issue): (usize, &IssueId)| lineage.chain.iter().skip(place + 1).any(|other| other == issue);
    if lineage.chain.iter().enumerate().any(seen_twice) {
        return Err(Refusal::Cycle);
    }
    if lineage.chain.len() > DEEPEST + 1 {
        return Err(Refusal::TooDeep);
    }
    // An automation may give as many issues as it likes; only what hangs below others can breed.
    if lineage.chain.len() > 1 && lineage.within_an_hour >= MOST_AN_HOUR {
        return Err(Refusal::TooMany);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lineage(chain: &[&str], within_an_hour: u32) -> Lineage {
        let chain = chain.iter().map(|id| IssueId::from(*id)).collect();
        Lineage { by_person: false, chain, within_an_hour }
    }

    #[test]
    fn a_few_levels_are_admitted_and_more_are_not() {
        assert_eq!(admit(&lineage(&[], 0)), Ok(()));
        assert_eq!(admit(&lineage(&["a"], 19)), Ok(()));
        assert_eq!(admit(&lineage(&["a", "b", "c", "d"], 0)), Ok(()));
        assert_eq!(admit(&lineage(&["a", "b", "c", "d", "e"], 0)), Err(Refusal::TooDeep));
        assert_eq!(admit(&lineage(&["a", "b"], 20)), Err(Refusal::TooMany));
        assert_eq!(admit(&lineage(&["a"], 900)), Ok(()));
        assert_eq!(admit(&lineage(&["a", "b", "a"], 0)), Err(Refusal::Cycle));
        assert_eq!(admit(&lineage(&["a", "a"], 0)), Err(Refusal::Cycle));
    }

    #[test]
    fn a_person_is_never_refused() {
        let deep = Lineage { by_person: true, ..lineage(&["a", "b", "a", "d", "e"], 900) };
        assert_eq!(admit(&deep), Ok(()));
    }

    proptest! {
        #[test]
        fn agents_that_begin_agents_stop_whatever_the_issues_are(parents in proptest::collection::vec(0_usize..40, 40)) {
            // Each issue's session begins one on the issue whose parent it is; nobody begins for ever.
            let mut begun = 0_u32;
            for issue in 0..parents.len() {
                let mut chain = vec![IssueId(issue.to_string())];
                let mut at = issue;
                while chain.len() < LONGEST_CHAIN && parents[at] != at {
                    at = parents[at];
                    chain.push(IssueId(at.to_string()));
                }
                let breeds = chain.len() > 1;
                if breeds && admit(&Lineage { by_person: false, chain, within_an_hour: begun }).is_ok() {
                    begun += 1;
                }
            }
            prop_assert!(begun <= MOST_AN_HOUR);
        }
    }
}
