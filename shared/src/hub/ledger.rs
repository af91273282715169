//! What the rules of delivery need kept: events, sessions, who rejected what, and words owed to Linear.
//!
//! The hub keeps it in its SQLite; tests keep it in memory. Each method is one look-up or one write, so the rules
//! stay the same over both. A call of the rules runs in one transaction of the keeper.

use serde::{Deserialize, Serialize};

use crate::id::{AgentSessionId, FencingToken, Seq, SessionKey, WorkerId};
use crate::time::Timestamp;

use super::delivery::EventState;
use super::fleet::Wants;
use super::lease::Lease;

/// An event without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The hub's number.
    pub seq: Seq,
    /// What orders and leases it.
    pub key: SessionKey,
    /// The agent session that it is about.
    pub agent_session: AgentSessionId,
    /// What sort it is, as far as the rules care.
    pub sort: Sort,
    /// What it wants of a worker.
    pub wants: Wants,
    /// Where it stands.
    pub state: EventState,
    /// What it waits for, while it is pending.
    pub hold: Option<Hold>,
    /// Failed attempts so far.
    pub attempts: u32,
    /// The token under which it was offered last.
    pub token: FencingToken,
    /// The worker that it was offered to last.
    pub worker: Option<WorkerId>,
    /// Its worker has said `done`, and an earlier event of the session is not done yet.
    pub finished: bool,
    /// Its worker gave it back; what that worker said before and is heard later does not count.
    pub given_back: bool,
    /// It moved from another worker.
    pub takeover: bool,
    /// Nobody serves it by rule: its worker asks the person.
    pub ask: bool,
    /// The hub itself says the first thought, or has said it.
    pub first_thought: bool,
    /// When the hub says it, if nobody has accepted by then.
    pub first_thought_due: Option<Timestamp>,
    /// Not offered before this.
    pub not_before: Timestamp,
    /// Offered last.
    pub offered_at: Option<Timestamp>,
    /// First accepted.
    pub accepted_at: Option<Timestamp>,
    /// Done, dead or cancelled.
    pub ended_at: Option<Timestamp>,
    /// What was said of it last; at most 300 characters.
    pub reason: Option<String>,
}

/// What sort of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Begins or goes on with work that people in Linear wait for.
    Work,
    /// Work or a check of the panel's own: nothing is told to Linear.
    Local,
    /// A stop in Linear.
    Stop,
    /// A stop of something that only the panel knows.
    LocalStop,
}

impl Sort {
    /// Whether it is a stop.
    pub fn is_stop(self) -> bool {
        matches!(self, Self::Stop | Self::LocalStop)
    }

    /// Whether Linear is told of it.
    pub fn is_in_linear(self) -> bool {
        matches!(self, Self::Work | Self::Stop)
    }
}

/// Why a pending event is not in the queue of those that only wait for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Behind an earlier event of its session.
    Order,
    /// For a worker that has its session and is away.
    Worker(WorkerId),
    /// Nobody on line serves it.
    Served,
    /// Those who serve it are full, and others have room.
    Room,
}

/// A session key as the hub knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Session {
    /// The newest token ever given for it.
    pub newest: FencingToken,
    /// The worker that it sticks to.
    pub sticky: Option<WorkerId>,
    /// Its lease.
    pub lease: Option<Lease>,
    /// A stop came while its holder was away: when it returns it must not resume.
    pub stop: bool,
    /// The holder's last heartbeat did not name it: heartbeats do not renew it.
    pub unclaimed: bool,
}

/// A session's earliest event of each open state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Front {
    /// Pending.
    pub pending: Option<Seq>,
    /// Pending, and a stop.
    pub stop: Option<Seq>,
    /// Offered; there is never more than one.
    pub offered: Option<Seq>,
    /// Accepted.
    pub accepted: Option<Seq>,
    /// That accepted one is finished already.
    pub finished: bool,
}

impl Front {
    /// The earliest event that is at a worker or on its way there.
    pub fn taken(&self) -> Option<Seq> {
        [self.offered, self.accepted].into_iter().flatten().min()
    }

    /// Whether the earliest event at a worker is finished: then it is done.
    pub fn is_done(&self) -> bool {
        self.finished && self.taken() == self.accepted
    }
}

/// Words that the hub owes to Linear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// The first thought: nobody accepted in time.
    FirstThought,
    /// A session was stopped while no worker held it.
    Stopped,
    /// An event became a dead letter.
    Dead,
}

/// The keeper.
pub trait Ledger {
    /// What can go wrong with it.
    type Error;

    /// One event.
    fn item(&self, seq: Seq) -> Result<Option<Item>, Self::Error>;
    /// Writes what can change of an event.
    fn put_item(&mut self, item: &Item) -> Result<(), Self::Error>;
    /// The session's earliest events of each open state.
    fn front(&self, key: &SessionKey) -> Result<Front, Self::Error>;
    /// The session's events that are pending, offered or accepted, in order.
    fn open_of(&self, key: &SessionKey) -> Result<Vec<Item>, Self::Error>;
    /// Pending events that only wait for room and are due, in order, after `after`, at most `limit`.
    fn ready(&self, now: Timestamp, after: Seq, limit: u32) -> Result<Vec<Item>, Self::Error>;
    /// Events that a worker was offered and has not accepted, in order.
    fn offered_to(&self, worker: WorkerId) -> Result<Vec<Item>, Self::Error>;
    /// Workers with an offer that is older than `before`.
    fn overdue(&self, before: Timestamp) -> Result<Vec<WorkerId>, Self::Error>;
    /// Events without an acceptance whose first thought is due.
    fn thoughts_due(&self, now: Timestamp) -> Result<Vec<Item>, Self::Error>;
    /// Puts all events that wait for a worker, or for anybody who serves them, back into the queue.
    fn end_holds(&mut self, hold: Hold) -> Result<(), Self::Error>;
    /// What the events want that are held for room.
    fn crowded(&self) -> Result<Vec<Wants>, Self::Error>;
    /// Events that want just this and are held for room, in order, at most `limit`.
    fn held_for_room(&self, wants: &Wants, limit: u32) -> Result<Vec<Item>, Self::Error>;
    /// The workers that events wait for.
    fn held_for(&self) -> Result<Vec<WorkerId>, Self::Error>;

    /// One session.
    fn session(&self, key: &SessionKey) -> Result<Option<Session>, Self::Error>;
    /// Writes a session.
    fn put_session(&mut self, key: &SessionKey, session: &Session) -> Result<(), Self::Error>;
    /// The sessions whose lease a worker holds; of all workers for `None`.
    fn leased(&self, worker: Option<WorkerId>) -> Result<Vec<(SessionKey, Session)>, Self::Error>;
    /// After an outage: every lease and every open offer counts from now.
    fn start_anew(&mut self, now: Timestamp) -> Result<(), Self::Error>;

    /// Who has rejected an event.
    fn rejections(&self, seq: Seq) -> Result<Vec<WorkerId>, Self::Error>;
    /// A worker rejects it.
    fn reject(&mut self, seq: Seq, worker: WorkerId) -> Result<(), Self::Error>;

    /// Words are owed to Linear, until they are said.
    fn owe(&mut self, seq: Seq, words: Words) -> Result<(), Self::Error>;
}
