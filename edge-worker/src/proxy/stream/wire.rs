//! One open stream, whichever transport carries it.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::ndjson::Ndjson;
use super::transport::Kind;
use super::websocket::WebSocket;
use crate::http::{self, HttpError};
use crate::proxy::client::ProxyClient;

/// Why a stream gives no more lines, in words for a log.
pub(super) struct Cut(pub(super) String);

enum Open {
    Ndjson(Ndjson),
    WebSocket(Box<WebSocket>),
}

/// An open stream.
pub(super) struct Wire {
    open: Open,
    beats: Option<tokio::time::Interval>,
}

impl Wire {
    pub(super) async fn open(
        proxy: &ProxyClient,
        http: &reqwest::Client,
        kind: Kind,
    ) -> Result<Self, HttpError> {
        let request = proxy.signed(http, reqwest::Method::GET, "/v1/events");
        let open = match kind {
            Kind::Ndjson => Open::Ndjson(Ndjson::new(http::send(request).await?)),
            Kind::WebSocket => Open::WebSocket(Box::new(WebSocket::open(request).await?)),
        };
        Ok(Self { open, beats: None })
    }

    /// `hello` told how often there is a sign of life; a WebSocket has to ask for it.
    pub(super) fn beat_every(&mut self, pace: Duration) {
        if matches!(self.open, Open::WebSocket(_)) {
            let mut beats = interval_at(Instant::now() + pace, pace);
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            self.beats = Some(beats);
        }
    }

    /// The next line, at most `MAX_LINE` long.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, Cut> {
        match &mut self.open {
            Open::Ndjson(lines) => lines.next().await,
            Open::WebSocket(socket) => loop {
                let beat = async {
                    match &mut self.beats {
                        Some(beats) => beats.tick().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    line = socket.next() => return line,
                    _ = beat => {}
                }
                socket.beat().await?;
            },
        }
    }
}
