//! The stream of a worker by hand, over either transport: lines as they come, offers picked out of them.
//!
//! Reads only what a test asks for; a stream that nobody reads is a stalled one.

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::raw_worker::{RawWorker, SOON};

/// How the lines travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One line of JSON each.
    Ndjson,
    /// One message each.
    WebSocket,
}

/// An offer as it came.
#[derive(Debug, Clone)]
pub struct Offer {
    pub seq: u64,
    pub token: u64,
    pub attempt: u64,
    pub session_key: String,
    pub line: Value,
}

impl Offer {
    /// The offer in an `event` line.
    pub fn of(line: Value) -> Result<Self> {
        let number = |name: &str| line[name].as_u64().with_context(|| format!("no {name} in {line}"));
        let (seq, token, attempt) = (number("seq")?, number("token")?, number("attempt")?);
        let session_key = line["sessionKey"].as_str().context("no sessionKey")?.to_owned();
        Ok(Self { seq, token, attempt, session_key, line })
    }

    /// Whether the line carries this switch.
    pub fn says(&self, name: &str) -> bool {
        self.line[name] == true
    }

    /// The event's kind.
    pub fn kind(&self) -> &str {
        self.line["event"]["kind"].as_str().unwrap_or_default()
    }
}

enum Bytes {
    Ndjson { response: reqwest::Response, buffer: Vec<u8> },
    WebSocket(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
}

/// An open stream.
pub struct RawStream {
    pub worker: RawWorker,
    bytes: Bytes,
    forbidden: Vec<String>,
    /// The first line.
    pub hello: Value,
}

impl RawStream {
    pub(crate) async fn open(worker: &RawWorker, transport: Transport) -> Result<Self> {
        let bytes = match transport {
            Transport::Ndjson => {
                let response = worker.request(reqwest::Method::GET, "/v1/events").send().await?;
                ensure!(
                    response.status() == 200,
                    "stream: {}: {}",
                    response.status(),
                    response.text().await?
                );
                let kind = response
                    .headers()
                    .get("content-type")
                    .and_then(|kind| kind.to_str().ok())
                    .map(str::to_owned);
                ensure!(kind.as_deref() == Some("application/x-ndjson"), "content type {kind:?}");
                Bytes::Ndjson { response, buffer: Vec::new() }
            }
            Transport::WebSocket => {
                let url = format!("{}/v1/events", worker.proxy.replacen("http", "ws", 1));
                let mut request = url.into_client_request()?;
                let headers = request.headers_mut();
                headers.insert("authorization", format!("Bearer {}", worker.key).parse()?);
                headers.insert("cyrus-worker", worker.id.parse()?);
                let (socket, _) = tokio_tungstenite::connect_async(request).await.context("WebSocket")?;
                Bytes::WebSocket(Box::new(socket))
            }
        };
        let mut stream = Self { worker: worker.clone(), bytes, forbidden: Vec::new(), hello: Value::Null };
        stream.hello = stream.next().await?.context("the stream ended before its first line")?;
        ensure!(stream.hello["type"] == "hello", "the first line is no hello: {}", stream.hello);
        Ok(stream)
    }

    /// Sends a text to the hub's side, which only a WebSocket can.
    pub async fn send(&mut self, text: &str) -> Result<()> {
        match &mut self.bytes {
            Bytes::WebSocket(socket) => Ok(socket.send(Message::text(text)).await?),
            Bytes::Ndjson { .. } => anyhow::bail!("an NDJSON stream goes one way"),
        }
    }

    /// The next line, heartbeats among them; `None`: the stream has ended.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        tokio::time::timeout(SOON, self.next_line()).await.context("no line on the stream in time")?
    }

    /// The next line, however long it takes. A break of the connection ends the stream like an end does.
    pub async fn next_line(&mut self) -> Result<Option<Value>> {
        let parse = |line: &[u8]| {
            serde_json::from_slice(line).map(Some).with_context(|| String::from_utf8_lossy(line).into_owned())
        };
        match &mut self.bytes {
            Bytes::Ndjson { response, buffer } => loop {
                if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = buffer.drain(..=end).collect();
                    return parse(&line);
                }
                match response.chunk().await {
                    Ok(Some(chunk)) => buffer.extend_from_slice(&chunk),
                    Ok(None) | Err(_) => return Ok(None),
                }
            },
            Bytes::WebSocket(socket) => loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) => return parse(text.as_bytes()),
                    Some(Ok(Message::Binary(bytes))) => return parse(&bytes),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(None),
                }
            },
        }
    }

    /// The next line that is no heartbeat; `None`: the stream has ended.
    pub async fn next_telling(&mut self) -> Result<Option<Value>> {
        let look = async {
            loop {
                match self.next_line().await? {
                    Some(line) if line["type"] == "heartbeat" => {}
                    other => return anyhow::Ok(other),
                }
            }
        };
        tokio::time::timeout(SOON, look).await.context("nothing but heartbeats on the stream")?
    }

    /// The next line of this type; others are passed over, offers among them.
    pub async fn next_of(&mut self, kind: &str) -> Result<Value> {
        let look = async {
            loop {
                let line =
                    self.next_line().await?.with_context(|| format!("the stream ended before `{kind}`"))?;
                if line["type"] == kind {
                    return anyhow::Ok(line);
                }
            }
        };
        tokio::time::timeout(SOON, look).await.with_context(|| format!("no `{kind}` line"))?
    }

    /// The next offer of this session. What another test left behind is finished on the way.
    pub async fn offer_of(&mut self, session_key: &str) -> Result<Offer> {
        let look = async {
            loop {
                let line = self.next_line().await?.context("the stream ended before the offer")?;
                if line["type"] != "event" {
                    continue;
                }
                let offer = Offer::of(line)?;
                if offer.session_key == session_key {
                    return anyhow::Ok(offer);
                }
                ensure!(
                    !self.forbidden.contains(&offer.session_key),
                    "an offer that must not come: {}",
                    offer.line
                );
                self.worker.ack(offer.seq, offer.token, "done").await?;
            }
        };
        tokio::time::timeout(SOON, look)
            .await
            .with_context(|| format!("no offer for session {session_key}"))?
    }

    /// The offer of `good`, which was sent last; an offer of any session in `forbidden` before it is an error.
    pub async fn only(&mut self, good: &str, forbidden: &[String]) -> Result<Offer> {
        let before = std::mem::replace(&mut self.forbidden, forbidden.to_vec());
        let offer = self.offer_of(good).await;
        self.forbidden = before;
        offer
    }
}
