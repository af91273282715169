//! Everything at once: two workers with journals, a network that loses and repeats, a hub that is away at times, and
//! people who write, stop and replay. What must hold is checked after each step; then all heals, and nothing may be
//! left over.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shared::ack::{Ack, AckState};
use shared::hub::delivery::EventState;
use shared::hub::rules::Deed;
use shared::id::Seq;

use super::hub::{Hub, wrk};
use super::node::{Line, Node, Sent};

const KEYS: [&str; 3] = ["k", "l", "m"];
const AGENTS: [&str; 2] = ["a", "b"];
/// Lease and grace.
const EXCLUSIVE: i64 = 300;

/// One thing that happens. Workers are 0 and 1; other numbers choose among what is there.
#[derive(Debug, Clone)]
enum Step {
    Event {
        key: usize,
        agent: usize,
    },
    Stop {
        key: usize,
        agent: usize,
    },
    Replay(usize),
    Drain(usize),
    Register(usize),
    Revoke(usize),
    Open(usize),
    /// Its stream breaks. Unless the hub notices, it goes on writing into it.
    Break {
        worker: usize,
        noticed: bool,
    },
    Crash(usize),
    Read {
        worker: usize,
        lines: usize,
        refuses: bool,
    },
    Deliver {
        worker: usize,
        ack: usize,
        fate: Fate,
    },
    SayAgain(usize),
    Finish {
        worker: usize,
        event: usize,
    },
    GiveBack {
        worker: usize,
        event: usize,
    },
    Beat {
        worker: usize,
        answered: bool,
        skips: Option<usize>,
    },
    Ring,
    Pass(i64),
    Outage(i64),
}

/// What becomes of an ack on its way.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Arrives,
    AnswerLost,
    Lost,
    /// It arrives, and will arrive again.
    Twice,
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0_usize..2;
    let fate = prop_oneof![
        6 => Just(Fate::Arrives),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
    ];
    prop_oneof![
        12 => (0_usize..3, 0_usize..2).prop_map(|(key, agent)| Step::Event { key, agent }),
        3 => (0_usize..3, 0_usize..2).prop_map(|(key, agent)| Step::Stop { key, agent }),
        2 => (0_usize..8).prop_map(Step::Replay),
        1 => worker.clone().prop_map(Step::Drain),
        1 => worker.clone().prop_map(Step::Register),
        1 => prop::bool::weighted(0.2).prop_flat_map(|rare| (Just(rare), 0_usize..2))
            .prop_map(|(rare, worker)| if rare { Step::Revoke(worker) } else { Step::Ring }),
        6 => worker.clone().prop_map(Step::Open),
        3 => (worker.clone(), any::<bool>()).prop_map(|(worker, noticed)| Step::Break { worker, noticed }),
        1 => worker.clone().prop_map(Step::Crash),
        20 => (worker.clone(), 1_usize..4, prop::bool::weighted(0.1))
            .prop_map(|(worker, lines, refuses)| Step::Read { worker, lines, refuses }),
        24 => (worker.clone(), 0_usize..6, fate)
            .prop_map(|(worker, ack, fate)| Step::Deliver { worker, ack, fate }),
        4 => worker.clone().prop_map(Step::SayAgain),
        8 => (worker.clone(), 0_usize..4).prop_map(|(worker, event)| Step::Finish { worker, event }),
        3 => (worker.clone(), 0_usize..4).prop_map(|(worker, event)| Step::GiveBack { worker, event }),
        8 => (worker, prop::bool::weighted(0.8), prop::option::weighted(0.1, 0_usize..3))
            .prop_map(|(worker, answered, skips)| Step::Beat { worker, answered, skips }),
        8 => Just(Step::Ring),
        10 => prop_oneof![4 => 1_i64..15, 2 => 15_i64..60, 2 => 60_i64..350].prop_map(Step::Pass),
        1 => (100_i64..5_000).prop_map(Step::Outage),
    ]
}

struct World {
    hub: Hub,
    nodes: Vec<Node>,
    /// Attempts that acks have cost, by event.
    cost: BTreeMap<Seq, u32>,
    /// Acks that arrived and could cost one. They name no attempt: a repeat that comes after the event was offered
    /// again under the same token counts again.
    said: BTreeMap<Seq, u32>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            hub: Hub::new(2),
            nodes: vec![Node::default(), Node::default()],
            cost: BTreeMap::new(),
            said: BTreeMap::new(),
        };
        world.take(&Step::Open(0));
        world.take(&Step::Open(1));
        world
    }

    fn n(worker: usize) -> u8 {
        u8::try_from(worker).unwrap() + 1
    }

    fn revoked(&self, worker: usize) -> bool {
        self.hub.fleet.get(wrk(Self::n(worker))).unwrap().revoked
    }

    /// Sends what the hub wants sent.
    fn post(&mut self) {
        for deed in std::mem::take(&mut self.hub.deeds) {
            let (to, line) = match deed {
                Deed::Offer { worker, item } => (worker, Line::Offer(item)),
                Deed::Revoke { worker, key, token } => (worker, Line::Revoked(key, token)),
                Deed::CloseStream { worker } => (worker, Line::Closed),
                Deed::Strikes { .. } | Deed::Speak => continue,
            };
            let node = (0..self.nodes.len()).find(|index| wrk(Self::n(*index)) == to).unwrap();
            if let Some(stream) = &mut self.nodes[node].stream {
                stream.push_back(line);
            }
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Event { key, agent } => {
                self.hub.event(KEYS[key], AGENTS[agent]);
            }
            Step::Stop { key, agent } => {
                self.hub.stop(KEYS[key], AGENTS[agent]);
            }
            Step::Replay(which) => {
                let over = |state| matches!(state, EventState::Dead | EventState::Cancelled);
                let items = self.hub.memory.items.values();
                let over: Vec<_> = items
                    .filter(|item| over(item.state) && !item.sort.is_stop())
                    .map(|item| item.seq)
                    .collect();
                if let Some(seq) = over.get(which) {
                    self.hub.replay(*seq).unwrap();
                }
            }
            Step::Drain(worker) => self.hub.drain(Self::n(worker)),
            Step::Register(worker) => self.register(worker),
            Step::Revoke(worker) => {
                self.hub.revoke(Self::n(worker));
                self.nodes[worker].stream = None;
            }
            Step::Open(worker) => self.open(worker),
            Step::Break { worker, noticed } => {
                self.nodes[worker].stream = None;
                if noticed {
                    self.hub.close(Self::n(worker));
                }
            }
            Step::Crash(worker) => self.nodes[worker].crash(),
            Step::Read { worker, lines, refuses } => self.read(worker, lines, refuses),
            Step::Deliver { worker, ack, fate } => self.deliver(worker, ack, fate),
            Step::SayAgain(worker) => self.nodes[worker].say_again(),
            Step::Finish { worker, event } => {
                if let Some(seq) = self.nodes[worker].running().get(event) {
                    self.nodes[worker].finish(*seq);
                }
            }
            Step::GiveBack { worker, event } => {
                if let Some(seq) = self.nodes[worker].running().get(event) {
                    self.nodes[worker].give_back(*seq);
                }
            }
            Step::Beat { worker, answered, skips } => self.beat(worker, answered, skips),
            Step::Ring => self.hub.ring_after(0),
            Step::Pass(millis) => self.hub.pass(millis),
            Step::Outage(millis) => self.outage(millis),
        }
        self.post();
        self.check();
    }

    fn register(&mut self, worker: usize) {
        if !self.revoked(worker) {
            self.hub.worker(Self::n(worker)).draining = false;
            self.hub.call(|rules| rules.register());
        }
    }

    fn open(&mut self, worker: usize) {
        if self.revoked(worker) {
            return;
        }
        let greeting = self.hub.open(Self::n(worker));
        self.nodes[worker].stream = Some([Line::Hello(self.hub.now, greeting)].into());
    }

    fn read(&mut self, worker: usize, lines: usize, refuses: bool) {
        for _ in 0..lines {
            let node = &mut self.nodes[worker];
            let Some(line) = node.stream.as_mut().and_then(|stream| stream.pop_front()) else { return };
            node.read(line, refuses);
        }
    }

    fn deliver(&mut self, worker: usize, which: usize, fate: Fate) {
        if self.revoked(worker) || self.nodes[worker].sent.is_empty() {
            return;
        }
        let which = which % self.nodes[worker].sent.len();
        let sent = match fate {
            Fate::Twice => self.nodes[worker].sent[which].clone(),
            _ => self.nodes[worker].sent.remove(which),
        };
        if !matches!(fate, Fate::Lost) {
            self.ack(worker, &sent, !matches!(fate, Fate::AnswerLost));
        }
    }

    fn ack(&mut self, worker: usize, sent: &Sent, answered: bool) {
        let before = self.hub.item(sent.seq).attempts;
        let ack = Ack {
            seq: sent.seq,
            token: sent.token,
            state: sent.state,
            reason: None,
            after_ms: None,
            result: None,
        };
        *self.said.entry(sent.seq).or_default() += u32::from(sent.state == AckState::Retry);
        let answer = self.hub.call(|rules| rules.ack(wrk(Self::n(worker)), &ack, 0));
        *self.cost.entry(sent.seq).or_default() += self.hub.item(sent.seq).attempts.saturating_sub(before);
        if answered {
            self.nodes[worker].answered(sent, answer, self.hub.now);
        }
    }

    fn beat(&mut self, worker: usize, answered: bool, skips: Option<usize>) {
        let mut claims = self.nodes[worker].claims();
        if claims.is_empty() || self.revoked(worker) {
            return;
        }
        if let Some(skipped) = skips.filter(|skipped| *skipped < claims.len()) {
            claims.remove(skipped);
        }
        let lost = self.hub.call(|rules| rules.heartbeat(wrk(Self::n(worker)), claims.clone()));
        if answered {
            self.nodes[worker].beaten(&claims, &lost, self.hub.now);
        }
    }

    fn outage(&mut self, millis: i64) {
        self.hub.pass(millis);
        self.hub.call(|rules| rules.forgive_outage());
        self.hub.ring_after(0);
        for deed in &self.hub.deeds {
            let moved = |id| !self.hub.fleet.get(id).unwrap().revoked;
            assert!(
                !matches!(deed, Deed::Revoke { worker, .. } if moved(*worker)),
                "an outage moved {deed:?}"
            );
            assert!(!matches!(deed, Deed::CloseStream { .. }), "an outage closed {deed:?}");
        }
    }

    fn check(&self) {
        for (key, session) in &self.hub.memory.sessions {
            let Some(lease) = session.lease else { continue };
            for (index, node) in self.nodes.iter().enumerate() {
                if wrk(Self::n(index)) == lease.worker || self.revoked(index) {
                    continue;
                }
                // What a stop has cancelled may speak on until its worker hears of the stop.
                let Some((token, mut runs)) = node.acts_on(key, self.hub.now, EXCLUSIVE) else { continue };
                runs.retain(|seq| self.hub.state(*seq) != EventState::Cancelled);
                assert!(
                    runs.is_empty(),
                    "{key} is {lease:?}, and worker {index} acts on {runs:?} under {token}"
                );
            }
        }
        for item in self.hub.memory.items.values() {
            match item.state {
                EventState::Done => assert!(
                    item.sort.is_stop() || self.nodes.iter().any(|node| node.ran.contains(&item.seq)),
                    "{} is done, and nobody has run it",
                    item.seq
                ),
                EventState::Cancelled => assert!(
                    self.hub.memory.items.values().any(|stop| {
                        stop.sort.is_stop()
                            && stop.seq > item.seq
                            && stop.key == item.key
                            && stop.agent_session == item.agent_session
                    }),
                    "{} was cancelled by no stop of its own",
                    item.seq
                ),
                _ => {}
            }
        }
        for (seq, cost) in &self.cost {
            let said = self.said.get(seq).copied().unwrap_or_default();
            assert!(*cost <= said, "{seq} was given back {said} times and counts {cost}");
        }
    }

    /// The network holds, whoever is not revoked works, and the alarm rings in time.
    fn heal(&mut self) {
        for worker in 0..self.nodes.len() {
            self.register(worker);
        }
        if (0..self.nodes.len()).all(|worker| self.revoked(worker)) {
            let fresh = Hub::new(3).worker(3).clone();
            self.hub.fleet.workers.push(fresh);
            self.nodes.push(Node::default());
        }
        for round in 0..400 {
            for worker in 0..self.nodes.len() {
                // Streams end on purpose from time to time.
                if round % 40 == 0 {
                    self.take(&Step::Open(worker));
                }
                self.take(&Step::Read { worker, lines: usize::MAX, refuses: false });
                if round % 3 == 0 {
                    self.nodes[worker].say_again();
                }
                while !self.nodes[worker].sent.is_empty() && !self.revoked(worker) {
                    self.take(&Step::Deliver { worker, ack: 0, fate: Fate::Arrives });
                }
                while !self.nodes[worker].running().is_empty() {
                    self.take(&Step::Finish { worker, event: 0 });
                }
                self.take(&Step::Beat { worker, answered: true, skips: None });
                if self.nodes[worker].stream.is_none() {
                    self.take(&Step::Open(worker));
                }
            }
            self.take(&Step::Pass(10));
            self.take(&Step::Ring);
            let open = self.hub.memory.items.values().any(|item| item.state.is_open());
            let leased = self.hub.memory.sessions.values().any(|session| session.lease.is_some());
            if !open && !leased {
                return;
            }
        }
        let open: Vec<_> = self.hub.memory.items.values().filter(|item| item.state.is_open()).collect();
        panic!("left over: {open:#?}\n{:#?}\n{:#?}", self.hub.memory.sessions, self.hub.fleet);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_breaks_nothing_is_lost_and_nobody_acts_beside_the_holder(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.heal();
    }
}
