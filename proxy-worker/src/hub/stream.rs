//! Streams: one WebSocket a worker, accepted for hibernation, so that a quiet hub leaves memory.

use shared::hub::delivery::Happening;
use shared::id::{FencingToken, Seq, WorkerId};
use shared::problem::{Problem, ProblemCode};
use shared::stream::{HeldLease, PROTOCOL, StreamLine};
use worker::{Request, Response, WebSocket, WebSocketPair};
use worker_shell::clock;
use worker_shell::failure::Answer;
use worker_shell::sql;

use super::{Hub, event, lease};

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
        let tag = worker.to_string();
        for older in self.streams_of(&tag) {
            let _ = older.send_with_str(to_text(&StreamLine::Replaced)?);
            let _ = older.close(Some(4000), Some("replaced"));
        }
        let pair = WebSocketPair::new()?;
        self.state.accept_websocket_with_tags(&pair.server, &[&tag]);
        pair.server.serialize_attachment(&tag)?;
        self.sql().run(
            "UPDATE workers SET last_seen_at = ? WHERE id = ?",
            vec![sql::time(now), tag.as_str().into()],
        )?;
        pair.server.send_with_str(to_text(&self.hello(worker)?)?)?;
        for row in
            event::select(&self.sql(), "worker_id = ? AND state = 'offered'", vec![tag.as_str().into()])?
        {
            self.sql().run(
                "UPDATE events SET offered_at = ? WHERE seq = ?",
                vec![sql::time(now), sql::int(row.seq)?],
            )?;
            pair.server.send_with_str(to_text(&self.offer_line(&row, row.token())?)?)?;
        }
        self.move_lapsed(now)?;
        self.dispatch(now)?;
        self.set_timer(now).await?;
        Ok(Response::from_websocket(pair.client)?)
    }

    fn hello(&self, worker: WorkerId) -> Answer<StreamLine> {
        let sql = self.sql();
        let leases = lease::of_worker(&sql, worker)?
            .into_iter()
            .map(|row| HeldLease {
                session_key: row.session_key,
                token: FencingToken(row.token),
                stop: false,
            })
            .collect();
        let accepted =
            event::select(&sql, "worker_id = ? AND state = 'accepted'", vec![worker.to_string().into()])?;
        Ok(StreamLine::Hello {
            worker_id: worker,
            protocol: PROTOCOL,
            server_time: clock::now(),
            intervals: self.settings()?.intervals(),
            config_etag: None,
            leases,
            accepted: accepted.into_iter().map(|row| Seq(row.seq)).collect(),
        })
    }

    /// A stream is gone: what it was offered and did not take goes back, uncounted.
    pub(super) async fn stream_closed(&self, socket: &WebSocket) -> Answer<()> {
        self.prepare()?;
        let Some(tag) = socket.deserialize_attachment::<String>()? else { return Ok(()) };
        let _ = socket.close(Some(1000), Some("closed"));
        // A newer stream of the same worker may be open already; then nothing is lost.
        if !self.streams_of(&tag).is_empty() {
            return Ok(());
        }
        let now = clock::now();
        self.take_back_offers(&tag)?;
        self.sql()
            .run("UPDATE workers SET last_seen_at = ? WHERE id = ?", vec![sql::time(now), tag.into()])?;
        self.dispatch(now)?;
        self.set_timer(now).await
    }

    /// The open streams of a worker. One that is closing is not one, though the platform still lists it.
    pub(super) fn streams_of(&self, worker: &str) -> Vec<WebSocket> {
        let open = |socket: &WebSocket| {
            AsRef::<web_sys::WebSocket>::as_ref(socket).ready_state() == web_sys::WebSocket::OPEN
        };
        self.state.get_websockets_with_tag(worker).into_iter().filter(open).collect()
    }

    /// Puts a worker's unaccepted offers back and ends leases under which nothing was taken.
    pub(super) fn take_back_offers(&self, worker: &str) -> Answer<()> {
        let (now, max_attempts) = (clock::now(), self.settings()?.max_attempts);
        sql::transaction(&self.state, || {
            let sql = self.sql();
            for row in event::select(&sql, "worker_id = ? AND state = 'offered'", vec![worker.into()])? {
                event::advance(&sql, &row, Happening::OfferEnded, max_attempts, now)?;
                lease::release_if_idle(&sql, &row.session_key)?;
            }
            Ok(())
        })
    }

    /// Ends the streams of all workers of a revoked key.
    pub(super) fn close_streams_of_key(&self, key_id: &str) -> Answer<()> {
        #[derive(serde::Deserialize)]
        struct Row {
            id: String,
        }
        let rows: Vec<Row> = self.sql().rows(
            "SELECT w.id FROM workers w JOIN worker_keys k ON k.hash = w.key_hash WHERE k.key_id = ?",
            vec![key_id.into()],
        )?;
        for row in rows {
            for socket in self.streams_of(&row.id) {
                let _ = socket.close(Some(4001), Some("key revoked"));
            }
        }
        Ok(())
    }
}

/// A line as it goes over the WebSocket.
pub fn to_text(line: &StreamLine) -> Answer<String> {
    Ok(serde_json::to_string(line)?)
}
