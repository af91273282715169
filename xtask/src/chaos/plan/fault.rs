//! Faults: when which edge is harmed how, and when workerd dies.

use super::{EDGES, GRACE_MS, LEASE_MS, Scale};

/// So long before it harms, the edge takes events and handles none: a fault is to find some. In ms.
pub const HELD_MS: u64 = 1_500;
/// Longer than lease and grace, with what the hub needs to notice. In ms.
const LONG: std::ops::Range<u64> = LEASE_MS + GRACE_MS + 1_500..LEASE_MS + GRACE_MS + 4_500;

/// Something done to one edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeFault {
    /// Which, from 0.
    pub edge: usize,
    /// In ms from the start.
    pub at: u64,
    /// What.
    pub harm: Harm,
}

/// What is done; times in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// SIGKILL; started again after this.
    Killed(u64),
    /// SIGSTOP, and SIGCONT after this.
    Paused(u64),
    /// Its connections are reset, so often, half a second apart.
    Cut(u32),
    /// Its streams are not read for this long.
    Stalled(u64),
    /// Its connections are half open for this long.
    HalfOpen(u64),
}

impl Harm {
    /// As it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Killed(time) if time > LEASE_MS + GRACE_MS => "killed_long",
            Self::Killed(_) => "killed",
            Self::Paused(_) => "paused",
            Self::Cut(_) => "cut",
            Self::Stalled(_) => "stall",
            Self::HalfOpen(_) => "half_open",
        }
    }

    fn time(self) -> u64 {
        match self {
            Self::Killed(time) | Self::Paused(time) | Self::Stalled(time) | Self::HalfOpen(time) => time,
            Self::Cut(times) => u64::from(times) * 500,
        }
    }
}

impl EdgeFault {
    /// When it is over.
    pub fn until(&self) -> u64 {
        self.at + HELD_MS + self.harm.time()
    }
}

/// workerd is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// In ms from the start.
    pub at: u64,
    /// Not started again before this has passed.
    pub hold: u64,
}

/// One of each, pauses twice; the long ones first, so that a short round has them.
fn deck(dice: &mut fastrand::Rng) -> Vec<Harm> {
    let mut long = [
        Harm::Paused(dice.u64(LONG)),
        Harm::Paused(dice.u64(LONG)),
        Harm::Killed(dice.u64(LONG)),
        Harm::HalfOpen(dice.u64(1_500..9_500)),
    ];
    let mut short = [
        Harm::Killed(dice.u64(200..1_500)),
        Harm::Cut(dice.u32(1..=4)),
        Harm::Stalled(dice.u64(2_000..6_000)),
    ];
    dice.shuffle(&mut long);
    dice.shuffle(&mut short);
    // Dealt from the end.
    short.into_iter().chain(long).collect()
}

/// Deals the harms to the edges; one edge has one at a time.
pub(super) fn draw(dice: &mut fastrand::Rng, scale: Scale) -> Vec<EdgeFault> {
    let mut faults = Vec::new();
    let mut free_at: Vec<Option<u64>> = (0..EDGES).map(|_| Some(dice.u64(1_000..4_000))).collect();
    let mut cards = deck(dice);
    while let Some((edge, free)) = free_at
        .iter()
        .enumerate()
        .filter_map(|(edge, free)| Some((edge, (*free)?)))
        .min_by_key(|(_, free)| *free)
    {
        let Some(harm) = cards.pop() else {
            cards = deck(dice);
            continue;
        };
        let mut fault = EdgeFault { edge, at: free + dice.u64(500..4_000), harm };
        if let Some((from, to)) = scale.quiet
            && fault.at < to
            && fault.until() > from
        {
            fault.at = to + dice.u64(..3_000);
        }
        if fault.until() > scale.window {
            free_at[edge] = None;
            cards.push(harm);
        } else {
            free_at[edge] = Some(fault.until());
            faults.push(fault);
        }
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// The deaths of workerd: one held in the middle of the quiet time, the others spread around it.
pub(super) fn outages(dice: &mut fastrand::Rng, scale: Scale) -> Vec<Outage> {
    let (held, rooms) = match scale.quiet {
        Some((from, to)) => {
            let held = Outage { at: from + 8_000, hold: LEASE_MS + GRACE_MS + 2_000 };
            (Some(held), vec![(2_000, from - 8_000), (to, scale.window)])
        }
        None => (None, vec![(2_000, scale.window)]),
    };
    let count = scale.kills - usize::from(held.is_some());
    let parts = count.div_ceil(rooms.len()) as u64;
    let spread = (0..count).map(|number| {
        let (from, to) = rooms[number % rooms.len()];
        let part = (to - from) / parts;
        Outage { at: from + (number / rooms.len()) as u64 * part + dice.u64(..part / 2), hold: 0 }
    });
    let mut outages: Vec<Outage> = spread.chain(held).collect();
    outages.sort_by_key(|outage| outage.at);
    outages
}
