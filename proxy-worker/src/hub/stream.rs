//! Streams: one WebSocket a worker, accepted for hibernation, so that a quiet hub leaves memory.

use shared::id::WorkerId;
use shared::problem::{Problem, ProblemCode};
use shared::stream::{PROTOCOL, StreamLine};
use worker::{Request, Response, WebSocket, WebSocketPair};
use worker_shell::clock;
use worker_shell::failure::Answer;

use super::Hub;
use super::wakes::Waker;

impl Hub {
    /// `GET /events` with an upgrade: says hello, sends again what was offered, then offers what waits.
    pub(super) async fn open_stream(&self, request: &Request) -> Answer<Response> {
        if request.headers().get("upgrade")?.is_none() {
            return Err(
                Problem::new(ProblemCode::InvalidRequest, "a stream wants `Upgrade: websocket`").into()
            );
        }
        let worker = self.worker_of(request)?;
        let now = clock::now();
        self.count(Waker::Stream, now)?;
        let tag = worker.to_string();
        for older in self.streams_of(&tag) {
            let _ = older.send_with_str(to_text(&StreamLine::Replaced)?);
            let _ = older.close(Some(4000), Some("replaced"));
        }
        let pair = WebSocketPair::new()?;
        self.state.accept_websocket_with_tags(&pair.server, &[&tag]);
        pair.server.serialize_attachment(&tag)?;
        // `hello` goes out before the offers that opening brings: those are deeds, done when this returns.
        let socket = pair.server.clone();
        let config_etag = self.config_etag()?;
        let intervals = self.settings.intervals();
        self.beat(worker, now, None)?;
        self.apply(now, |rules| {
            let greeting = rules.open_stream(worker)?;
            let spoken = rules.fleet.get(worker).map_or(PROTOCOL, |known| known.protocol.min(PROTOCOL));
            let hello = StreamLine::Hello {
                worker_id: worker,
                protocol: spoken,
                server_time: now,
                intervals,
                config_etag,
                leases: greeting.leases,
                accepted: greeting.accepted,
            };
            socket.send_with_str(to_text(&hello)?)?;
            Ok(())
        })?;
        Ok(Response::from_websocket(pair.client)?)
    }

    /// A stream is gone: what it was offered and did not take goes back, uncounted.
    pub(super) async fn stream_closed(&self, socket: &WebSocket) -> Answer<()> {
        self.prepare(Waker::Socket)?;
        let Some(tag) = socket.deserialize_attachment::<String>()? else { return Ok(()) };
        let _ = socket.close(Some(1000), Some("closed"));
        // A newer stream of the same worker may be open already; then nothing is lost.
        if !self.streams_of(&tag).is_empty() {
            return Ok(());
        }
        let Ok(worker) = tag.parse::<WorkerId>() else { return Ok(()) };
        let now = clock::now();
        self.left(worker, now)?;
        self.apply(now, |rules| rules.close_stream(worker))?;
        Ok(())
    }

    /// The open streams of a worker. One that is closing is not one, though the platform still lists it.
    pub(super) fn streams_of(&self, worker: &str) -> Vec<WebSocket> {
        let open = |socket: &WebSocket| {
            AsRef::<web_sys::WebSocket>::as_ref(socket).ready_state() == web_sys::WebSocket::OPEN
        };
        self.state.get_websockets_with_tag(worker).into_iter().filter(open).collect()
    }

    /// Tells every worker on line.
    pub(super) fn tell_all(&self, line: &StreamLine) -> Answer<()> {
        let text = to_text(line)?;
        for socket in self.state.get_websockets() {
            let _ = socket.send_with_str(&text);
        }
        Ok(())
    }
}

/// A line as it goes over the WebSocket.
pub fn to_text(line: &StreamLine) -> Answer<String> {
    Ok(serde_json::to_string(line)?)
}
