//! A stream as a WebSocket: each message is one line. The connection itself is the HTTP client's, so addresses,
//! TLS and refusals are the same as everywhere.
//!
//! The proxy writes no heartbeat lines here: this end says [`BEAT`], and what stands before the hub says it back.

use futures_util::{SinkExt, StreamExt};
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{RequestBuilder, Response, StatusCode, Upgraded};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::wire::Cut;
use crate::http::{self, HttpError};
use crate::proxy::lines::MAX_LINE;

const BEAT: &str = r#"{"type":"heartbeat"}"#;

/// An open WebSocket.
pub(super) struct WebSocket {
    socket: WebSocketStream<Upgraded>,
}

impl WebSocket {
    /// Asks for the upgrade.
    pub(super) async fn open(request: RequestBuilder) -> Result<Self, HttpError> {
        let key = generate_key();
        let request = request
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        let response = http::answer(request, |status| status == StatusCode::SWITCHING_PROTOCOLS).await?;
        if !is_ours(&response, &key) {
            return Err(HttpError::NotOurs { status: response.status().as_u16() });
        }
        let upgraded = response.upgrade().await.map_err(http::unreachable)?;
        let limits =
            WebSocketConfig::default().max_message_size(Some(MAX_LINE)).max_frame_size(Some(MAX_LINE));
        Ok(Self { socket: WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await })
    }

    /// The next line. Nothing is lost when this is dropped half way.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, Cut> {
        loop {
            match self.socket.next().await {
                None => return Err(Cut("it ended".to_owned())),
                Some(Err(error)) => return Err(Cut(error.to_string())),
                Some(Ok(Message::Text(text))) => return Ok(text.as_bytes().to_vec()),
                Some(Ok(Message::Close(_))) => return Err(Cut("it was closed".to_owned())),
                // A ping is answered by the library; binary messages are of no protocol that we know.
                Some(Ok(_)) => {}
            }
        }
    }

    /// Asks for a sign of life.
    pub(super) async fn beat(&mut self) -> Result<(), Cut> {
        self.socket.send(Message::text(BEAT)).await.map_err(|error| Cut(error.to_string()))
    }
}

fn is_ours(response: &Response, key: &str) -> bool {
    let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT);
    accept.is_some_and(|accept| accept.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes())
}
