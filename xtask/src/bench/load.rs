//! Signed webhooks, made before the clock runs, and the closed loop that sends them.
//!
//! Each connection is kept alive and has one request open at a time. Any answer that is not the expected one ends
//! the measurement: a fast refusal is no throughput.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use testkit::webhook::{AgentSessionWebhooks, sign};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::side::{Side, Tenant};

/// A webhook that is ready to be sent. Good for a minute: its stamp is in it.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The body's bytes.
    pub body: Bytes,
    /// Its signature.
    pub signature: String,
    /// Its delivery id.
    pub delivery: String,
    /// The session key of what it means.
    pub session_key: String,
}

impl Webhook {
    /// A new agent session on a new issue.
    pub fn created(side: &Side, tenant: &Tenant) -> Self {
        let hooks = session(tenant);
        Self::of(side, &hooks, &hooks.created_by_delegation(now_ms()).to_string())
    }

    /// Any body of this session, signed.
    pub fn of(side: &Side, hooks: &AgentSessionWebhooks, body: &str) -> Self {
        Self {
            signature: sign(&side.secret, body.as_bytes()),
            body: Bytes::copy_from_slice(body.as_bytes()),
            delivery: Uuid::new_v4().to_string(),
            session_key: hooks.issue_id.clone(),
        }
    }
}

/// An agent session on an issue of its own.
pub fn session(tenant: &Tenant) -> AgentSessionWebhooks {
    let (session, issue) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    AgentSessionWebhooks::new(&tenant.workspace, "bench-app-user", &session, &issue)
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What one volley gave.
#[derive(Debug, Clone)]
pub struct Volley {
    /// From the first request to the last answer.
    pub took: Duration,
    /// Of each request, in ms.
    pub latencies_ms: Vec<f64>,
    /// How often a kept connection was found closed, so that a webhook was sent again on a new one.
    pub reopened: usize,
}

impl Volley {
    /// Webhooks a second.
    pub fn rate(&self) -> f64 {
        self.latencies_ms.len() as f64 / self.took.as_secs_f64()
    }
}

/// A kept-alive connection. workerd closes one now and then while a machine is busy; it is opened again, as any sender does.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    /// How often it was opened again.
    pub reopened: usize,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        Ok(Self { sender: connect(address).await?, address, reopened: 0 })
    }

    /// Sends a webhook and waits for its whole answer; anything but "stored" is an error.
    pub async fn send(&mut self, webhook: &Webhook) -> Result<()> {
        if let Ok((status, body)) = self.once(webhook).await {
            return expect(status, &body, &["stored"]);
        }
        self.sender = connect(self.address).await?;
        self.reopened += 1;
        let (status, body) = self.once(webhook).await.context("no answer to a webhook, twice")?;
        // The first one may have been stored, and only its answer lost.
        expect(status, &body, &["stored", "duplicate"])
    }

    async fn once(&mut self, webhook: &Webhook) -> Result<(StatusCode, Bytes)> {
        let request = Request::post("/webhooks/linear")
            .header("host", self.address.to_string())
            .header("content-type", "application/json; charset=utf-8")
            .header("linear-delivery", &webhook.delivery)
            .header("linear-event", "AgentSessionEvent")
            .header("linear-signature", &webhook.signature)
            .body(Full::new(webhook.body.clone()))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        Ok((response.status(), response.into_body().collect().await?.to_bytes()))
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Its end shows at the next request.
        let _ = connection.await;
    });
    Ok(sender)
}

fn expect(status: StatusCode, body: &[u8], words: &[&str]) -> Result<()> {
    let answered = |word: &&str| body == format!(r#"{{"status":"{word}"}}"#).as_bytes();
    let taken = status == StatusCode::OK && words.iter().any(answered);
    ensure!(taken, "a webhook was answered {status}: {}", String::from_utf8_lossy(body));
    Ok(())
}

/// Sends them all over this many connections.
pub async fn fire(address: SocketAddr, connections: usize, webhooks: Vec<Webhook>) -> Result<Volley> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let (webhooks, next) = (Arc::new(webhooks), Arc::new(AtomicUsize::new(0)));
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for mut connection in open {
        let (webhooks, next) = (webhooks.clone(), next.clone());
        senders.spawn(async move {
            let mut latencies_ms = Vec::new();
            while let Some(webhook) = webhooks.get(next.fetch_add(1, Ordering::Relaxed)) {
                let sent = Instant::now();
                connection.send(webhook).await?;
                latencies_ms.push(sent.elapsed().as_secs_f64() * 1000.0);
            }
            anyhow::Ok((latencies_ms, connection.reopened))
        });
    }
    let mut latencies_ms = Vec::with_capacity(webhooks.len());
    let mut reopened = 0;
    while let Some(sent) = senders.join_next().await {
        let (latencies, again) = sent??;
        latencies_ms.extend(latencies);
        reopened += again;
    }
    Ok(Volley { took: began.elapsed(), latencies_ms, reopened })
}
