//! A worker as the rules may expect one: a journal that outlives it, a stream that may break, acks on the way.
//!
//! It follows the protocol to the letter, and never looks into the hub.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shared::ack::{AckAnswer, AckState};
use shared::hub::ledger::{Item, Sort};
use shared::hub::stream::Greeting;
use shared::id::{AgentSessionId, FencingToken, Seq, SessionKey};
use shared::time::Timestamp;
use shared::worker::LeaseClaim;

/// A line of the stream, with the time at which the hub wrote it.
#[derive(Debug, Clone)]
pub enum Line {
    Hello(Timestamp, Greeting),
    Offer(Box<Item>),
    Revoked(SessionKey, FencingToken),
    Closed,
}

/// An event in the journal that the hub has not heard the end of.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: SessionKey,
    pub agent: AgentSessionId,
    pub token: FencingToken,
    /// What is to be told to the hub.
    pub say: AckState,
    /// The hub has answered that.
    pub heard: bool,
}

/// An ack on its way to the hub.
#[derive(Debug, Clone)]
pub struct Sent {
    pub seq: Seq,
    pub token: FencingToken,
    pub state: AckState,
}

#[derive(Debug, Default)]
pub struct Node {
    /// What is on its way to it. `None`: it has no stream.
    pub stream: Option<VecDeque<Line>>,
    pub journal: BTreeMap<Seq, Entry>,
    /// The last confirmation of each lease, by the hub's clock.
    pub confirmed: BTreeMap<SessionKey, (FencingToken, Timestamp)>,
    pub sent: Vec<Sent>,
    /// What it has run to the end, under whatever token.
    pub ran: BTreeSet<Seq>,
    /// What it has found that it serves, or does not: it does not change its mind.
    pub serves: BTreeMap<Seq, bool>,
}

impl Node {
    /// It dies and comes back at once: the journal stays, what was on its way to it does not.
    pub fn crash(&mut self) {
        self.stream = None;
    }

    pub fn say(&mut self, seq: Seq, state: AckState) {
        if let Some(entry) = self.journal.get_mut(&seq) {
            entry.say = state;
            entry.heard = false;
            self.sent.push(Sent { seq, token: entry.token, state });
        }
    }

    /// Sends again what has not been answered.
    pub fn say_again(&mut self) {
        for (seq, entry) in &self.journal {
            if !entry.heard {
                self.sent.push(Sent { seq: *seq, token: entry.token, state: entry.say });
            }
        }
    }

    pub fn running(&self) -> Vec<Seq> {
        self.journal
            .iter()
            .filter(|(_, entry)| entry.say == AckState::Accepted)
            .map(|(seq, _)| *seq)
            .collect()
    }

    pub fn finish(&mut self, seq: Seq) {
        self.ran.insert(seq);
        self.say(seq, AckState::Done);
    }

    pub fn give_back(&mut self, seq: Seq) {
        self.say(seq, AckState::Retry);
    }

    pub fn claims(&self) -> Vec<LeaseClaim> {
        let held: BTreeSet<_> = self.journal.values().map(|entry| (entry.key.clone(), entry.token)).collect();
        held.into_iter().map(|(session_key, token)| LeaseClaim { session_key, token }).collect()
    }

    /// Reads a line. `refuses`: it does not serve what it is offered.
    pub fn read(&mut self, line: Line, refuses: bool) {
        match line {
            Line::Hello(at, greeting) => self.hello(at, &greeting),
            Line::Offer(item) => self.offered(&item, refuses),
            Line::Revoked(key, token) => self.lose(&key, token),
            Line::Closed => self.stream = None,
        }
    }

    fn hello(&mut self, at: Timestamp, greeting: &Greeting) {
        let held: BTreeMap<_, _> = greeting
            .leases
            .iter()
            .map(|lease| (lease.session_key.clone(), (lease.token, lease.stop)))
            .collect();
        self.journal.retain(|seq, entry| match held.get(&entry.key) {
            Some((token, false)) if *token == entry.token => {
                // Not in the list and not offered again on this stream: a stop has cancelled it.
                greeting.accepted.contains(seq)
            }
            Some((token, true)) if *token == entry.token => true,
            _ => false,
        });
        for (key, (token, stop)) in held {
            if stop {
                let ended: Vec<_> =
                    self.journal.iter().filter(|(_, entry)| entry.key == key).map(|(seq, _)| *seq).collect();
                for seq in ended {
                    self.say(seq, AckState::Done);
                }
            } else {
                self.confirm(&key, token, at);
            }
        }
        // The hub believes these to be here. It does not say under which token, so each one is tried.
        let tokens: BTreeSet<_> = greeting.leases.iter().map(|lease| lease.token).collect();
        for seq in greeting.accepted.iter().filter(|seq| !self.journal.contains_key(seq)) {
            let state = if self.ran.contains(seq) { AckState::Done } else { AckState::Retry };
            self.sent.extend(tokens.iter().map(|token| Sent { seq: *seq, token: *token, state }));
        }
        self.say_again();
    }

    fn offered(&mut self, item: &Item, refuses: bool) {
        if item.sort == Sort::Stop {
            self.journal.retain(|seq, entry| {
                !(entry.key == item.key && entry.agent == item.agent_session && *seq < item.seq)
            });
        }
        if self.journal.get(&item.seq).is_some_and(|entry| entry.token == item.token) {
            self.say_again();
            return;
        }
        let entry = Entry {
            key: item.key.clone(),
            agent: item.agent_session.clone(),
            token: item.token,
            say: AckState::Accepted,
            heard: false,
        };
        self.journal.insert(item.seq, entry);
        if self.ran.contains(&item.seq) {
            self.say(item.seq, AckState::Done);
            return;
        }
        let serves = *self.serves.entry(item.seq).or_insert(!refuses) || item.ask || item.sort == Sort::Stop;
        self.say(item.seq, if serves { AckState::Accepted } else { AckState::Reject });
    }

    /// The hub's answer to an ack came.
    pub fn answered(&mut self, ack: &Sent, answer: AckAnswer, at: Timestamp) {
        let Some(entry) = self.journal.get_mut(&ack.seq).filter(|entry| entry.token == ack.token) else {
            return;
        };
        let key = entry.key.clone();
        let given_back = matches!(entry.say, AckState::Retry | AckState::Reject);
        if given_back && ack.state != entry.say {
            return;
        }
        if answer != AckAnswer::Ok {
            self.lose(&key, ack.token);
            return;
        }
        if entry.say == ack.state {
            entry.heard = true;
            if ack.state != AckState::Accepted {
                self.journal.remove(&ack.seq);
            }
        }
        if matches!(ack.state, AckState::Accepted) {
            self.confirm(&key, ack.token, at);
        }
    }

    /// The hub's answer to a heartbeat came.
    pub fn beaten(&mut self, claims: &[LeaseClaim], lost: &[LeaseClaim], at: Timestamp) {
        for claim in claims {
            if lost.contains(claim) {
                self.lose(&claim.session_key, claim.token);
            } else {
                self.confirm(&claim.session_key, claim.token, at);
            }
        }
    }

    fn confirm(&mut self, key: &SessionKey, token: FencingToken, at: Timestamp) {
        let now = self.confirmed.entry(key.clone()).or_insert((token, at));
        if token > now.0 {
            *now = (token, at);
        } else if token == now.0 {
            now.1 = now.1.max(at);
        }
    }

    fn lose(&mut self, key: &SessionKey, token: FencingToken) {
        self.journal.retain(|_, entry| entry.key != *key || entry.token > token);
        if self.confirmed.get(key).is_some_and(|(confirmed, _)| *confirmed <= token) {
            self.confirmed.remove(key);
        }
    }

    /// The token under which it may act for a session now, by its own reckoning, and the events that it acts on.
    pub fn acts_on(
        &self,
        key: &SessionKey,
        now: Timestamp,
        exclusive: i64,
    ) -> Option<(FencingToken, Vec<Seq>)> {
        let (token, at) = self.confirmed.get(key)?;
        let runs = |entry: &Entry| {
            entry.key == *key && entry.token == *token && entry.say == AckState::Accepted && entry.heard
        };
        let open = self.journal.iter().filter(|(_, entry)| runs(entry)).map(|(seq, _)| *seq).collect();
        (now.since(*at) < exclusive).then_some((*token, open))
    }
}
