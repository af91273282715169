//! Viewers: hibernating sockets, each with its own place in the log.

use serde::{Deserialize, Serialize};
use shared::log_line::LogLine;
use shared::problem::{Problem, ProblemCode};
use worker::{Request, Response, State, WebSocket, WebSocketPair};
use worker_shell::failure::Answer;

use super::{Place, Room, chunk, frame};

/// What a socket remembers over hibernation.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Cursor {
    /// Everything up to here was sent.
    sent: u64,
    /// It has caught up and takes live lines.
    live: bool,
}

impl Room {
    /// Accepts a viewer, sends what is stored after its place, then lets it live.
    pub(super) async fn open_viewer(&self, request: &Request) -> Answer<Response> {
        let header = |name: &str| request.headers().get(name).ok().flatten();
        let place: Place =
            header("x-place").and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| {
                Problem::new(ProblemCode::InvalidRequest, "a viewer says which session it wants")
            })?;
        let after = header("x-after").and_then(|text| text.parse().ok()).unwrap_or(0);
        self.load(place).await?;
        let pair = WebSocketPair::new()?;
        self.state.accept_web_socket(&pair.server);
        let mut cursor = Cursor { sent: after, live: false };
        pair.server.serialize_attachment(cursor)?;
        // Somebody looks now: what waits need not wait for the slow pace.
        self.flush(place).await?;
        loop {
            let stored = self.buffer.stored();
            let lines = chunk::after(&self.env, place, cursor.sent).await?;
            // Nothing came back and nothing was stored meanwhile: the rest is in the buffer.
            if lines.is_empty() && stored == self.buffer.stored() {
                break;
            }
            send_lines(&pair.server, &mut cursor, &lines)?;
        }
        // No await from here on: nothing can slip between the last stored line and the first live one.
        let waiting = self.buffer.unstored_after(cursor.sent);
        cursor.live = true;
        send_lines(&pair.server, &mut cursor, &waiting)?;
        Ok(Response::from_websocket(pair.client)?)
    }
}

/// Shows fresh lines to every viewer that has caught up; the others read them from D1 or the buffer.
pub fn show(state: &State, lines: &[LogLine]) -> Answer<()> {
    for socket in state.get_websockets() {
        let Some(mut cursor) = socket.deserialize_attachment::<Cursor>()?.filter(|cursor| cursor.live) else {
            continue;
        };
        send_lines(&socket, &mut cursor, lines)?;
    }
    Ok(())
}

/// Sends a text to every viewer; one that is gone is found by its close.
pub fn send_all(state: &State, text: &str) {
    for socket in state.get_websockets() {
        let _ = socket.send_with_str(text);
    }
}

fn send_lines(socket: &WebSocket, cursor: &mut Cursor, lines: &[LogLine]) -> Answer<()> {
    let mut text = String::new();
    for line in lines.iter().filter(|line| line.seq > cursor.sent).collect::<Vec<_>>() {
        if line.seq > cursor.sent + 1 {
            text.push_str(&frame::gap(cursor.sent + 1, line.seq - 1));
        }
        text.push_str(&frame::log(line)?);
        cursor.sent = line.seq;
    }
    socket.serialize_attachment(*cursor)?;
    if !text.is_empty() {
        let _ = socket.send_with_str(&text);
    }
    Ok(())
}
