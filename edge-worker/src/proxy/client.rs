//! Calls to the proxy's `/v1`. The worker key travels in the `Authorization` header and nowhere else.

use reqwest::RequestBuilder;
use shared::ack::{Ack, AckAnswer};
use shared::id::WorkerId;
use shared::worker::{AccessToken, Heartbeat, HeartbeatAnswer, Registered, Registration};
use shared::worker_key::WorkerKey;

use crate::http::{self, HttpError};

/// Speaks for one worker. Clones share the connection pool.
#[derive(Clone)]
pub struct ProxyClient {
    http: reqwest::Client,
    base: String,
    key: WorkerKey,
    worker_id: WorkerId,
}

impl ProxyClient {
    /// A client of the proxy at `base`.
    pub fn new(http: reqwest::Client, base: String, key: WorkerKey, worker_id: WorkerId) -> Self {
        Self { http, base, key, worker_id }
    }

    /// A request to `path` with this worker's credentials.
    pub(super) fn signed(
        &self,
        http: &reqwest::Client,
        method: reqwest::Method,
        path: &str,
    ) -> RequestBuilder {
        http.request(method, format!("{}{path}", self.base))
            .bearer_auth(self.key.reveal())
            .header("cyrus-worker", self.worker_id.to_string())
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.signed(&self.http, reqwest::Method::POST, path)
    }

    /// `POST /v1/workers`.
    pub async fn register(&self, registration: &Registration) -> Result<Registered, HttpError> {
        http::fetch(self.post("/v1/workers").json(registration)).await
    }

    /// `POST /v1/acks`: an answer per ack, in order.
    pub async fn ack(&self, acks: &[Ack]) -> Result<Vec<AckAnswer>, HttpError> {
        http::fetch(self.post("/v1/acks").json(acks)).await
    }

    /// `POST /v1/heartbeats`.
    pub async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatAnswer, HttpError> {
        http::fetch(self.post("/v1/heartbeats").json(heartbeat)).await
    }

    /// `POST /v1/workers/me/drain`: no new work from now on, until the next registration.
    pub async fn drain(&self) -> Result<(), HttpError> {
        http::send(self.post("/v1/workers/me/drain")).await.map(|_| ())
    }

    /// `GET /v1/tokens/linear`.
    pub async fn linear_token(&self) -> Result<AccessToken, HttpError> {
        http::fetch(self.signed(&self.http, reqwest::Method::GET, "/v1/tokens/linear")).await
    }
}
