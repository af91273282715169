//! Money: whole micro US dollars (µUSD), never a float in a sum.
//!
//! The outside world speaks in floating dollars (Claude Code's `total_cost_usd`); they are turned into µUSD
//! once, here, on the way in.

use core::fmt;
use core::iter::Sum;

use serde::{Deserialize, Serialize};

/// An amount in millionths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct MicroUsd(pub i64);

impl MicroUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Rounds an amount in dollars to the nearest µUSD. `None` for NaN, infinities, and what no ledger holds.
    pub fn from_usd(dollars: f64) -> Option<Self> {
        let micro = (dollars * 1e6).round();
        // Up to 2^53 a double is exact, so the cast below loses nothing.
        (micro.abs() <= 9_007_199_254_740_992.0).then_some(Self(micro as i64))
    }

    /// Adds; at the ends of the scale it stays there, since a wrapped ledger would hand out free money.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Subtracts, in the same way.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for MicroUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for MicroUsd {
    /// Dollars with four decimals below ten cents, else two: `$0.0504`, `$12.30`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micro = self.0.unsigned_abs();
        if micro < 100_000 {
            let rounded = (micro + 50) / 100;
            write!(f, "{sign}${}.{:04}", rounded / 10_000, rounded % 10_000)
        } else {
            let cents = (micro + 5_000) / 10_000;
            write!(f, "{sign}${}.{:02}", cents / 100, cents % 100)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_become_whole_micro_dollars() {
        assert_eq!(MicroUsd::from_usd(0.0504), Some(MicroUsd(50_400)));
        assert_eq!(MicroUsd::from_usd(0.1 + 0.2), Some(MicroUsd(300_000)));
        for nasty in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(MicroUsd::from_usd(nasty), None);
        }
    }

    #[test]
    fn amounts_print_as_people_read_them() {
        assert_eq!(MicroUsd(50_400).to_string(), "$0.0504");
        assert_eq!(MicroUsd(12_300_000).to_string(), "$12.30");
        assert_eq!(MicroUsd(-1_500_000).to_string(), "-$1.50");
        assert_eq!(MicroUsd(99_999).to_string(), "$0.1000");
    }

    #[test]
    fn a_sum_never_wraps() {
        let total: MicroUsd = [MicroUsd(i64::MAX), MicroUsd(5)].into_iter().sum();
        assert_eq!(total, MicroUsd(i64::MAX));
    }
}
