//! An edge worker by hand: plain HTTP against `/v1` and the panel, so that tests can also do what a good edge never does.
//!
//! Its stream is in [`crate::raw_stream`]; one that behaves well by itself is in [`crate::bot`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::delivery::{self, Answer};
use crate::poll;
pub use crate::raw_stream::{Offer, RawStream, Transport};
use crate::system::System;

/// How long a line may take to come.
pub const SOON: Duration = Duration::from_secs(15);

/// A registered worker without a stream.
#[derive(Clone)]
pub struct RawWorker {
    pub(crate) http: reqwest::Client,
    pub(crate) proxy: String,
    panel: String,
    /// The worker key.
    pub key: String,
    /// As the hub gave it.
    pub id: String,
    /// As it said last; its clones say the same.
    slots: Arc<AtomicU64>,
}

/// A registration that a hub takes.
pub fn registration() -> Value {
    json!({"name": "by hand", "version": "0.1.0", "protocol": 2, "repositories": [], "teams": [], "executors": ["claude"], "slots": 8, "weight": 1})
}

impl RawWorker {
    /// Registers once no other worker is on line, so that what is offered is offered to this one.
    pub async fn register(system: &System) -> Result<Self> {
        Self::alone(system).await?;
        Self::beside_others(system).await
    }

    /// Waits until no worker is on line.
    pub async fn alone(system: &System) -> Result<()> {
        poll::until("the workers of earlier tests to be off line", SOON, async || {
            let workers = system.owner_get("/api/workers").await?;
            let workers = workers["items"].as_array().context("no items")?;
            let gone = workers
                .iter()
                .all(|worker| ["offline", "revoked"].iter().any(|state| worker["state"] == *state));
            Ok(gone.then_some(()))
        })
        .await
    }

    /// Registers under the system's worker key, whoever else is on line; the hub makes the id.
    pub async fn beside_others(system: &System) -> Result<Self> {
        Self::as_said(system, &json!({})).await
    }

    /// Registers with these fields laid over the usual ones.
    pub async fn as_said(system: &System, over: &Value) -> Result<Self> {
        Self::under_key(system, &system.up.worker_key, over).await
    }

    /// Registers under this key, with these fields laid over the usual ones.
    pub async fn under_key(system: &System, key: &str, over: &Value) -> Result<Self> {
        let mut worker = Self {
            http: system.http.clone(),
            proxy: system.up.proxy_url.clone(),
            panel: system.up.panel_url.clone(),
            key: key.to_owned(),
            id: String::new(),
            slots: Arc::default(),
        };
        worker.id = worker.say(over).await?;
        Ok(worker)
    }

    /// Registers again, with these fields laid over the usual ones.
    pub async fn register_again(&self, over: &Value) -> Result<()> {
        let mut over = over.clone();
        over["workerId"] = json!(self.id);
        let id = self.say(&over).await?;
        ensure!(id == self.id, "{id} instead of {}", self.id);
        Ok(())
    }

    async fn say(&self, over: &Value) -> Result<String> {
        let mut said = registration();
        for (name, value) in over.as_object().into_iter().flatten() {
            said[name.as_str()] = value.clone();
        }
        self.slots.store(said["slots"].as_u64().unwrap_or_default(), Ordering::Relaxed);
        let answer = self.post("/v1/workers", &said).await?;
        ensure!(answer.status == 200, "registration: {answer:?}");
        Ok(answer.body["workerId"].as_str().context("no workerId")?.to_owned())
    }

    /// `POST` at the proxy.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        delivery::answer(self.request(reqwest::Method::POST, path).json(body)).await
    }

    /// `GET` at the proxy.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        delivery::answer(self.request(reqwest::Method::GET, path)).await
    }

    /// A request at the proxy with this worker's credentials.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.proxy)).bearer_auth(&self.key);
        if self.id.is_empty() { request } else { request.header("cyrus-worker", &self.id) }
    }

    /// A request at the panel with the worker key.
    pub async fn panel(&self, method: reqwest::Method, path: &str, body: &Value) -> Result<Answer> {
        let request = self.http.request(method, format!("{}{path}", self.panel)).bearer_auth(&self.key);
        delivery::answer(request.json(body)).await
    }

    /// Acks one event and gives the hub's word.
    pub async fn ack(&self, seq: u64, token: u64, state: &str) -> Result<String> {
        self.ack_saying(seq, token, state, &json!({})).await
    }

    /// Acks one event with further fields (`reason`, `afterMs`, `result`) and gives the hub's word.
    pub async fn ack_saying(&self, seq: u64, token: u64, state: &str, more: &Value) -> Result<String> {
        let mut ack = json!({"seq": seq, "token": token, "state": state});
        for (name, value) in more.as_object().into_iter().flatten() {
            ack[name.as_str()] = value.clone();
        }
        let answers = self.acks(&json!([ack])).await?;
        Ok(answers[0].as_str().context("no word")?.to_owned())
    }

    /// Acks a list and gives the list of words.
    pub async fn acks(&self, acks: &Value) -> Result<Value> {
        let answer = self.post("/v1/acks", acks).await?;
        ensure!(answer.status == 200, "acks: {answer:?}");
        Ok(answer.body)
    }

    /// Shows the leases that it believes it holds, and gives the hub's answer.
    pub async fn heartbeat(&self, leases: &[(String, u64)]) -> Result<Value> {
        let claims: Vec<Value> =
            leases.iter().map(|(key, token)| json!({"sessionKey": key, "token": token})).collect();
        let slots = self.slots.load(Ordering::Relaxed);
        let said = json!({"leases": claims, "slots": slots, "used": claims.len()});
        let answer = self.post("/v1/heartbeats", &said).await?;
        ensure!(answer.status == 200, "heartbeat: {answer:?}");
        Ok(answer.body)
    }

    /// The tokens of this lease that the hub names as lost.
    pub async fn lost_of(&self, offer: &Offer) -> Result<Vec<u64>> {
        let answer = self.heartbeat(&[(offer.session_key.clone(), offer.token)]).await?;
        let lost = answer["lost"].as_array().context("lost")?;
        Ok(lost.iter().filter_map(|claim| claim["token"].as_u64()).collect())
    }

    /// The one record of `GET /v1/deliveries` for this seq of this session.
    pub async fn record(&self, session_key: &str, seq: u64) -> Result<Value> {
        let answer = self.get(&format!("/v1/deliveries?sessionKey={session_key}")).await?;
        ensure!(answer.status == 200, "deliveries: {answer:?}");
        let items = answer.body["items"].as_array().context("no items")?;
        items
            .iter()
            .find(|item| item["seq"] == seq)
            .cloned()
            .with_context(|| format!("no record of {seq} in {items:?}"))
    }

    /// Opens the stream and reads its `hello`.
    pub async fn stream(&self) -> Result<RawStream> {
        self.stream_over(Transport::Ndjson).await
    }

    /// Opens the stream over this transport and reads its `hello`.
    pub async fn stream_over(&self, transport: Transport) -> Result<RawStream> {
        RawStream::open(self, transport).await
    }
}
