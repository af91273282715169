//! What happens in one round, all of it drawn from the seed before anything starts.
//!
//! The same seed and scale give the same plan: deliveries with their repeats (`delivery`), faults of edges and
//! of workerd (`fault`), the fates of posts. What the clock makes of it differs from go to go.

pub mod delivery;
pub mod fault;

use delivery::Delivery;
use fault::{EdgeFault, Outage};

/// Edges of a round.
pub const EDGES: usize = 4;
/// A lease, in ms.
pub const LEASE_MS: u64 = 3_000;
/// The grace after it, in ms.
pub const GRACE_MS: u64 = 4_000;

/// How much happens. All times in ms from the round's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Distinct deliveries.
    pub deliveries: usize,
    /// Sessions that they belong to.
    pub sessions: usize,
    /// Everything is sent and broken within this.
    pub window: u64,
    /// How often workerd is killed.
    pub kills: usize,
    /// From and to: no edge is harmed, and workerd is down in it for longer than lease and grace.
    pub quiet: Option<(u64, u64)>,
}

impl Scale {
    /// From 500 deliveries on it is the full form, in which every fault has to happen.
    pub fn of(deliveries: usize) -> Self {
        let sessions = (deliveries / 10).max(1);
        if deliveries >= 500 {
            Self { deliveries, sessions, window: 110_000, kills: 5, quiet: Some((40_000, 70_000)) }
        } else {
            Self { deliveries, sessions, window: 22_000, kills: 1, quiet: None }
        }
    }

    /// Whether a fault that never happened fails the round.
    pub fn is_full(&self) -> bool {
        self.quiet.is_some()
    }
}

/// One round.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What is sent.
    pub deliveries: Vec<Delivery>,
    /// What is done to edges, by time.
    pub faults: Vec<EdgeFault>,
    /// What is done to workerd, by time.
    pub outages: Vec<Outage>,
    /// One seed for each edge's posts.
    pub posts: Vec<u64>,
    /// One weight for each edge.
    pub weights: Vec<u32>,
}

impl Plan {
    /// Draws everything.
    pub fn of(seed: u64, scale: Scale) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        Self {
            deliveries: delivery::draw(&mut dice.fork(), scale),
            faults: fault::draw(&mut dice.fork(), scale),
            outages: fault::outages(&mut dice.fork(), scale),
            posts: (0..EDGES).map(|_| dice.u64(..)).collect(),
            weights: (0..EDGES).map(|_| dice.u32(1..=2)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::fault::Harm;
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_one_another() {
        let scale = Scale::of(1_000);
        assert_eq!(Plan::of(5, scale), Plan::of(5, scale));
        assert_ne!(Plan::of(5, scale), Plan::of(6, scale));
    }

    #[test]
    fn the_full_form_has_what_the_loss_table_asks_for() {
        for seed in 0..50 {
            let plan = Plan::of(seed, Scale::of(1_000));
            assert_eq!(plan.deliveries.len(), 1_000);
            let sessions: BTreeSet<_> =
                plan.deliveries.iter().map(|delivery| delivery.hooks.issue_id.clone()).collect();
            assert_eq!(sessions.len(), 100);
            let sends = plan.deliveries.iter().map(|delivery| delivery.sends.len()).sum::<usize>();
            assert_eq!(sends, 1_300);
            let meanings: BTreeSet<_> = plan.deliveries.iter().map(Delivery::meaning).collect();
            assert_eq!(meanings.len(), 1_000);
            assert_eq!(
                (
                    plan.outages.len(),
                    plan.outages.iter().filter(|outage| outage.hold > LEASE_MS + GRACE_MS).count()
                ),
                (5, 1)
            );
            let held = plan.outages.iter().find(|outage| outage.hold > 0).unwrap();
            let (from, to) = Scale::of(1_000).quiet.unwrap();
            assert!(held.at >= from + LEASE_MS + GRACE_MS, "what was harmed before has moved by then");
            assert!(held.at + held.hold + LEASE_MS + GRACE_MS < to, "what it moves shows in the quiet time");
            let early =
                plan.deliveries.iter().filter(|delivery| delivery.activity.is_none()).filter(|created| {
                    plan.deliveries
                        .iter()
                        .any(|other| other.hooks == created.hooks && other.sends[0].at < created.sends[0].at)
                });
            assert!(early.count() >= 5, "seed {seed}");
        }
    }

    #[test]
    fn every_harm_is_in_the_full_form_and_none_in_its_quiet_time() {
        for seed in 0..50 {
            let scale = Scale::of(1_000);
            let plan = Plan::of(seed, scale);
            let (from, to) = scale.quiet.unwrap();
            let mut counts: BTreeMap<String, u32> = BTreeMap::new();
            for fault in &plan.faults {
                assert!(fault.until() <= from || fault.at >= to, "seed {seed}: {fault:?}");
                assert!(fault.until() <= scale.window);
                *counts.entry(fault.harm.name().to_owned()).or_default() += 1;
            }
            assert_eq!(counts.len(), 6, "seed {seed}: {counts:?}");
            for window in plan.faults.windows(2) {
                assert!(window[0].at <= window[1].at);
            }
        }
    }

    #[test]
    fn a_pause_and_a_long_absence_outlive_lease_and_grace_in_every_form() {
        for (seed, deliveries) in (0..50).flat_map(|seed| [(seed, 150), (seed, 1_000)]) {
            let plan = Plan::of(seed, Scale::of(deliveries));
            let long = |wanted: fn(&Harm) -> Option<u64>| {
                plan.faults
                    .iter()
                    .filter_map(|fault| wanted(&fault.harm))
                    .any(|time| time > LEASE_MS + GRACE_MS)
            };
            assert!(
                long(|harm| if let Harm::Paused(time) = harm { Some(*time) } else { None }),
                "seed {seed}"
            );
            assert!(
                long(|harm| if let Harm::Killed(time) = harm { Some(*time) } else { None }),
                "seed {seed}"
            );
        }
    }
}
