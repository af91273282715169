//! What the stream's lines mean here: offers are weighed, written down, accepted and handed to their session's
//! task; leases come and go.
//!
//! An event is worked on only when the hub has taken its `accepted` ack: before that the offer may end, and the
//! event go to another worker without any grace.
//! Nothing here waits for the proxy. What a hostile one sends without end is left in the stream while
//! [`WEIGHED_AT_ONCE`] offers are looked at, and let go beyond [`OPEN_LIMIT`]: an offer that is not accepted stays
//! the hub's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use shared::ack::AckState;
use shared::event::{AgentSession, Event, EventBody};
use shared::id::{EventId, FencingToken, Seq, SessionKey};
use shared::stream::{HeldLease, Intervals, StreamLine};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::acks::Acks;
use super::crew::{Crew, Turned};
use super::news::News;
use super::workshop::{Tools, Verdict, Workshop};
use super::{fresh_uuid, now};
use crate::journal::JournalError;
use crate::journal::event::{Known, Taken};
use crate::journal::own;
use crate::proxy::stream::Arrival;
use crate::session::{self, Told};

/// Open events of one worker.
const OPEN_LIMIT: usize = 10_000;
const WEIGHED_AT_ONCE: usize = 256;
/// An offer waits 10 s for its ack.
const WEIGHING: Duration = Duration::from_secs(8);
/// Accepted events of one `hello` that are looked up.
const LOOKED_UP: usize = 10_000;

/// Takes lines.
pub struct Desk {
    tools: Tools,
    workshop: Arc<dyn Workshop>,
    acks: Acks,
    crew: Crew,
    weighing: JoinSet<(Seq, Verdict)>,
    /// The newest offer of each event that is being weighed.
    offers: HashMap<Seq, Taken>,
    /// Events in the journal whose ack the hub has not taken yet, and when each was offered.
    unsettled: BTreeMap<Seq, (Taken, Duration)>,
    resumed: bool,
    no_new_sessions: bool,
    config_etag: Option<String>,
}

/// Something that went on meanwhile.
pub enum Step {
    /// An offer was weighed.
    Weighed(Seq, Verdict),
    /// A task turned.
    Turned(Turned),
}

impl Desk {
    /// With nothing on it.
    pub fn new(tools: Tools, workshop: Arc<dyn Workshop>, acks: Acks) -> Self {
        Self {
            crew: Crew::new(tools.clone(), Arc::clone(&workshop)),
            tools,
            workshop,
            acks,
            weighing: JoinSet::new(),
            offers: HashMap::new(),
            unsettled: BTreeMap::new(),
            resumed: false,
            no_new_sessions: false,
            config_etag: None,
        }
    }

    /// The acks.
    pub fn acks(&self) -> &Acks {
        &self.acks
    }

    /// From now on only sessions that are open here get new events.
    pub fn takes_no_new_sessions(&mut self) {
        self.no_new_sessions = true;
    }

    /// Sessions with open events.
    pub fn open_sessions(&self) -> usize {
        self.tools.leases.claims().len()
    }

    /// Whether nothing is open and the hub knows all of it.
    pub fn is_finished(&self) -> bool {
        self.open_sessions() == 0
            && self.offers.is_empty()
            && self.unsettled.is_empty()
            && self.acks.settled()
    }

    /// Whether another line may be taken; if not, [`Self::progress`] makes room soon.
    pub fn has_room(&self) -> bool {
        self.offers.len() < WEIGHED_AT_ONCE
    }

    /// Takes one line.
    pub async fn take_line(&mut self, arrival: Arrival) -> Result<(), JournalError> {
        match arrival.line {
            StreamLine::Hello { intervals, leases, accepted, config_etag, .. } => {
                self.hello(arrival.asked, intervals, leases, accepted).await?;
                if let Some(etag) = config_etag {
                    self.note_config(etag);
                }
            }
            StreamLine::Event {
                seq,
                session_key,
                token,
                takeover,
                ask,
                first_thought,
                linear_slice,
                event,
                ..
            } => {
                if linear_slice.is_some() {
                    self.tools.linear_use.grant(linear_slice);
                }
                let taken = Taken {
                    seq,
                    session_key,
                    token,
                    first_thought,
                    takeover,
                    repository: None,
                    ask,
                    turn_over: false,
                    turn: None,
                    event: *event,
                };
                self.offer(taken).await?;
            }
            StreamLine::Revoked { session_key, token } => {
                self.lose(&session_key, token, Duration::MAX).await?;
            }
            StreamLine::Config { etag } => self.note_config(etag),
            StreamLine::Heartbeat | StreamLine::Reconnect | StreamLine::Replaced => {}
        }
        Ok(())
    }

    async fn hello(
        &mut self,
        asked: Duration,
        intervals: Intervals,
        leases: Vec<HeldLease>,
        mut accepted: Vec<Seq>,
    ) -> Result<(), JournalError> {
        let known: HashSet<Seq> = accepted.iter().copied().collect();
        if !std::mem::replace(&mut self.resumed, true) {
            self.resume(&leases, &known).await?;
        }
        // The answer to these acks was lost.
        let settled: Vec<(Seq, FencingToken)> = self
            .unsettled
            .iter()
            .filter(|(seq, _)| known.contains(seq))
            .map(|(seq, (taken, _))| (*seq, taken.token))
            .collect();
        for (seq, token) in settled {
            let listed = |lease: &HeldLease| {
                lease.token == token
                    && self
                        .unsettled
                        .get(&seq)
                        .is_some_and(|(taken, _)| taken.session_key == lease.session_key)
            };
            if leases.iter().any(listed) {
                self.settle(asked, seq, token).await;
            }
        }
        for lease in leases.iter().filter(|lease| lease.stop) {
            let (key, token) = (&lease.session_key, lease.token);
            if let Some(told) = session::stopped_away(&self.tools.journal, key, token).await? {
                info!(session_key = %key, "it was stopped while this worker was away");
                self.crew.tell(key, told).await;
            }
        }
        self.tools.leases.hello(asked, intervals, &leases);
        // The hub believes these are here; what the journal lacks must come again.
        accepted.truncate(LOOKED_UP);
        let missing = self.tools.journal.missing(accepted).await?;
        if !missing.is_empty() {
            let tokens = leases.into_iter().map(|lease| (lease.session_key, lease.token)).collect();
            self.acks.say_missing(&missing, &tokens);
        }
        self.acks.hurry();
        Ok(())
    }

    /// After a restart: what is open in the journal and still this worker's goes on; the rest has moved, or is offered
    /// again.
    async fn resume(&mut self, leases: &[HeldLease], known: &HashSet<Seq>) -> Result<(), JournalError> {
        let by_key: HashMap<&SessionKey, &HeldLease> =
            leases.iter().map(|lease| (&lease.session_key, lease)).collect();
        let (mut moved, mut lost) = (Vec::new(), Vec::new());
        for taken in self.tools.journal.open_events().await? {
            match by_key.get(&taken.session_key) {
                Some(lease)
                    if lease.token == taken.token
                        && (lease.stop || taken.seq.0 >= own::FIRST || known.contains(&taken.seq)) =>
                {
                    self.tools.leases.holds(&taken.session_key, taken.token, taken.seq);
                    if !lease.stop {
                        info!(seq = %taken.seq, "going on where the last run of cyrus stopped");
                        self.hand_over(taken).await;
                    }
                }
                Some(lease) if lease.token == taken.token => moved.push(taken.seq),
                _ => lost.push(taken.seq),
            }
        }
        self.tools.journal.give_up(moved).await?;
        self.tools.journal.lose(lost).await
    }

    async fn offer(&mut self, taken: Taken) -> Result<(), JournalError> {
        if matches!(taken.event.body, EventBody::Unknown) {
            debug!(seq = %taken.seq, "an event of a kind that only a newer hub knows: nothing is done for it");
            self.acks.say(taken.seq, taken.token, AckState::Done, None);
            return Ok(());
        }
        let leases = &self.tools.leases;
        if self.no_new_sessions
            && leases.held(&taken.session_key).is_none()
            && !self.unsettled.values().any(|(known, _)| known.session_key == taken.session_key)
        {
            debug!(seq = %taken.seq, "left to others, since this worker is leaving");
            return Ok(());
        }
        if leases.open_events() + self.unsettled.len() >= OPEN_LIMIT {
            warn!(seq = %taken.seq, "left to others: more is open here than a worker can have");
            return Ok(());
        }
        if self.tools.journal.missing(vec![taken.seq]).await?.is_empty() {
            // It was weighed and accepted before.
            return self.accept(taken).await;
        }
        if self.offers.insert(taken.seq, taken.clone()).is_none() {
            let weighed = self.workshop.weigh(taken.clone(), self.tools.clone());
            self.weighing.spawn(async move {
                (taken.seq, timeout(WEIGHING, weighed).await.unwrap_or(Verdict::Unknown))
            });
        }
        Ok(())
    }

    /// The next thing that goes on beside the stream. Nothing is lost when this is dropped half way.
    pub async fn progress(&mut self) -> Step {
        tokio::select! {
            Some(Ok((seq, verdict))) = self.weighing.join_next() => Step::Weighed(seq, verdict),
            turned = self.crew.turn() => Step::Turned(turned),
        }
    }

    /// Acts on it.
    pub async fn go_on(&mut self, step: Step) -> Result<(), JournalError> {
        match step {
            Step::Weighed(seq, verdict) => {
                let Some(mut taken) = self.offers.remove(&seq) else { return Ok(()) };
                match verdict {
                    Verdict::Take { repository, ask } => {
                        taken.repository = repository;
                        taken.ask = ask;
                        self.accept(taken).await?;
                    }
                    Verdict::NotServed => {
                        self.acks.say(seq, taken.token, AckState::Reject, Some("not_served"));
                    }
                    Verdict::Unknown => debug!(%seq, "it cannot be told now whether this is for us"),
                }
            }
            Step::Turned(Turned::Ended(key)) => {
                if !self.crew.clear(&key).await && self.tools.leases.held(&key).is_some() {
                    warn!(session_key = %key, "its task ended with work open; it begins again soon");
                    self.crew.again_later(key);
                }
            }
            Step::Turned(Turned::Again(key)) => {
                let Some(token) = self.tools.leases.held(&key) else { return Ok(()) };
                if self.crew.has(&key) {
                    return Ok(());
                }
                for taken in self.tools.journal.open_events_of(&key).await? {
                    if taken.token == token {
                        self.hand_over(taken).await;
                    }
                }
            }
        }
        Ok(())
    }

    async fn accept(&mut self, taken: Taken) -> Result<(), JournalError> {
        let (seq, token) = (taken.seq, taken.token);
        if let Some(held) = self.tools.leases.held(&taken.session_key)
            && held != token
        {
            // It was away and came back: what runs under the older token ends first.
            self.lose(&taken.session_key, held, Duration::MAX).await?;
        }
        match self.tools.journal.take(taken.clone()).await? {
            // The hub has forgotten that, or did not take it under an older token.
            Known::Done => self.acks.say(seq, token, AckState::Done, None),
            Known::New | Known::Open => {
                let claim = self.tools.leases.of_event(seq);
                if claim.is_none_or(|claim| claim.token != token) {
                    self.unsettled.insert(seq, (taken, self.tools.leases.now()));
                }
                self.acks.say(seq, token, AckState::Accepted, None);
            }
        }
        Ok(())
    }

    /// The hub took the ack: the event is ours.
    async fn settle(&mut self, asked: Duration, seq: Seq, token: FencingToken) {
        if self.unsettled.get(&seq).is_some_and(|(taken, _)| taken.token == token)
            && let Some((taken, _)) = self.unsettled.remove(&seq)
        {
            self.hand_over(taken).await;
        }
        self.tools.leases.accepted(asked, seq, token);
    }

    async fn hand_over(&mut self, taken: Taken) {
        let key = taken.session_key.clone();
        self.tools.leases.holds(&key, taken.token, taken.seq);
        self.crew.tell(&key, Told::Event(Box::new(taken))).await;
    }

    /// Gives a session that is open here an event of this machine. `false`: none of that id is.
    pub async fn tell_here(
        &mut self,
        session: &str,
        body: impl FnOnce(AgentSession) -> EventBody,
    ) -> Result<bool, JournalError> {
        let open = self.tools.journal.open_events().await?;
        let is_its = |taken: &&Taken| {
            taken.event.body.agent_session().id.as_str() == session
                && self.tools.leases.held(&taken.session_key) == Some(taken.token)
        };
        let Some(last) = open.iter().rfind(is_its) else { return Ok(false) };
        let event = Event {
            id: EventId::from_uuid(fresh_uuid()),
            received_at: now(),
            body: body(last.event.body.agent_session().clone()),
            ..last.event.clone()
        };
        let journal = &self.tools.journal;
        let taken = journal.take_own(&last.session_key, last.token, last.repository.clone(), event).await?;
        self.hand_over(taken).await;
        Ok(true)
    }

    /// The lease was not ours any more at that time: its run stops, and its events are given up here.
    async fn lose(
        &mut self,
        key: &SessionKey,
        token: FencingToken,
        as_of: Duration,
    ) -> Result<(), JournalError> {
        let unsettled: Vec<Seq> = self
            .unsettled
            .iter()
            .filter(|(_, (taken, offered))| {
                taken.session_key == *key && taken.token == token && *offered <= as_of
            })
            .map(|(seq, _)| *seq)
            .collect();
        for seq in &unsettled {
            self.unsettled.remove(seq);
        }
        self.tools.journal.give_up(unsettled).await?;
        let Some(open) = self.tools.leases.lose_as_of(key, token, as_of) else { return Ok(()) };
        warn!(session_key = %key, "the lease is lost: its run stops and nothing more is posted");
        self.tools.journal.lose(open).await?;
        self.crew.dismiss(key, Some(Told::LeaseLost)).await;
        Ok(())
    }

    /// Acts on what heartbeat and acks found out.
    pub async fn act_on(&mut self, news: News) -> Result<(), JournalError> {
        match news {
            News::Lost { claim, asked } => self.lose(&claim.session_key, claim.token, asked).await,
            News::Taken { seq, token, asked } => {
                self.settle(asked, seq, token).await;
                Ok(())
            }
            News::Moved { seq, token, asked } if self.unsettled.contains_key(&seq) => {
                // One that was offered again since then has another ack on its way.
                let gone = |(taken, offered): &(Taken, Duration)| taken.token == token && *offered <= asked;
                if self.unsettled.get(&seq).is_some_and(gone) {
                    self.unsettled.remove(&seq);
                    self.tools.journal.give_up(vec![seq]).await?;
                }
                Ok(())
            }
            News::Moved { seq, token, asked } => match self.tools.leases.of_event(seq) {
                Some(claim) if claim.token == token => self.lose(&claim.session_key, token, asked).await,
                _ => {
                    // Done here already; what else is open under that lease, the next heartbeat tells.
                    self.tools.leases.want();
                    Ok(())
                }
            },
            News::Config(etag) => {
                self.note_config(etag);
                Ok(())
            }
        }
    }

    /// These events are done in the journal.
    pub async fn done(&mut self, seqs: &[Seq]) {
        for key in self.tools.leases.done(seqs) {
            self.crew.dismiss(&key, None).await;
        }
        self.acks.stir();
    }

    fn note_config(&mut self, etag: String) {
        if self.config_etag.as_ref() != Some(&etag) {
            let short: String = etag.chars().filter(|letter| !letter.is_control()).take(40).collect();
            info!("the panel's configuration is now of version {short}");
            self.workshop.panel_is_at(etag.clone());
            self.config_etag = Some(etag);
        }
    }

    /// Lets runs end: their processes stop, their events stay open in the journal.
    pub async fn close(self) {
        let open = self.open_sessions();
        self.crew.close().await;
        if open > 0 {
            info!("stopped; open work goes on at the next start");
        } else {
            info!("stopped");
        }
    }
}
