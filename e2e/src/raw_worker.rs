//! An edge worker by hand: plain HTTP against `/v1` and the panel, so that tests can also do what a good edge never does.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::delivery::{self, Answer};
use crate::poll;
use crate::system::System;

/// How long a line may take to come.
pub const SOON: Duration = Duration::from_secs(15);

/// A registered worker without a stream.
#[derive(Clone)]
pub struct RawWorker {
    http: reqwest::Client,
    proxy: String,
    panel: String,
    key: String,
    /// As the hub gave it.
    pub id: String,
}

/// A registration that a hub takes.
pub fn registration() -> Value {
    json!({"name": "by hand", "version": "0.1.0", "protocol": 1, "repositories": [], "teams": [], "executors": ["claude"], "slots": 8, "weight": 1})
}

impl RawWorker {
    /// Registers once no other worker is on line, so that what is offered is offered to this one.
    pub async fn register(system: &System) -> Result<Self> {
        poll::until("the workers of earlier tests to be off line", SOON, async || {
            let workers = system.owner_get("/api/workers").await?;
            let workers = workers["items"].as_array().context("no items")?;
            let gone = workers
                .iter()
                .all(|worker| ["offline", "revoked"].iter().any(|state| worker["state"] == *state));
            Ok(gone.then_some(()))
        })
        .await?;
        Self::beside_others(system).await
    }

    /// Registers under the system's worker key, whoever else is on line; the hub makes the id.
    pub async fn beside_others(system: &System) -> Result<Self> {
        let mut worker = Self {
            http: system.http.clone(),
            proxy: system.up.proxy_url.clone(),
            panel: system.up.panel_url.clone(),
            key: system.up.worker_key.clone(),
            id: String::new(),
        };
        let answer = worker.post("/v1/workers", &registration()).await?;
        ensure!(answer.status == 200, "registration: {answer:?}");
        worker.id = answer.body["workerId"].as_str().context("no workerId")?.to_owned();
        Ok(worker)
    }

    /// `POST` at the proxy.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        let mut request = self.http.post(format!("{}{path}", self.proxy)).bearer_auth(&self.key).json(body);
        if !self.id.is_empty() {
            request = request.header("cyrus-worker", &self.id);
        }
        delivery::answer(request).await
    }

    /// A request at the panel with the worker key.
    pub async fn panel(&self, method: reqwest::Method, path: &str, body: &Value) -> Result<Answer> {
        let request = self.http.request(method, format!("{}{path}", self.panel)).bearer_auth(&self.key);
        delivery::answer(request.json(body)).await
    }

    /// Acks one event and gives the hub's word.
    pub async fn ack(&self, seq: u64, token: u64, state: &str) -> Result<String> {
        let answers = self.acks(&json!([{"seq": seq, "token": token, "state": state}])).await?;
        Ok(answers[0].as_str().context("no word")?.to_owned())
    }

    /// Acks a list and gives the list of words.
    pub async fn acks(&self, acks: &Value) -> Result<Value> {
        let answer = self.post("/v1/acks", acks).await?;
        ensure!(answer.status == 200, "acks: {answer:?}");
        Ok(answer.body)
    }

    /// Opens the stream and reads its `hello`.
    pub async fn stream(&self) -> Result<RawStream> {
        let request = self.http.get(format!("{}/v1/events", self.proxy)).bearer_auth(&self.key);
        let response = request.header("cyrus-worker", &self.id).send().await?;
        ensure!(response.status() == 200, "stream: {}: {}", response.status(), response.text().await?);
        let mut stream = RawStream {
            worker: self.clone(),
            response,
            buffer: Vec::new(),
            forbidden: Vec::new(),
            hello: Value::Null,
        };
        stream.hello = stream.next().await?.context("the stream ended before its first line")?;
        ensure!(stream.hello["type"] == "hello", "the first line is no hello: {}", stream.hello);
        Ok(stream)
    }
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

/// An open stream.
pub struct RawStream {
    pub worker: RawWorker,
    response: reqwest::Response,
    buffer: Vec<u8>,
    forbidden: Vec<String>,
    /// The first line.
    pub hello: Value,
}

impl RawStream {
    /// The next line, heartbeats among them; `None`: the stream has ended.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        tokio::time::timeout(SOON, self.next_line()).await.context("no line on the stream in time")?
    }

    async fn next_line(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map(Some)
                    .with_context(|| String::from_utf8_lossy(&line).into_owned());
            }
            match self.response.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
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

    /// The next offer of this session. What another test left behind is finished on the way.
    pub async fn offer_of(&mut self, session_key: &str) -> Result<Offer> {
        let look = async {
            loop {
                let line = self.next_line().await?.context("the stream ended before the offer")?;
                if line["type"] != "event" {
                    continue;
                }
                let number = |name: &str| line[name].as_u64().with_context(|| format!("no {name} in {line}"));
                let (seq, token, attempt) = (number("seq")?, number("token")?, number("attempt")?);
                if line["sessionKey"] == session_key {
                    let session_key = session_key.to_owned();
                    return anyhow::Ok(Offer { seq, token, attempt, session_key, line });
                }
                let foreign = line["sessionKey"].as_str().unwrap_or_default();
                ensure!(
                    !self.forbidden.iter().any(|key| key == foreign),
                    "an offer that must not come: {line}"
                );
                self.worker.ack(seq, token, "done").await?;
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
