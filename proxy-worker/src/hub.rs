//! The hub: one Durable Object per organization that keeps events, leases, workers and provider tokens.
//!
//! Its rules are the pure transitions of `shared::hub`; this is their thin shell over SQLite, WebSockets and
//! one alarm. Parts, a file each: [`schema`], [`event`] (rows), [`delivery`] (webhooks in), [`dispatch`]
//! (offers out), [`ack`], [`lease`], [`key`], [`worker`], [`stream`], [`connection`] (provider tokens),
//! [`effect`] (what the hub itself says in Linear), [`timer`]. No file waits for anything while it has
//! half-written state: each change is one transaction without an `await` inside.

mod ack;
mod connection;
mod delivery;
mod dispatch;
mod effect;
mod event;
mod key;
mod lease;
mod schema;
mod stream;
mod timer;
mod worker;

use std::cell::Cell;

use ::worker::{
    DurableObject, Env, Error, Request, Response, State, WebSocket, WebSocketIncomingMessage, durable_object,
};
use shared::problem::{Problem, ProblemCode};
use shared::settings::Settings;
use worker_shell::failure::{Answer, Failure};
use worker_shell::reply;
use worker_shell::sql::Sql;

/// The object.
#[durable_object]
pub struct Hub {
    state: State,
    env: Env,
    /// The tables exist in this version; checked once per life of the object.
    ready: Cell<bool>,
    /// When the alarm will ring, as far as this life of the object knows. In ms.
    alarm_at: Cell<Option<i64>>,
    /// The minute that is counted and its webhooks, for the organization's rate.
    rate: Cell<(i64, u32)>,
}

impl DurableObject for Hub {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, ready: Cell::new(false), alarm_at: Cell::new(None), rate: Cell::new((0, 0)) }
    }

    async fn fetch(&self, request: Request) -> ::worker::Result<Response> {
        reply::finish(self.answer(request).await)
    }

    async fn alarm(&self) -> ::worker::Result<Response> {
        reply::finish(self.ring().await)
    }

    async fn websocket_message(&self, _: WebSocket, _: WebSocketIncomingMessage) -> ::worker::Result<()> {
        // Edges speak by POST; what they say here is passed over.
        Ok(())
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

impl Hub {
    async fn answer(&self, request: Request) -> Answer<Response> {
        self.prepare()?;
        match request.path().as_str() {
            "/deliveries" => self.deliver(request).await,
            "/events" => self.open_stream(&request).await,
            "/acks" => self.take_acks(request).await,
            "/heartbeats" => self.heartbeat(request).await,
            "/workers" => self.register(request).await,
            "/workers/list" => self.list_workers(),
            "/commands" => self.command(request).await,
            "/leases/check" => self.check_lease(request).await,
            "/tokens/linear" => self.linear_token(&request),
            "/connections/linear" => self.connect_linear(request).await,
            _ => Err(Problem::new(ProblemCode::NotFound, "the hub has no such path").into()),
        }
    }

    fn sql(&self) -> Sql {
        Sql::of(&self.state)
    }

    fn settings(&self) -> Answer<Settings> {
        worker_shell::settings::read(&self.env)
    }

    fn prepare(&self) -> Answer<()> {
        if !self.ready.get() {
            schema::migrate(&self.state)?;
            self.ready.set(true);
        }
        Ok(())
    }
}
