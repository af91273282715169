//! `cyrus start`: registers, reads the stream, hands events to sessions, keeps leases alive, acks.
//!
//! An event is accepted only after its row is in the journal. Everything here can be killed at any instant: the
//! next start goes on from the journal.

mod acks;
mod leases;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use shared::ack::{Ack, AckState};
use shared::api::NewRepository;
use shared::id::{FencingToken, Seq, SessionKey, WorkerId, new_uuid};
use shared::stream::{PROTOCOL, StreamLine};
use shared::time::Timestamp;
use shared::worker::Registration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};
use uuid::Uuid;

use crate::config::Config;
use crate::executor::Executor;
use crate::executor::claude::{Claude, ClaudeConfig};
use crate::http;
use crate::journal::Journal;
use crate::journal::event::{Known, Taken};
use crate::linear::LinearClient;
use crate::outbox::Outside;
use crate::panel::PanelClient;
use crate::proxy::client::ProxyClient;
use crate::proxy::stream::{self, Over};
use crate::session::{self, Means, Told};

/// Why `cyrus start` ended.
#[derive(Debug)]
pub enum Ended {
    /// Somebody wanted it to.
    Stopped,
    /// The key is not taken.
    NotSignedIn(String),
    /// Another process with this journal took over.
    Replaced,
}

/// Now, by this machine's clock.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A fresh UUIDv7.
pub fn fresh_uuid() -> Uuid {
    let mut random = [0; 10];
    for (to, from) in random.iter_mut().zip(Uuid::new_v4().into_bytes()) {
        *to = from;
    }
    new_uuid(now(), random)
}

/// Works until a signal, a refusal, or another process with the same journal.
pub async fn run(config: Config) -> anyhow::Result<Ended> {
    let journal = Journal::open(&config.state_dir, WorkerId::from_uuid(fresh_uuid()))?;
    let http = http::client().context("no HTTP client")?;
    let proxy =
        ProxyClient::new(http.clone(), config.proxy_url.clone(), config.key.clone(), journal.worker_id());
    let panel = config.panel_url.clone().map(|url| PanelClient::new(http.clone(), url, config.key.clone()));
    let executor = Claude::new(ClaudeConfig { binary: config.claude.clone(), ..ClaudeConfig::default() });
    let executor_version = match executor.version().await {
        Ok(version) => Some(version),
        Err(error) => {
            warn!("{error}; sessions will fail until it is there");
            None
        }
    };
    info!(
        "cyrus {} as {} ({}), claude {}",
        env!("CARGO_PKG_VERSION"),
        config.name,
        journal.worker_id(),
        executor_version.as_deref().unwrap_or("missing"),
    );
    let (ending_sender, ending) = watch::channel(false);
    let (done, done_receiver) = mpsc::unbounded_channel();
    let outside = Outside { linear: LinearClient::new(http, proxy.clone()), panel };
    let slots = Arc::new(Semaphore::new(config.slots as usize));
    let means = Means {
        config: Arc::new(config),
        journal,
        outside,
        executor: Arc::new(executor),
        executor_version,
        slots,
        done,
        ending,
    };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut worker = Worker {
        means,
        proxy,
        sessions: HashMap::new(),
        tasks: JoinSet::new(),
        leases: leases::Leases::default(),
    };
    let ended = tokio::select! {
        ended = worker.work(done_receiver) => ended?,
        _ = interrupt.recv() => Ended::Stopped,
        _ = terminate.recv() => Ended::Stopped,
    };
    ending_sender.send_replace(true);
    worker.leave().await;
    Ok(ended)
}

struct Worker {
    means: Means,
    proxy: ProxyClient,
    sessions: HashMap<SessionKey, mpsc::Sender<Told>>,
    tasks: JoinSet<SessionKey>,
    leases: leases::Leases,
}

impl Worker {
    async fn work(&mut self, mut done: mpsc::UnboundedReceiver<Vec<Seq>>) -> anyhow::Result<Ended> {
        if let Some(refused) = self.introduce().await? {
            return Ok(Ended::NotSignedIn(refused));
        }
        let (line_sender, mut lines) = mpsc::channel(64);
        let reading =
            tokio::spawn(stream::read_for_ever(self.proxy.clone(), http::stream_client()?, line_sender));
        let acks = acks::Acks::start(self.proxy.clone(), self.means.journal.clone());
        let (lost_sender, mut lost) = mpsc::unbounded_channel();
        let beating = tokio::spawn(leases::beat(
            self.proxy.clone(),
            self.leases.clone(),
            self.means.clone(),
            lost_sender,
        ));
        let mut resumed = false;
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => self.take_line(line, &acks, &mut resumed).await?,
                    None => break,
                },
                Some(seqs) = done.recv() => {
                    self.leases.done(&seqs);
                    acks.stir();
                }
                Some(key) = lost.recv() => self.lose(&key).await,
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if let Ok(key) = ended {
                        // A task that ended while an event was on its way is started again by that event.
                        if self.sessions.get(&key).is_some_and(mpsc::Sender::is_closed) {
                            self.sessions.remove(&key);
                        }
                    }
                }
            }
        }
        beating.abort();
        Ok(match reading.await? {
            Over::Replaced => Ended::Replaced,
            Over::Refused => Ended::NotSignedIn(refusal()),
            Over::Unread => Ended::Stopped,
        })
    }

    /// Registers with the proxy and tells the panel which repositories are here. `Some`: the key is refused.
    async fn introduce(&self) -> anyhow::Result<Option<String>> {
        let config = &self.means.config;
        let registration = Registration {
            worker_id: Some(self.means.journal.worker_id()),
            name: config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            repositories: config.repositories.iter().map(|repository| repository.name.clone()).collect(),
            teams: Vec::new(),
            executors: vec![self.means.executor.name().to_owned()],
            slots: config.slots,
            weight: config.weight,
        };
        let mut pause = std::time::Duration::from_millis(500);
        loop {
            match self.proxy.register(&registration).await {
                Ok(_) => break,
                Err(error) if stream::is_refusal(&error) => return Ok(Some(refusal())),
                Err(error) if error.is_passing() => {
                    warn!(
                        "the proxy cannot be reached ({error}); trying again in {:.0} s",
                        pause.as_secs_f64().ceil()
                    );
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(std::time::Duration::from_secs(30));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(panel) = &self.means.outside.panel {
            for repository in &config.repositories {
                let new = NewRepository {
                    name: repository.name.clone(),
                    path: repository.repository_path.display().to_string(),
                    remote: None,
                    base_branch: repository.base_branch.clone(),
                    linear_workspace_id: repository.linear_workspace_id.clone(),
                };
                if let Err(error) = panel.add_repository(&new).await {
                    warn!("the panel does not know {} yet: {error}", repository.name);
                }
            }
        }
        info!("registered; waiting for events");
        Ok(None)
    }

    async fn take_line(
        &mut self,
        line: StreamLine,
        acks: &acks::Acks,
        resumed: &mut bool,
    ) -> anyhow::Result<()> {
        match line {
            StreamLine::Hello { intervals, leases, accepted, .. } => {
                self.leases.set_pace(intervals);
                let tokens: HashMap<SessionKey, FencingToken> =
                    leases.into_iter().map(|lease| (lease.session_key, lease.token)).collect();
                if !*resumed {
                    *resumed = true;
                    self.resume(&tokens).await?;
                }
                // The hub believes these are here; if the journal lacks one, it must come again.
                for seq in self.means.journal.missing(accepted).await? {
                    acks.say_retry(seq, &tokens).await;
                }
                acks.stir();
            }
            StreamLine::Event { seq, session_key, token, takeover, first_thought, event, .. } => {
                if self.means.config.repository_for(event.workspace_id.as_str()).is_none() {
                    let ack = Ack {
                        seq,
                        token,
                        state: AckState::Reject,
                        reason: Some("not_served".to_owned()),
                        after_ms: None,
                        result: None,
                    };
                    acks.say(ack).await;
                    return Ok(());
                }
                let taken = Taken {
                    seq,
                    session_key,
                    token,
                    first_thought,
                    takeover,
                    turn_over: false,
                    event: *event,
                };
                let known = self.means.journal.take(taken.clone()).await?;
                let ack =
                    Ack { seq, token, state: AckState::Accepted, reason: None, after_ms: None, result: None };
                acks.say(ack).await;
                match known {
                    Known::New => self.hand_over(taken).await,
                    Known::Open => self.leases.holds(&taken.session_key, token, seq),
                    Known::Done => acks.stir(),
                }
            }
            StreamLine::Revoked { session_key, .. } => self.lose(&session_key).await,
            StreamLine::Config { .. }
            | StreamLine::Heartbeat
            | StreamLine::Reconnect
            | StreamLine::Replaced => {}
        }
        Ok(())
    }

    /// After a restart: what is open in the journal and still leased here goes on; the rest has moved.
    async fn resume(&mut self, tokens: &HashMap<SessionKey, FencingToken>) -> anyhow::Result<()> {
        for taken in self.means.journal.open_events().await? {
            if tokens.get(&taken.session_key) == Some(&taken.token) {
                info!(seq = %taken.seq, "going on where the last run of cyrus stopped");
                self.hand_over(taken).await;
            } else {
                self.means.journal.give_up(vec![taken.seq]).await?;
            }
        }
        Ok(())
    }

    async fn hand_over(&mut self, taken: Taken) {
        self.leases.holds(&taken.session_key, taken.token, taken.seq);
        let key = taken.session_key.clone();
        let told = Told::Event(Box::new(taken));
        let told = match self.sessions.get(&key) {
            Some(inbox) => match inbox.send(told).await {
                Ok(()) => return,
                Err(returned) => returned.0,
            },
            None => told,
        };
        let (sender, receiver) = mpsc::channel(256);
        // The channel is new and empty, so this cannot wait or fail.
        let _ = sender.send(told).await;
        let (means, task_key) = (self.means.clone(), key.clone());
        self.tasks.spawn(async move {
            session::run(means, task_key.clone(), receiver).await;
            task_key
        });
        self.sessions.insert(key, sender);
    }

    async fn lose(&mut self, key: &SessionKey) {
        warn!(session_key = %key, "the lease is lost: its run stops and nothing more is posted");
        self.leases.lose(key);
        if let Some(inbox) = self.sessions.remove(key) {
            let _ = inbox.send(Told::LeaseLost).await;
        }
    }

    /// Lets runs end: their processes stop, their events stay open in the journal.
    async fn leave(&mut self) {
        self.sessions.clear();
        let limit = std::time::Duration::from_secs(12);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            warn!("a run did not end in {} s", limit.as_secs());
        }
        info!("stopped; open work goes on at the next start");
    }
}

fn refusal() -> String {
    "the proxy refuses this worker key: it is unknown or revoked; make a new one in the panel under Workers and put it into CONTROL_PANEL_API_KEY".to_owned()
}
