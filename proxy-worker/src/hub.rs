//! The hub: one Durable Object per organization that keeps events, leases, workers and provider tokens.
//!
//! Its rules are the pure transitions of `shared::hub`; this is their thin shell over SQLite, WebSockets and
//! one alarm. Parts, a file each: [`schema`]; [`ledger`] and [`row`] (the rules' tables); [`call`] (one call of
//! the rules); [`arrival`] (events in), [`ack`], [`lease`], [`stream`], [`timer`]; [`key`], [`worker`], [`command`];
//! [`connection`] (provider tokens), [`words`] (what the hub itself says in Linear), [`view`] and [`wakes`] (what
//! people see). No file waits for anything while it has half-written state: each change is one transaction without
//! an `await` inside.

mod ack;
mod arrival;
mod call;
mod command;
mod connection;
mod key;
mod lease;
mod ledger;
mod row;
mod schema;
mod stream;
mod timer;
mod view;
mod wakes;
mod words;
mod worker;

use std::cell::{Cell, RefCell};

use ::worker::{
    DurableObject, Env, Error, Request, Response, State, WebSocket, WebSocketIncomingMessage,
    WebSocketRequestResponsePair, durable_object,
};
use shared::hub::fleet::Fleet;
use shared::id::Seq;
use shared::problem::{Problem, ProblemCode};
use shared::settings::Settings;
use worker_shell::failure::{Answer, Failure};
use worker_shell::sql::Sql;
use worker_shell::{clock, log, reply};

use wakes::Waker;

/// What a WebSocket client sends, and gets back from the platform without waking the hub.
const KEEP_ALIVE: &str = r#"{"type":"heartbeat"}"#;

/// The object.
#[durable_object]
pub struct Hub {
    state: State,
    env: Env,
    sql: Sql,
    settings: Settings,
    /// Why the settings could not be read; then nothing is done.
    broken: Option<String>,
    /// The tables exist in this version, and an outage was looked for; once per life of the object.
    ready: Cell<bool>,
    /// The workers, between calls of the rules.
    fleet: RefCell<Option<Fleet>>,
    /// See [`ledger::Tables::floor`]; read once per life of the object.
    floor: Cell<Option<shared::id::FencingToken>>,
    /// The text of the event that is being stored.
    fresh: Cell<Option<(Seq, String)>>,
    /// The one alarm.
    alarm: timer::Alarm,
    /// The minute that is counted and its webhooks, for the organization's rate.
    rate: Cell<(i64, u32)>,
    /// How often it was woken, not yet written down.
    wakes: wakes::Counter,
    /// Commands that Linear is being asked for, so that a repeat does not ask again.
    opening: RefCell<std::collections::HashSet<shared::id::DeliveryId>>,
    /// When each worker's `last_seen_at` was written, so that acks do not write it each time. In ms.
    seen: RefCell<std::collections::HashMap<shared::id::WorkerId, i64>>,
}

impl DurableObject for Hub {
    fn new(state: State, env: Env) -> Self {
        let sql = Sql::of(&state);
        let alarm = timer::Alarm::of(&state);
        let (settings, broken) = match worker_shell::settings::read(&env) {
            Ok(settings) => (settings, None),
            Err(failure) => (Settings::default(), Some(failure.problem().detail)),
        };
        if settings.count_rows {
            worker_shell::sql::count_rows();
        }
        if let Ok(pair) = WebSocketRequestResponsePair::new(KEEP_ALIVE, KEEP_ALIVE) {
            state.set_websocket_auto_response(&pair);
        }
        Self {
            state,
            env,
            wakes: wakes::Counter::of(sql.clone()),
            sql,
            settings,
            broken,
            ready: Cell::new(false),
            fleet: RefCell::new(None),
            floor: Cell::new(None),
            fresh: Cell::new(None),
            alarm,
            rate: Cell::new((0, 0)),
            opening: RefCell::default(),
            seen: RefCell::default(),
        }
    }

    async fn fetch(&self, request: Request) -> ::worker::Result<Response> {
        reply::finish(self.answer(request).await)
    }

    async fn alarm(&self) -> ::worker::Result<Response> {
        match self.ring().await {
            Ok(rung) => Ok(rung),
            // An error makes the platform ring again; an answer, even of a failure, does not.
            Err(failure) => Err(thrown(failure)),
        }
    }

    async fn websocket_message(&self, _: WebSocket, _: WebSocketIncomingMessage) -> ::worker::Result<()> {
        // Edges speak by POST; what they say here is passed over.
        self.prepare(Waker::Socket).map_err(thrown)
    }

    async fn websocket_close(&self, socket: WebSocket, _: usize, _: String, _: bool) -> ::worker::Result<()> {
        self.stream_closed(&socket).await.map_err(thrown)
    }

    async fn websocket_error(&self, socket: WebSocket, _: Error) -> ::worker::Result<()> {
        self.stream_closed(&socket).await.map_err(thrown)
    }
}

fn thrown(failure: Failure) -> Error {
    Error::RustError(failure.problem().to_string())
}

/// Reads a body that nobody needs, so that no request is left half read.
async fn unread(request: &mut Request) -> Answer<()> {
    request.text().await?;
    Ok(())
}

/// An answer that is its status alone.
fn reply_status(status: u16) -> Answer<Response> {
    Ok(Response::empty()?.with_status(status))
}

impl Hub {
    async fn answer(&self, mut request: Request) -> Answer<Response> {
        self.prepare(Waker::Request)?;
        let path = request.path();
        // What a worker key asks for that the panel asks for too: the panel vouches for its callers itself.
        let path = match path.strip_prefix("/keyed") {
            Some(rest) => {
                self.key_of(&request)?;
                rest
            }
            None => path.as_str(),
        };
        match path {
            "/deliveries" => self.deliver(request).await,
            "/events" => self.open_stream(&request).await,
            "/acks" => self.take_acks(request).await,
            "/heartbeats" => self.heartbeat(request).await,
            "/workers" => self.register(request).await,
            "/workers/me/drain" => {
                unread(&mut request).await?;
                self.drain(&request).await
            }
            "/workers/list" => {
                unread(&mut request).await?;
                self.list_workers()
            }
            "/deliveries/list" => self.list_deliveries(request).await,
            "/deliveries/replay" => self.replay(request).await,
            "/deliveries/dismiss" => self.dismiss(request).await,
            "/deliveries/result" => self.delivery_result(request).await,
            "/status" => {
                unread(&mut request).await?;
                self.status()
            }
            "/commands" => self.command(request).await,
            "/leases/check" => self.check_lease(request).await,
            "/tokens/linear" => self.linear_token(&request),
            "/connections/linear" => self.connect_linear(request).await,
            _ => Err(Problem::new(ProblemCode::NotFound, "the hub has no such path").into()),
        }
    }

    fn sql(&self) -> Sql {
        self.sql.clone()
    }

    fn prepare(&self, waker: Waker) -> Answer<()> {
        if let Some(broken) = &self.broken {
            return Err(Failure::internal(broken.clone()));
        }
        let now = clock::now();
        if !self.ready.get() {
            schema::migrate(&self.state)?;
            // Before anything else is looked at: after an outage nothing may move because of it.
            self.miss_streams(now)?;
            self.forgive_outage(now)?;
            self.remember_words()?;
            self.ready.set(true);
            log::info("hub.awake", &[("by", waker.name())]);
            self.count(Waker::Life, now)?;
        }
        self.count(waker, now)
    }
}
