//! How much something that is told in Linear matters: what goes first, and what may be left out when limits are near.

use serde::{Deserialize, Serialize};

/// The weight of one effect, the heaviest first in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Weight {
    /// The answer that ends a turn.
    Final,
    /// A question to the person.
    Question,
    /// The first sign of life; also what must be read before work can begin.
    First,
    /// Something that people should see even when limits are near.
    Milestone,
    /// A thought or a tool's step on the way.
    Step,
}

impl Weight {
    const ALL: [Self; 5] = [Self::Final, Self::Question, Self::First, Self::Milestone, Self::Step];

    /// As a row of the outbox names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Question => "question",
            Self::First => "first",
            Self::Milestone => "milestone",
            Self::Step => "step",
        }
    }

    /// The weight of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|weight| weight.name() == name)
    }

    /// The part of what there is to spend that this weight must leave to heavier ones.
    pub const fn floor(self) -> f64 {
        match self {
            Self::Final | Self::Question | Self::First => 0.0,
            Self::Milestone => 0.2,
            Self::Step => 0.5,
        }
    }

    /// Whether it always goes, as long as Linear takes anything.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::Final | Self::Question | Self::First)
    }
}
