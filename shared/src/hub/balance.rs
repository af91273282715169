//! Which worker gets a session: the sticky one, else the one with the most free room for its weight.

use crate::id::WorkerId;

/// A worker that could take a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub worker: WorkerId,
    /// How many sessions it runs at once.
    pub slots: u32,
    /// How many leases it holds.
    pub used: u32,
    /// Its share against others; 0 counts as 1.
    pub weight: u32,
}

/// Chooses among connected workers that have not rejected the event. `None`: it stays queued.
pub fn choose(candidates: &[Candidate], sticky: Option<WorkerId>) -> Option<WorkerId> {
    let free = || candidates.iter().filter(|candidate| candidate.used < candidate.slots);
    if let Some(same) = free().find(|candidate| Some(candidate.worker) == sticky) {
        return Some(same.worker);
    }
    free()
        .min_by(|a, b| {
            // a.used / a.weight < b.used / b.weight, without division; ties go to the older worker id.
            let (left, right) = (load(a, b), load(b, a));
            left.cmp(&right).then(a.worker.cmp(&b.worker))
        })
        .map(|candidate| candidate.worker)
}

fn load(of: &Candidate, against: &Candidate) -> u64 {
    u64::from(of.used) * u64::from(against.weight.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::new_uuid;
    use crate::time::Timestamp;

    fn candidate(n: u8, used: u32, weight: u32) -> Candidate {
        let worker = WorkerId::from_uuid(new_uuid(Timestamp::from_millis(1), [n; 10]));
        Candidate { worker, slots: 250, used, weight }
    }

    #[test]
    fn four_hundred_sessions_go_out_in_proportion_to_the_weights() {
        let mut workers = [candidate(1, 0, 1), candidate(2, 0, 1), candidate(3, 0, 2)];
        for _ in 0..400 {
            let chosen = choose(&workers, None).unwrap();
            workers.iter_mut().find(|w| w.worker == chosen).unwrap().used += 1;
        }
        assert_eq!(workers.map(|w| w.used), [100, 100, 200]);
    }

    #[test]
    fn the_sticky_worker_comes_first_while_it_has_room() {
        let (busy, idle) = (candidate(1, 9, 1), candidate(2, 0, 1));
        assert_eq!(choose(&[busy, idle], Some(busy.worker)), Some(busy.worker));
        let full = Candidate { used: 250, ..busy };
        assert_eq!(choose(&[full, idle], Some(busy.worker)), Some(idle.worker));
        assert_eq!(choose(&[full], None), None);
        assert_eq!(choose(&[], None), None);
    }
}
