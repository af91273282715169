//! A hub without a network: the rules, a fleet, a ledger in memory and a clock that the test turns.
//!
//! After each call it checks what must hold at any time. It never repairs what the rules leave behind.

use std::convert::Infallible;

use shared::ack::{Ack, AckAnswer, AckState};
use shared::hub::delivery::EventState;
use shared::hub::fleet::{Fleet, Wants, Worker};
use shared::hub::ledger::{Hold, Item, Session, Sort, Words};
use shared::hub::rules::{Deed, Rules};
use shared::hub::stream::Greeting;
use shared::id::{AgentSessionId, FencingToken, Seq, SessionKey, WorkerId, new_uuid};
use shared::settings::Settings;
use shared::time::Timestamp;
use shared::worker::LeaseClaim;

use super::ledger::Memory;

pub struct Hub {
    pub memory: Memory,
    pub fleet: Fleet,
    pub settings: Settings,
    pub now: Timestamp,
    /// What the shell would have done, in order; a test takes it.
    pub deeds: Vec<Deed>,
    last: u64,
}

/// The worker with this number.
pub fn wrk(n: u8) -> WorkerId {
    WorkerId::from_uuid(new_uuid(Timestamp::from_millis(1), [n; 10]))
}

pub fn key(text: &str) -> SessionKey {
    SessionKey::from(text)
}

pub fn settings() -> Settings {
    Settings {
        offer_ms: 20,
        worker_heartbeat_ms: 30,
        lease_ms: 100,
        takeover_after_ms: 200,
        max_attempts: 3,
        backoff_ms: 4,
        backoff_max_ms: 40,
        first_thought_ms: 10,
        outage_ms: 50,
        ..Settings::default()
    }
}

impl Hub {
    /// A hub whose workers 1 to `workers` are registered, with two slots each, and not on line.
    pub fn new(workers: u8) -> Self {
        Self::with(settings(), workers)
    }

    pub fn with(settings: Settings, workers: u8) -> Self {
        let memory = Memory { max_attempts: settings.max_attempts, ..Memory::default() };
        let now = Timestamp::from_millis(1_000_000);
        let fleet = Fleet { workers: (1..=workers).map(|n| worker(n, now)).collect(), ..Fleet::default() };
        Self { memory, fleet, settings, now, deeds: Vec::new(), last: 0 }
    }

    /// A hub whose workers are all on line.
    pub fn up(workers: u8) -> Self {
        let mut hub = Self::new(workers);
        for n in 1..=workers {
            hub.open(n);
        }
        hub
    }

    pub fn call<T>(&mut self, act: impl FnOnce(&mut Rules<'_, &mut Memory>) -> Result<T, Infallible>) -> T {
        let mut rules = Rules::new(&mut self.memory, &mut self.fleet, &self.settings, self.now);
        let Ok(answer) = act(&mut rules);
        let deeds = rules.deeds;
        self.deeds.extend(deeds);
        self.check();
        answer
    }

    /// What must hold after every call.
    fn check(&self) {
        assert!(self.memory.wrong.is_empty(), "{:?}", self.memory.wrong);
        for worker in &self.fleet.workers {
            let held = self.memory.sessions.values().filter_map(|session| session.lease);
            let count = held.filter(|lease| lease.worker == worker.id).count();
            assert_eq!(worker.leases as usize, count, "leases that the fleet counts for {}", worker.id);
        }
        for item in self.memory.items.values() {
            let session = self.memory.sessions.get(&item.key).copied().unwrap_or_default();
            let of_key = || self.memory.items.values().filter(|other| other.key == item.key);
            match item.state {
                EventState::Accepted | EventState::Offered => {
                    let lease = session.lease;
                    assert!(
                        lease.is_some_and(
                            |lease| lease.token == item.token && Some(lease.worker) == item.worker
                        ),
                        "{} is {} under {lease:?}: {item:?}",
                        item.seq,
                        item.state.as_str()
                    );
                }
                EventState::Pending if item.hold == Some(Hold::Order) => {
                    let earlier = of_key().any(|other| {
                        let stops = other.sort.is_stop() && other.state == EventState::Pending;
                        let before = other.seq < item.seq || stops;
                        matches!(other.state, EventState::Pending | EventState::Offered) && before
                    });
                    let busy = session.lease.is_some() && of_key().any(taken);
                    assert!(earlier || busy, "{} waits behind nothing", item.seq);
                }
                _ => {}
            }
            if item.state == EventState::Accepted && item.finished {
                let earlier = of_key().any(|other| taken(other) && other.seq < item.seq);
                assert!(earlier, "{} is finished and nothing before it is open", item.seq);
            }
        }
    }

    /// Turns the clock without anything happening.
    pub fn pass(&mut self, millis: i64) {
        self.now = self.now.plus_millis(millis);
    }

    /// Turns the clock, and then the alarm rings.
    pub fn ring_after(&mut self, millis: i64) {
        self.pass(millis);
        self.call(|rules| rules.ring());
    }

    pub fn open(&mut self, n: u8) -> Greeting {
        self.call(|rules| rules.open_stream(wrk(n)))
    }

    pub fn close(&mut self, n: u8) {
        self.call(|rules| rules.close_stream(wrk(n)));
    }

    pub fn drain(&mut self, n: u8) {
        self.worker(n).draining = true;
        self.call(|rules| rules.leave(wrk(n)));
    }

    pub fn revoke(&mut self, n: u8) {
        let worker = self.worker(n);
        worker.revoked = true;
        worker.connected = false;
        self.call(|rules| rules.leave(wrk(n)));
        self.call(|rules| rules.close_stream(wrk(n)));
    }

    /// A worker's heartbeat that names these leases; the answer is what it has lost.
    pub fn beat(&mut self, n: u8, leases: &[(&str, u64)]) -> Vec<LeaseClaim> {
        let claims = leases
            .iter()
            .map(|(name, token)| LeaseClaim { session_key: key(name), token: FencingToken(*token) })
            .collect();
        self.call(|rules| rules.heartbeat(wrk(n), claims))
    }

    /// An event of session `name`, agent session `agent`.
    pub fn event(&mut self, name: &str, agent: &str) -> Seq {
        self.arrive(name, agent, Sort::Work, Wants::default())
    }

    pub fn stop(&mut self, name: &str, agent: &str) -> Seq {
        self.arrive(name, agent, Sort::Stop, Wants::default())
    }

    pub fn arrive(&mut self, name: &str, agent: &str, sort: Sort, wants: Wants) -> Seq {
        self.last += 1;
        let first_thought_due =
            (sort == Sort::Work).then(|| self.now.plus_millis(self.settings.first_thought_ms as i64));
        let item = Item {
            seq: Seq(self.last),
            key: key(name),
            agent_session: AgentSessionId::from(agent),
            sort,
            wants,
            state: EventState::Pending,
            hold: None,
            attempts: 0,
            token: FencingToken(0),
            worker: None,
            finished: false,
            given_back: false,
            takeover: false,
            ask: false,
            first_thought: false,
            first_thought_due,
            not_before: self.now,
            offered_at: None,
            accepted_at: None,
            ended_at: None,
            reason: None,
        };
        self.memory.items.insert(item.seq, item.clone());
        self.call(|rules| rules.arrive(item));
        Seq(self.last)
    }

    pub fn replay(&mut self, seq: Seq) -> Option<Item> {
        self.call(|rules| rules.replay(seq))
    }

    /// An ack under the token of the event's last offer.
    pub fn ack(&mut self, n: u8, seq: Seq, state: AckState) -> AckAnswer {
        let token = self.item(seq).token;
        self.ack_under(n, seq, token, state)
    }

    pub fn ack_under(&mut self, n: u8, seq: Seq, token: FencingToken, state: AckState) -> AckAnswer {
        let ack = Ack { seq, token, state, reason: None, after_ms: None, result: None };
        self.call(|rules| rules.ack(wrk(n), &ack, 255))
    }

    pub fn accept(&mut self, n: u8, seq: Seq) {
        assert_eq!(self.ack(n, seq, AckState::Accepted), AckAnswer::Ok);
    }

    pub fn done(&mut self, n: u8, seq: Seq) {
        assert_eq!(self.ack(n, seq, AckState::Done), AckAnswer::Ok);
    }

    pub fn worker(&mut self, n: u8) -> &mut Worker {
        self.fleet.get_mut(wrk(n)).unwrap()
    }

    pub fn item(&self, seq: Seq) -> &Item {
        self.memory.items.get(&seq).unwrap()
    }

    pub fn state(&self, seq: Seq) -> EventState {
        self.item(seq).state
    }

    pub fn session(&self, name: &str) -> Session {
        self.memory.sessions.get(&key(name)).copied().unwrap_or_default()
    }

    /// The number and the token of the worker that holds the session's lease.
    pub fn holder(&self, name: &str) -> Option<(u8, u64)> {
        let lease = self.session(name).lease?;
        let n = (1..=9).find(|n| wrk(*n) == lease.worker)?;
        Some((n, lease.token.0))
    }

    /// What was offered since the last look: worker, event, token.
    pub fn offers(&mut self) -> Vec<(u8, u64, u64)> {
        let deeds = std::mem::take(&mut self.deeds);
        deeds
            .into_iter()
            .filter_map(|deed| match deed {
                Deed::Offer { worker, item } => {
                    Some(((1..=9).find(|n| wrk(*n) == worker)?, item.seq.0, item.token.0))
                }
                _ => None,
            })
            .collect()
    }

    /// Words of this sort that are owed, by event.
    pub fn owed(&self, words: Words) -> Vec<u64> {
        self.memory.owed.iter().filter(|(_, owed)| *owed == words).map(|(seq, _)| seq.0).collect()
    }
}

fn taken(item: &Item) -> bool {
    matches!(item.state, EventState::Offered | EventState::Accepted)
}

fn worker(n: u8, now: Timestamp) -> Worker {
    Worker {
        id: wrk(n),
        slots: 2,
        leases: 0,
        reported: 0,
        weight: 1,
        connected: false,
        draining: false,
        revoked: false,
        protocol: shared::stream::PROTOCOL,
        strikes: 0,
        last_seen_at: now,
        beat_at: now,
        repositories: vec![],
        teams: vec![],
    }
}
