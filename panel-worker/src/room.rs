//! The Room: one Durable Object per session that fans its log out to viewers and writes it in chunks.
//!
//! A line posted twice is stored once, and each viewer sees each line once and in order, over reconnects
//! (invariant P3). Lines go to viewers at once; they are confirmed to the worker once they are in D1.
//! Viewers are hibernating WebSockets that remember their own place, so a quiet Room leaves memory.
//! Parts: [`buffer`] (what is not in D1 yet), [`chunk`] (D1), [`frame`] (SSE text), [`viewer`].

mod buffer;
mod chunk;
mod frame;
mod viewer;

use serde::{Deserialize, Serialize};
use shared::api::SessionChanged;
use shared::id::{OrgId, SessionId};
use shared::log_line::{LogAnswer, LogLine};
use shared::problem::{Problem, ProblemCode};
use worker::{
    DurableObject, Env, Error, Headers, Request, RequestInit, Response, State, Stub, WebSocket,
    WebSocketIncomingMessage, durable_object,
};
use worker_shell::failure::{Answer, Failure};
use worker_shell::{body, object, reply};

use buffer::Buffer;

/// Which session a Room is for; every call says it, since an object does not know its own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    org: OrgId,
    session: SessionId,
}

#[derive(Serialize, Deserialize)]
struct Append {
    place: Place,
    lines: Vec<LogLine>,
}

#[derive(Serialize, Deserialize)]
struct Announce {
    place: Place,
    changed: SessionChanged,
}

/// The object.
#[durable_object(websocket)]
pub struct Room {
    state: State,
    env: Env,
    buffer: Buffer,
}

impl DurableObject for Room {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, buffer: Buffer::default() }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        reply::finish(self.answer(request).await)
    }

    async fn websocket_message(&self, _: WebSocket, _: WebSocketIncomingMessage) -> worker::Result<()> {
        Ok(())
    }

    async fn websocket_close(&self, socket: WebSocket, _: usize, _: String, _: bool) -> worker::Result<()> {
        let _ = socket.close(Some(1000), Some("closed"));
        Ok(())
    }

    async fn websocket_error(&self, _: WebSocket, _: Error) -> worker::Result<()> {
        Ok(())
    }
}

impl Room {
    async fn answer(&self, mut request: Request) -> Answer<Response> {
        match request.path().as_str() {
            "/append" => {
                let append: Append = body::read_json(&mut request, 16 * 1024 * 1024).await?;
                reply::json(&self.append(append.place, append.lines).await?)
            }
            "/announce" => {
                let Announce { place, changed } = body::read_json(&mut request, 4096).await?;
                viewer::send_all(&self.state, &frame::session(&changed)?);
                self.session_changed(place, changed.status).await;
                reply::json(&serde_json::json!({}))
            }
            "/watch" => self.open_viewer(&request).await,
            _ => Err(Problem::new(ProblemCode::NotFound, "the Room has no such path").into()),
        }
    }
}

fn stub(env: &Env, place: Place) -> Answer<Stub> {
    Ok(env.durable_object("ROOM")?.get_by_name(&format!("{}/{}", place.org, place.session))?)
}

/// Hands lines to the session's Room and waits until they are stored.
pub async fn append(env: &Env, org: OrgId, session: SessionId, lines: Vec<LogLine>) -> Answer<LogAnswer> {
    let place = Place { org, session };
    object::post(&stub(env, place)?, "/append", &Append { place, lines }).await
}

/// Tells the viewers that the session changed.
pub async fn announce(env: &Env, org: OrgId, session: SessionId, changed: SessionChanged) -> Answer<()> {
    let place = Place { org, session };
    let _: serde_json::Value =
        object::post(&stub(env, place)?, "/announce", &Announce { place, changed }).await?;
    Ok(())
}

/// Opens a viewer's socket that first gets every stored line after `after`.
pub async fn watch(env: &Env, org: OrgId, session: SessionId, after: u64) -> Answer<WebSocket> {
    let place = Place { org, session };
    let headers = Headers::new();
    headers.set("upgrade", "websocket")?;
    headers.set("x-place", &serde_json::to_string(&place)?)?;
    headers.set("x-after", &after.to_string())?;
    let mut init = RequestInit::new();
    init.with_headers(headers);
    let request = Request::new_with_init("https://object/watch", &init)?;
    let response = stub(env, place)?.fetch_with_request(request).await?;
    response.websocket().ok_or_else(|| Failure::internal("the Room gave no socket"))
}
