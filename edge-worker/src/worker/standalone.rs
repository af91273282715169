//! A run of this machine alone: no proxy, no panel, no Linear, and the same session machinery.
//!
//! Its events are numbered in the journal, its lease is its own under token 0, and what Linear and the panel would
//! be told goes to a [`Screen`]. Neighbours: [`crate::cli`] shows it; [`super::sessions`] makes the means of
//! `cyrus start`. Nothing here talks to the network but the agent itself.

mod name;
mod report;

use std::sync::Arc;

use shared::event::{AgentSession, Event, EventBody};
use shared::id::{
    AgentSessionId, DeliveryId, EventId, FencingToken, LinearWorkspaceId, Seq, SessionKey, WorkerId,
};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::leases::Leases;
use super::linear_budget::LinearUse;
use super::slots::Slots;
use super::{fresh_uuid, now};
use crate::config::live::Changes;
use crate::config::{Config, RepositoryConfig};
use crate::executor::claude::{Claude, ClaudeConfig};
use crate::executor::{Executor, ExecutorError};
use crate::journal::effect::Effect;
use crate::journal::{Journal, JournalError};
use crate::outbox::Outside;
use crate::session::{self, Means, Told};

pub use name::session_name;
pub use report::Report;

/// Where everything is shown.
pub type Screen = mpsc::UnboundedSender<Effect>;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Order {
    /// The session, new or an earlier one of this machine.
    pub session: AgentSessionId,
    /// What to do.
    pub prompt: String,
    /// Where.
    pub repository: RepositoryConfig,
    /// The session was there before, and this goes on with it.
    pub goes_on: bool,
}

/// What the person in front of it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Stop the agent and keep its work.
    Stop,
    /// Say this to the agent.
    Say(String),
    /// End now, whatever is open.
    Quit,
}

/// How it ended. What came of it was shown on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// All that was asked is done.
    Finished,
    /// It was left as it was.
    Cut,
}

/// The means of a process that only runs what its person asks for. Takes the lock of the state folder.
pub async fn means(config: Config) -> Result<Means, JournalError> {
    let journal = Journal::open(&config.state_dir, WorkerId::from_uuid(fresh_uuid()))?;
    journal.give_up_own().await?;
    let executor = Claude::new(ClaudeConfig {
        binary: config.claude.clone(),
        keeper: crate::sandbox::keeper(),
        ..ClaudeConfig::default()
    });
    Ok(Means {
        config: Changes::begin(config).1,
        journal,
        outside: Outside { linear: None, panel: None, screen: None },
        executor: Arc::new(executor),
        executor_version: None,
        slots: Slots::new(1),
        done: mpsc::unbounded_channel().0,
        // The sender goes with this function; each run brings its own.
        ending: watch::channel(false).1,
        leases: Leases::default(),
        linear_use: LinearUse::default(),
    })
}

/// The version of the agent's program, before anything is written.
pub async fn executor_version(config: &Config) -> Result<String, ExecutorError> {
    Claude::new(ClaudeConfig {
        binary: config.claude.clone(),
        keeper: crate::sandbox::keeper(),
        ..ClaudeConfig::default()
    })
    .version()
    .await
}

/// Works on an order until it is done or its person wants it to end. `means` may be those of a whole worker: nothing
/// of the run reaches its Linear, its panel or its leases.
pub async fn work(
    mut means: Means,
    order: Order,
    mut wishes: mpsc::UnboundedReceiver<Wish>,
    screen: Screen,
) -> anyhow::Result<Over> {
    let key = SessionKey(order.session.0.clone());
    let (done, mut finished) = mpsc::unbounded_channel();
    let (ending, told_to_end) = watch::channel(false);
    let mut config = (*means.config.now()).clone();
    config.repositories = vec![order.repository.clone()];
    means.config = Changes::begin(config).1;
    means.outside = Outside { linear: None, panel: None, screen: Some(screen) };
    means.leases = Leases::of_own(&key);
    means.done = done;
    means.ending = told_to_end;

    let desk = Desk { journal: means.journal.clone(), key: key.clone(), session: local(&order.session) };
    let (inbox, receiver) = mpsc::channel(64);
    let repository = Some(order.repository.name.clone());
    let first = if order.goes_on {
        desk.prompted(order.prompt)
    } else {
        EventBody::RunRequested {
            agent_session: desk.session.clone(),
            prompt: order.prompt,
            repository: repository.clone(),
        }
    };
    let mut open = vec![desk.tell(&inbox, first, repository.clone()).await?];
    let mut task = tokio::spawn(session::run(means, key, receiver));
    let mut has_wishes = true;
    while !open.is_empty() {
        tokio::select! {
            Some(seqs) = finished.recv() => open.retain(|seq| !seqs.contains(seq)),
            _ = &mut task => return Ok(Over::Cut),
            wish = wishes.recv(), if has_wishes => match wish {
                None => has_wishes = false,
                Some(Wish::Stop) => open.push(desk.tell(&inbox, desk.stopped(), None).await?),
                Some(Wish::Say(text)) => {
                    open.push(desk.tell(&inbox, desk.prompted(text), repository.clone()).await?);
                }
                Some(Wish::Quit) => {
                    ending.send_replace(true);
                    task.await?;
                    return Ok(Over::Cut);
                }
            },
        }
    }
    drop(inbox);
    task.await?;
    Ok(Over::Finished)
}

/// Where the events of a session come from.
struct Desk {
    journal: Journal,
    key: SessionKey,
    session: AgentSession,
}

impl Desk {
    async fn tell(
        &self,
        inbox: &mpsc::Sender<Told>,
        body: EventBody,
        repository: Option<String>,
    ) -> Result<Seq, JournalError> {
        let event = Event {
            id: EventId::from_uuid(fresh_uuid()),
            delivery_id: DeliveryId::from("here"),
            received_at: now(),
            workspace_id: LinearWorkspaceId::from("here"),
            body,
        };
        let taken = self.journal.take_own(&self.key, FencingToken(0), repository, event).await?;
        let seq = taken.seq;
        // A task that has just ended is seen by whoever waits for it.
        let _ = inbox.send(Told::Event(Box::new(taken))).await;
        Ok(seq)
    }

    fn prompted(&self, text: String) -> EventBody {
        EventBody::SessionPrompted {
            agent_session: self.session.clone(),
            activity_id: Uuid::new_v4().to_string(),
            text,
            from_panel: true,
        }
    }

    fn stopped(&self) -> EventBody {
        EventBody::SessionStopped {
            agent_session: self.session.clone(),
            activity_id: Uuid::new_v4().to_string(),
            from_panel: true,
        }
    }
}

/// A session that only this machine knows.
fn local(id: &AgentSessionId) -> AgentSession {
    AgentSession { id: id.clone(), url: None, issue: None, comment: None, creator_name: None, local: true }
}
