//! Which worker gets a session: the sticky one, else the one with the most free room for its weight.
//!
//! Who could take it at all is decided in [`super::offer`]; here is only the choice among those.

use crate::id::WorkerId;

use super::fleet::{STRIKES, Worker};

/// Chooses among workers that could take a session. `None`: nobody has room, it stays queued.
///
/// A worker that lately did not take what it was offered comes behind the others, sticky or not.
pub fn choose<'a>(
    candidates: impl Iterator<Item = &'a Worker> + Clone,
    sticky: Option<WorkerId>,
) -> Option<WorkerId> {
    let free = || candidates.clone().filter(|worker| worker.has_room());
    let same = free().find(|worker| Some(worker.id) == sticky && worker.strikes < STRIKES);
    if let Some(same) = same {
        return Some(same.id);
    }
    free()
        .min_by(|a, b| {
            let strikes = (a.strikes >= STRIKES).cmp(&(b.strikes >= STRIKES));
            // a.used / a.weight < b.used / b.weight, without division; ties go to the older worker id.
            strikes.then(load(a, b).cmp(&load(b, a))).then(a.id.cmp(&b.id))
        })
        .map(|worker| worker.id)
}

fn load(of: &Worker, against: &Worker) -> u64 {
    u64::from(of.used()) * u64::from(against.weight.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::new_uuid;
    use crate::time::Timestamp;

    fn worker(n: u8, leases: u32, weight: u32) -> Worker {
        Worker {
            id: WorkerId::from_uuid(new_uuid(Timestamp::from_millis(1), [n; 10])),
            slots: 250,
            leases,
            reported: 0,
            weight,
            connected: true,
            draining: false,
            revoked: false,
            protocol: crate::stream::PROTOCOL,
            strikes: 0,
            last_seen_at: Timestamp::from_millis(0),
            beat_at: Timestamp::from_millis(0),
            repositories: vec![],
            teams: vec![],
        }
    }

    #[test]
    fn four_hundred_sessions_go_out_in_proportion_to_the_weights() {
        let mut workers = [worker(1, 0, 1), worker(2, 0, 1), worker(3, 0, 2)];
        for _ in 0..400 {
            let chosen = choose(workers.iter(), None).unwrap();
            workers.iter_mut().find(|w| w.id == chosen).unwrap().leases += 1;
        }
        assert_eq!(workers.map(|w| w.leases), [100, 100, 200]);
    }

    #[test]
    fn the_sticky_worker_comes_first_while_it_has_room() {
        let (busy, idle) = (worker(1, 9, 1), worker(2, 0, 1));
        let two = [busy.clone(), idle.clone()];
        assert_eq!(choose(two.iter(), Some(busy.id)), Some(busy.id));
        let full = Worker { leases: 250, ..busy.clone() };
        assert_eq!(choose([full.clone(), idle.clone()].iter(), Some(busy.id)), Some(idle.id));
        assert_eq!(choose([full].iter(), None), None);
        assert_eq!(choose([].iter(), None), None);
    }

    #[test]
    fn a_worker_that_never_takes_what_it_is_offered_comes_last() {
        let (dud, busy) = (Worker { strikes: STRIKES, ..worker(1, 0, 1) }, worker(2, 200, 1));
        assert_eq!(choose([dud.clone(), busy.clone()].iter(), Some(dud.id)), Some(busy.id));
        assert_eq!(choose([dud.clone()].iter(), None), Some(dud.id));
    }
}
