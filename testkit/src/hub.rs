//! A stand-in for the hub's side of the protocol, for measurements of `cyrus` alone: one worker, one stream, offers written
//! by hand, and when each was accepted. Delivery itself is tested with the real hub.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use serde_json::{Value, json};
use shared::id::EventId;
use shared::stream::PROTOCOL;
use shared::time::Timestamp;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::linear::LinearHandle;
use crate::server::{Server, now_ms};

#[derive(Default)]
struct Book {
    worker: Option<Value>,
    lines: Option<mpsc::UnboundedSender<String>>,
    accepted: HashMap<u64, Instant>,
    done: usize,
}

#[derive(Clone)]
struct Desk {
    book: Arc<Mutex<Book>>,
    token: Value,
}

impl Desk {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running stand-in; it ends when this is dropped.
pub struct HubStandIn {
    server: Server,
    desk: Desk,
    workspace: String,
}

impl HubStandIn {
    /// Serves on a free port; workers get the token of this Linear.
    pub async fn start(linear: &LinearHandle) -> io::Result<Self> {
        let config = linear.config();
        let token = json!({"authorization": format!("Bearer {}", config.access_token),
            "apiUrl": linear.graphql_url(), "workspaceId": config.organization_id});
        let desk = Desk { book: Arc::default(), token };
        let routes = Router::new()
            .route("/v1/workers", post(register))
            .route("/v1/workers/me/drain", post(async || Json(json!({"draining": true}))))
            .route("/v1/events", get(stream))
            .route("/v1/acks", post(acks))
            .route("/v1/heartbeats", post(async || Json(json!({"lost": [], "exclusiveMs": 600_000}))))
            .route("/v1/tokens/linear", get(async |State(desk): State<Desk>| Json(desk.token)))
            .with_state(desk.clone());
        let server = Server::start(0, routes).await?;
        Ok(Self { server, desk, workspace: config.organization_id.clone() })
    }

    /// Base URL without a slash at the end.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// Whether a worker listens.
    pub fn is_listened_to(&self) -> bool {
        self.desk.book().lines.is_some()
    }

    /// Begins the stream; nothing is offered before.
    pub fn hello(&self) {
        let worker = self.desk.book().worker.clone().unwrap_or_default();
        self.say(&json!({"type": "hello", "workerId": worker, "protocol": PROTOCOL, "serverTime": stamp(),
            "intervals": intervals(), "leases": [], "accepted": []}));
    }

    /// Offers a new session on an issue of its own, under its number.
    pub fn offer(&self, seq: u64, identifier: &str, description: &str) {
        let (session, issue) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let issue = json!({"id": issue, "identifier": identifier, "title": format!("Work, {identifier}"), "description": description});
        let event = json!({"id": EventId::from_uuid(Uuid::now_v7()), "deliveryId": Uuid::new_v4(), "receivedAt": stamp(),
            "workspaceId": self.workspace, "kind": "session_created", "agentSession": {"id": session, "issue": issue}});
        let key = issue["id"].clone();
        self.say(
            &json!({"type": "event", "seq": seq, "attempt": 1, "sessionKey": key, "token": 1, "event": event}),
        );
    }

    /// When an offer was accepted.
    pub fn accepted(&self, seq: u64) -> Option<Instant> {
        self.desk.book().accepted.get(&seq).copied()
    }

    /// How many events are done.
    pub fn done(&self) -> usize {
        self.desk.book().done
    }

    fn say(&self, line: &Value) {
        if let Some(lines) = &self.desk.book().lines {
            // The worker has gone: whoever measures sees that nothing is accepted.
            let _ = lines.send(format!("{line}\n"));
        }
    }
}

fn stamp() -> String {
    Timestamp::from_millis(now_ms()).to_string()
}

fn intervals() -> Value {
    json!({"heartbeatLineMs": 15_000, "workerHeartbeatMs": 5_000, "leaseMs": 150_000, "offerMs": 10_000})
}

async fn register(State(desk): State<Desk>, Json(registration): Json<Value>) -> Json<Value> {
    let worker = registration["workerId"].clone();
    desk.book().worker = Some(worker.clone());
    Json(json!({"workerId": worker, "protocol": PROTOCOL, "intervals": intervals()}))
}

async fn stream(State(desk): State<Desk>) -> Response {
    let (sender, receiver) = mpsc::unbounded_channel::<String>();
    desk.book().lines = Some(sender);
    let lines = futures_util::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|line| (line, receiver))
    });
    Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>)).into_response()
}

async fn acks(State(desk): State<Desk>, Json(acks): Json<Vec<Value>>) -> Json<Vec<&'static str>> {
    let now = Instant::now();
    let mut book = desk.book();
    for ack in &acks {
        match (ack["seq"].as_u64(), ack["state"].as_str()) {
            (Some(seq), Some("accepted")) => drop(book.accepted.entry(seq).or_insert(now)),
            (_, Some("done")) => book.done += 1,
            _ => {}
        }
    }
    Json(acks.iter().map(|_| "ok").collect())
}
