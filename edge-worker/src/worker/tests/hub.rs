//! The hub's side of the protocol, as a test wants it: streams are written by hand, answers are set, what came is kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::StreamExt;
use serde_json::{Value, json};
use shared::event::{AgentSession, Event, EventBody};
use shared::id::{
    AgentSessionId, DeliveryId, EventId, FencingToken, LinearWorkspaceId, OrgId, Seq, SessionKey, WorkerId,
};
use shared::problem::{Problem, ProblemCode};
use shared::stream::{HeldLease, Intervals, PROTOCOL, StreamLine};
use shared::worker::Heartbeat;
use shared::worker_key::WorkerKey;
use tokio::sync::mpsc;

use super::*;

/// What it knows.
#[derive(Default)]
pub struct Book {
    /// Every ack that arrived, also of requests that were then refused.
    pub acks: Vec<Ack>,
    /// How many acks each request held.
    pub batches: Vec<usize>,
    /// Every heartbeat.
    pub heartbeats: Vec<Heartbeat>,
    /// Registrations.
    pub registrations: usize,
    /// Times that a worker said that it leaves.
    pub drains: usize,
    /// Requests of acks that are still to be refused.
    pub refuse_acks: usize,
    /// Events whose acks are stale.
    pub stale: Vec<(Seq, FencingToken)>,
    /// Keys whose heartbeat is answered with "lost".
    pub lost: Vec<SessionKey>,
    /// Heartbeats are refused.
    pub no_heartbeats: bool,
    /// The exclusive time that heartbeats are answered with.
    pub exclusive_ms: u64,
    /// No `/drain` here.
    pub is_old: bool,
    /// The next stream is refused: the worker is unknown.
    pub forgets: bool,
    waiting: VecDeque<mpsc::UnboundedSender<String>>,
    opened: usize,
}

/// A hub.
#[derive(Clone)]
pub struct Hub {
    pub book: Arc<Mutex<Book>>,
    pub base: String,
}

/// One open stream, to be written to. Dropping it cuts it.
pub struct Lines(mpsc::UnboundedSender<String>);

impl Lines {
    pub fn say(&self, line: &StreamLine) {
        self.0.send(serde_json::to_string(line).unwrap() + "\n").unwrap();
    }
}

impl Hub {
    pub async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let book = Arc::new(Mutex::new(Book { exclusive_ms: 600_000, ..Book::default() }));
        let routes = Router::new()
            .route("/v1/workers", post(register))
            .route("/v1/events", get(stream))
            .route("/v1/acks", post(acks))
            .route("/v1/heartbeats", post(heartbeat))
            .route("/v1/workers/me/drain", post(drain))
            .with_state(Arc::clone(&book));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { book, base }
    }

    pub fn with<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        work(&mut self.book.lock().unwrap())
    }

    /// The next stream that is asked for.
    pub async fn stream(&self) -> Lines {
        Lines(until("a stream is opened", || self.with(|book| book.waiting.pop_front())).await)
    }

    /// How many streams were opened.
    pub fn streams(&self) -> usize {
        self.with(|book| book.opened)
    }

    pub fn acks(&self) -> Vec<Ack> {
        self.with(|book| book.acks.clone())
    }

    pub async fn acked(&self, seq: u64, state: AckState) -> Ack {
        let found = |ack: &Ack| ack.seq == Seq(seq) && ack.state == state;
        until(&format!("{state:?} of {seq}"), || self.acks().into_iter().find(found)).await
    }

    pub fn client(&self, worker: WorkerId) -> ProxyClient {
        let key = WorkerKey::new(OrgId::from_uuid(fresh_uuid()), [1; 32]);
        ProxyClient::new(http::client().unwrap(), self.base.clone(), key, worker)
    }
}

type Books = State<Arc<Mutex<Book>>>;

fn intervals() -> Intervals {
    Intervals { heartbeat_line_ms: 15_000, worker_heartbeat_ms: 1_000, lease_ms: 150_000, offer_ms: 10_000 }
}

async fn register(State(book): Books, body: Bytes) -> Response {
    book.lock().unwrap().registrations += 1;
    let registration: Value = serde_json::from_slice(&body).unwrap();
    axum::Json(json!({"workerId": registration["workerId"], "protocol": PROTOCOL, "intervals": intervals()}))
        .into_response()
}

async fn stream(State(book): Books) -> Response {
    let (lines, receiver) = mpsc::unbounded_channel::<String>();
    let mut book = book.lock().unwrap();
    if std::mem::take(&mut book.forgets) {
        let problem = Problem::new(ProblemCode::WorkerUnknown, "register first");
        return (StatusCode::NOT_FOUND, axum::Json(problem)).into_response();
    }
    book.waiting.push_back(lines);
    book.opened += 1;
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|line| (line, receiver))
    });
    Body::from_stream(stream.map(Ok::<_, std::convert::Infallible>)).into_response()
}

async fn acks(State(book): Books, body: Bytes) -> Response {
    let acks: Vec<Ack> = serde_json::from_slice(&body).unwrap();
    let mut book = book.lock().unwrap();
    book.batches.push(acks.len());
    book.acks.extend(acks.iter().cloned());
    if book.refuse_acks > 0 {
        book.refuse_acks -= 1;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let is_stale = |ack: &Ack| book.stale.contains(&(ack.seq, ack.token));
    let answer = |ack: &Ack| if is_stale(ack) { AckAnswer::Stale } else { AckAnswer::Ok };
    axum::Json(acks.iter().map(answer).collect::<Vec<_>>()).into_response()
}

async fn heartbeat(State(book): Books, body: Bytes) -> Response {
    let heartbeat: Heartbeat = serde_json::from_slice(&body).unwrap();
    let mut book = book.lock().unwrap();
    let lost: Vec<_> =
        heartbeat.leases.iter().filter(|claim| book.lost.contains(&claim.session_key)).cloned().collect();
    if book.no_heartbeats {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let exclusive_ms = book.exclusive_ms;
    book.heartbeats.push(heartbeat);
    axum::Json(json!({"lost": lost, "exclusiveMs": exclusive_ms})).into_response()
}

async fn drain(State(book): Books) -> Response {
    let mut book = book.lock().unwrap();
    if book.is_old {
        return StatusCode::NOT_FOUND.into_response();
    }
    book.drains += 1;
    axum::Json(json!({"draining": true})).into_response()
}

pub fn hello(leases: Vec<HeldLease>, accepted: Vec<Seq>) -> StreamLine {
    StreamLine::Hello {
        worker_id: WorkerId::from_uuid(fresh_uuid()),
        protocol: PROTOCOL,
        server_time: now(),
        intervals: intervals(),
        config_etag: None,
        leases,
        accepted,
    }
}

pub fn lease(key: &str, token: u64, stop: bool) -> HeldLease {
    HeldLease { session_key: SessionKey(key.to_owned()), token: FencingToken(token), stop }
}

pub fn offer(seq: u64, key: &str, token: u64) -> StreamLine {
    let agent_session = AgentSession {
        id: AgentSessionId(key.to_owned()),
        url: None,
        issue: None,
        comment: None,
        creator_name: None,
        local: false,
    };
    StreamLine::Event {
        seq: Seq(seq),
        attempt: 1,
        session_key: SessionKey(key.to_owned()),
        token: FencingToken(token),
        takeover: false,
        ask: false,
        first_thought: false,
        linear_slice: None,
        event: Box::new(Event {
            id: EventId::from_uuid(fresh_uuid()),
            delivery_id: DeliveryId(format!("d{seq}")),
            received_at: now(),
            workspace_id: LinearWorkspaceId("w".to_owned()),
            body: EventBody::SessionPrompted {
                agent_session,
                activity_id: "a".to_owned(),
                text: "go on".to_owned(),
                from_panel: false,
            },
        }),
    }
}
