//! A worker: registers, reads the stream, hands events to a workshop, keeps leases alive, acks.
//!
//! An event is accepted only after its row is in the journal. Everything here can be killed at any instant: the
//! next start goes on from the journal. Parts: [`leases`] (when effects may happen), [`heartbeat`], [`acks`],
//! [`desk`] (lines and their events), [`crew`] (one task a session key), [`workshop`] (what those do),
//! [`sessions`] (what they do in `cyrus start`), [`standalone`] (a run without any
//! of this), [`leaving`], [`registration`], [`linear_budget`], [`slots`].

mod acks;
pub mod boot_clock;
mod crew;
mod desk;
mod heartbeat;
pub mod leases;
pub mod leaving;
pub mod linear_budget;
mod news;
mod registration;
mod sessions;
pub mod slots;
pub mod standalone;
mod switchboard;
#[cfg(test)]
mod tests;
pub mod workshop;

use std::sync::Arc;

use shared::id::{Seq, new_uuid};
use shared::time::Timestamp;
use shared::worker::Registration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};
use uuid::Uuid;

use crate::control::server::Call;
use crate::http;
use crate::journal::Journal;
use crate::proxy::client::ProxyClient;
use crate::proxy::stream::transport::Transport;
use crate::proxy::stream::{Arrival, LINES_AHEAD, Over, Patience, Reader};
use boot_clock::Clock;
use desk::Desk;
use leases::Leases;
use leaving::Ask;
use linear_budget::LinearUse;
pub use sessions::station;
use slots::Slots;
use switchboard::Switchboard;
use workshop::{Tools, Workshop};

/// Why a worker ended.
#[derive(Debug)]
pub enum Ended {
    /// Somebody wanted it to.
    Stopped,
    /// The key is not taken.
    NotSignedIn(String),
    /// Another process with this journal took over.
    Replaced,
    /// Proxy and `cyrus` have no protocol in common: what mends it.
    OtherProtocol(String),
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

/// All that makes a worker.
pub struct Station {
    /// Its journal; its id is the worker's.
    pub journal: Journal,
    /// Its proxy.
    pub proxy: ProxyClient,
    /// What it tells of itself.
    pub registration: Registration,
    /// How the stream comes.
    pub transport: Transport,
    /// The clock that `leases` are counted on.
    pub clock: Arc<dyn Clock>,
    /// Its leases.
    pub leases: Leases,
    /// Its spending.
    pub linear_use: LinearUse,
    /// What does the work.
    pub workshop: Arc<dyn Workshop>,
}

/// Works until a signal, a refusal, or another process with the same journal.
pub async fn run(station: Station) -> anyhow::Result<Ended> {
    run_until(station, leaving::listen()?).await
}

/// The same, and hears the calls of the person whose machine it is.
pub async fn run_with_calls(station: Station, calls: mpsc::UnboundedReceiver<Call>) -> anyhow::Result<Ended> {
    run_called(station, leaving::listen()?, calls).await
}

/// Works until it is asked to end, is refused, or is replaced.
async fn run_until(station: Station, asks: mpsc::UnboundedReceiver<Ask>) -> anyhow::Result<Ended> {
    run_called(station, asks, mpsc::unbounded_channel().1).await
}

async fn run_called(
    station: Station,
    mut asks: mpsc::UnboundedReceiver<Ask>,
    mut calls: mpsc::UnboundedReceiver<Call>,
) -> anyhow::Result<Ended> {
    let (ending_sender, ending) = watch::channel(false);
    let (done, done_receiver) = mpsc::unbounded_channel();
    let tools = Tools {
        journal: station.journal.clone(),
        leases: station.leases.clone(),
        linear_use: station.linear_use.clone(),
        slots: Slots::new(station.registration.slots),
        done,
        ending,
    };
    let (registration_sender, registration) = watch::channel(station.registration.clone());
    station.workshop.tells_changes(&tools, registration_sender);
    // While the proxy is away, any signal ends it: nothing is open in this process yet.
    let board = Switchboard::new(station.registration.clone(), Arc::clone(&station.workshop), tools.clone());
    let introduced = {
        let mut registering = std::pin::pin!(registration::register(&station.proxy, &station.registration));
        loop {
            tokio::select! {
                introduced = &mut registering => break introduced?,
                Some(_) = asks.recv() => break Some(Ended::Stopped),
                Some(call) = calls.recv() => {
                    if board.answer(call, None, false).await?.is_some() {
                        break Some(Ended::Stopped);
                    }
                }
            }
        }
    };
    if let Some(ended) = introduced {
        return Ok(ended);
    }
    station.workshop.registered().await;
    let clearing = tokio::spawn(station.workshop.begins(tools.clone()));
    info!("registered; waiting for events");
    let mut worker = Worker { station, tools, board, registration, introducing: None, leaving: None };
    let ended = worker.work(done_receiver, &mut asks, &mut calls, &ending_sender).await;
    clearing.abort();
    if let Some(telling) = worker.leaving.take() {
        telling.abort();
    }
    ended
}

struct Worker {
    station: Station,
    tools: Tools,
    board: Switchboard,
    /// What it tells of itself, as that changes.
    registration: watch::Receiver<Registration>,
    /// Tells the proxy of such a change.
    introducing: Option<JoinHandle<()>>,
    /// Somebody asked it to leave: the task that tells the proxy.
    leaving: Option<JoinHandle<()>>,
}

impl Worker {
    async fn work(
        &mut self,
        mut done: mpsc::UnboundedReceiver<Vec<Seq>>,
        asks: &mut mpsc::UnboundedReceiver<Ask>,
        calls: &mut mpsc::UnboundedReceiver<Call>,
        ending: &watch::Sender<bool>,
    ) -> anyhow::Result<Ended> {
        let (news_sender, mut news) = mpsc::unbounded_channel();
        let proxy = &self.station.proxy;
        let acks = acks::Acks::start(
            proxy.clone(),
            self.tools.journal.clone(),
            self.tools.leases.clone(),
            news_sender.clone(),
        );
        let pulse = heartbeat::Pulse {
            proxy: proxy.clone(),
            leases: self.tools.leases.clone(),
            linear_use: self.tools.linear_use.clone(),
            slots: self.tools.slots.clone(),
        };
        let beating = tokio::spawn(pulse.beat(news_sender));
        let (mut reading, mut lines) = self.read()?;
        let mut desk = Desk::new(self.tools.clone(), Arc::clone(&self.station.workshop), acks);
        let mut registration = self.registration.clone();
        let ended = loop {
            let settling = desk.acks().change();
            if self.leaving.is_some() && desk.is_finished() {
                info!("all sessions are finished");
                break Ended::Stopped;
            }
            tokio::select! {
                line = lines.recv(), if desk.has_room() => match line {
                    Some(arrival) => {
                        self.board.heard();
                        desk.take_line(arrival).await?;
                    }
                    None => match (&mut reading).await? {
                        Over::Unregistered => {
                            if let Some(ended) = self.register_again().await? {
                                break ended;
                            }
                            (reading, lines) = self.read()?;
                        }
                        over => break ended_by(over),
                    },
                },
                Some(seqs) = done.recv() => desk.done(&seqs).await,
                Some(found) = news.recv() => desk.act_on(found).await?,
                step = desk.progress() => desk.go_on(step).await?,
                () = settling, if self.leaving.is_some() => {}
                Ok(()) = registration.changed(), if self.leaving.is_none() => {
                    self.station.registration = registration.borrow_and_update().clone();
                    self.introduce();
                }
                Some(ask) = asks.recv() => {
                    if ask == Ask::Stop || self.leaving.is_some() || desk.is_finished() {
                        break Ended::Stopped;
                    }
                    self.leave(&mut desk);
                }
                Some(call) = calls.recv() => {
                    let is_leaving = self.leaving.is_some();
                    match self.board.answer(call, Some(&mut desk), is_leaving).await? {
                        Some(Ask::Stop) => break Ended::Stopped,
                        Some(Ask::Leave) if desk.is_finished() => break Ended::Stopped,
                        Some(Ask::Leave) if !is_leaving => self.leave(&mut desk),
                        Some(Ask::Leave) | None => {}
                    }
                }
            }
        };
        reading.abort();
        beating.abort();
        self.introducing.take().inspect(JoinHandle::abort);
        ending.send_replace(true);
        desk.close().await;
        Ok(ended)
    }

    /// From now on nothing new is taken.
    fn leave(&mut self, desk: &mut Desk) {
        warn!("finishing {} sessions; press Ctrl-C again to stop now", desk.open_sessions());
        desk.takes_no_new_sessions();
        // A registration that came later would end the leaving there.
        self.introducing.take().inspect(JoinHandle::abort);
        self.leaving = Some(tokio::spawn(leaving::tell(self.station.proxy.clone())));
    }

    fn read(&self) -> anyhow::Result<(JoinHandle<Over>, mpsc::Receiver<Arrival>)> {
        let (lines, receiver) = mpsc::channel(LINES_AHEAD);
        let reader = Reader {
            proxy: self.station.proxy.clone(),
            http: http::stream_client()?,
            transport: self.station.transport,
            clock: Arc::clone(&self.station.clock),
            patience: Patience::default(),
            lines,
        };
        Ok((tokio::spawn(reader.read_for_ever()), receiver))
    }

    /// Tells the proxy what is different, beside everything else.
    fn introduce(&mut self) {
        let (proxy, registration) = (self.station.proxy.clone(), self.station.registration.clone());
        let workshop = Arc::clone(&self.station.workshop);
        info!(
            "{} slots, {} repositories: the proxy is told",
            registration.slots,
            registration.repositories.len()
        );
        let telling = tokio::spawn(async move {
            if let Ok(None) = registration::register(&proxy, &registration).await {
                workshop.registered().await;
            }
        });
        if let Some(before) = self.introducing.replace(telling) {
            before.abort();
        }
    }

    /// The hub has forgotten the worker.
    async fn register_again(&mut self) -> anyhow::Result<Option<Ended>> {
        warn!("the proxy does not know this worker any more; it registers again");
        let refused = registration::register(&self.station.proxy, &self.station.registration).await?;
        if let Some(telling) = &mut self.leaving {
            // A registration ends the leaving there.
            telling.abort();
            *telling = tokio::spawn(leaving::tell(self.station.proxy.clone()));
        }
        Ok(refused)
    }
}

fn ended_by(over: Over) -> Ended {
    match over {
        Over::Replaced => Ended::Replaced,
        Over::Refused => Ended::NotSignedIn(registration::refusal()),
        Over::Protocol(mend) => Ended::OtherProtocol(mend),
        Over::Unread | Over::Unregistered => Ended::Stopped,
    }
}
