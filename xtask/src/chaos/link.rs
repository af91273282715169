//! The fault proxy: stands between one edge and the proxy Worker, and breaks what passes through it on command.
//!
//! It knows HTTP, so that acks and heartbeats can be dropped, repeated and delayed one by one (`post`), and
//! streams stalled (`relay`); cuts and half-open connections are made at the socket (`gate`). It never changes
//! a byte: what arrives, arrives as it was sent.

mod gate;
mod post;
mod relay;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use gate::{Gate, Valve};

/// How often each fault was really injected: one that found nothing to break does not count.
#[derive(Debug, Clone, Default)]
pub struct Injected(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Injected {
    /// One more of this.
    pub fn count(&self, fault: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(fault).or_default() += 1;
    }

    /// All counts.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One edge's way to the proxy Worker.
pub struct Link {
    /// Where the edge finds it.
    pub url: String,
    shared: Arc<Shared>,
    accept: JoinHandle<()>,
}

/// What every connection of a link knows.
struct Shared {
    upstream: SocketAddr,
    /// Connections begun before a change of this number are cut.
    epoch: watch::Sender<u64>,
    /// Shut while the link is half open.
    valve: Valve,
    /// Streams are not read on while this is true.
    stalled: watch::Sender<bool>,
    noisy: AtomicBool,
    dice: Mutex<fastrand::Rng>,
    connections: AtomicUsize,
    streams: AtomicUsize,
    injected: Injected,
}

/// Counts up now and down when dropped.
struct Counted(Arc<Shared>, fn(&Shared) -> &AtomicUsize);

impl Counted {
    fn new(shared: &Arc<Shared>, which: fn(&Shared) -> &AtomicUsize) -> Self {
        which(shared).fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared), which)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1(&self.0).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that gets no answer: the connection ends instead.
#[derive(Debug)]
struct NoAnswer;

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for NoAnswer {}

impl Link {
    /// Listens on a free port of loopback; everything goes to `upstream`. `dice` decides the fate of each post.
    pub async fn start(upstream: SocketAddr, dice: fastrand::Rng, injected: Injected) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            upstream,
            epoch: watch::channel(0).0,
            valve: Valve::default(),
            stalled: watch::channel(false).0,
            noisy: AtomicBool::new(false),
            dice: Mutex::new(dice),
            connections: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            injected,
        });
        let accept = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, accept })
    }

    /// From now on acks and heartbeats are dropped, repeated and delayed, or no more.
    pub fn noise(&self, on: bool) {
        self.shared.noisy.store(on, Ordering::Relaxed);
    }

    /// Resets every connection.
    pub fn cut(&self) {
        if self.shared.connections.load(Ordering::Relaxed) > 0 {
            self.shared.injected.count("cut");
        }
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// Stops reading the streams for this long; everything else passes.
    pub async fn stall(&self, time: Duration) {
        if self.shared.streams.load(Ordering::Relaxed) > 0 {
            self.shared.injected.count("stall");
        }
        self.shared.stalled.send_replace(true);
        tokio::time::sleep(time).await;
        self.shared.stalled.send_replace(false);
    }

    /// Swallows what comes from the edge and what goes to it, and hides that either closes; then resets what is left.
    pub async fn half_open(&self, time: Duration) {
        if self.shared.connections.load(Ordering::Relaxed) > 0 {
            self.shared.injected.count("half_open");
        }
        self.shared.valve.shut();
        tokio::time::sleep(time).await;
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
        self.shared.valve.open();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accept.abort();
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                tokio::spawn(serve(socket, Arc::clone(&shared)));
            }
            // Out of file descriptors, as a rule: it passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(socket: TcpStream, shared: Arc<Shared>) {
    let mut epoch = shared.epoch.subscribe();
    // Slower without it, no more.
    let _ = socket.set_nodelay(true);
    let counted = Counted::new(&shared, |shared| &shared.connections);
    let gate = TokioIo::new(Gate::new(socket, shared.valve.clone(), epoch.clone()));
    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
    let connection = http1::Builder::new().serve_connection(gate, service).with_upgrades();
    tokio::select! {
        _ = connection => {}
        _ = epoch.changed() => {}
    }
    drop(counted);
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<hyper::Response<relay::Answer>, NoAnswer> {
    let path = request.uri().path();
    if request.method() == Method::POST && matches!(path, "/v1/acks" | "/v1/heartbeats") {
        return post::pass(request, shared).await;
    }
    relay::pass(request, shared).await
}

#[cfg(test)]
mod tests;
