//! The control panel as the edge sees it: leases shown, sessions recorded, lines appended.

use reqwest::header::IF_NONE_MATCH;
use serde::Serialize;
use shared::api::{NewRepository, Repository};
use shared::id::{FencingToken, SessionId, SessionKey, WorkerId};
use shared::log_line::{LeaseShown, LeaseTaken, LogAnswer, LogLine, LogPost};
use shared::recovery::Recovery;
use shared::session::{NewSession, SessionRecord, SessionUpdate};
use shared::worker_config::WorkerConfig;
use shared::worker_key::WorkerKey;

use crate::http::{self, HttpError};

/// Speaks to one panel. Clones share the connection pool.
#[derive(Clone)]
pub struct PanelClient {
    http: reqwest::Client,
    base: String,
    key: WorkerKey,
}

impl PanelClient {
    /// A client of the panel at `base`.
    pub fn new(http: reqwest::Client, base: String, key: WorkerKey) -> Self {
        Self { http, base, key }
    }

    /// The page that shows a session.
    pub fn page_of(&self, id: SessionId) -> String {
        format!("{}/sessions/{id}", self.base)
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, HttpError> {
        let request = self.http.request(method, format!("{}{path}", self.base));
        http::fetch(request.bearer_auth(self.key.reveal()).json(body)).await
    }

    /// `PUT /api/leases/:key`: from here on the panel refuses older tokens.
    pub async fn show_lease(&self, key: &SessionKey, token: FencingToken) -> Result<LeaseTaken, HttpError> {
        // Keys are Linear's UUIDs; anything else is escaped, so it cannot leave its place in the path.
        let escaped: String = key.as_str().bytes().map(escape).collect();
        self.call(reqwest::Method::PUT, &format!("/api/leases/{escaped}"), &LeaseShown { token }).await
    }

    /// `POST /api/sessions`, idempotent by agent session.
    pub async fn create_session(&self, session: &NewSession) -> Result<SessionRecord, HttpError> {
        self.call(reqwest::Method::POST, "/api/sessions", session).await
    }

    /// `PATCH /api/sessions/:id`.
    pub async fn update_session(
        &self,
        id: SessionId,
        update: &SessionUpdate,
    ) -> Result<SessionRecord, HttpError> {
        self.call(reqwest::Method::PATCH, &format!("/api/sessions/{id}"), update).await
    }

    /// `POST /api/sessions/:id/logs`; answered once the lines are stored.
    pub async fn append_lines(
        &self,
        id: SessionId,
        token: FencingToken,
        lines: Vec<LogLine>,
    ) -> Result<LogAnswer, HttpError> {
        self.call(reqwest::Method::POST, &format!("/api/sessions/{id}/logs"), &LogPost { token, lines }).await
    }

    /// `POST /api/workers/me/recoveries`, idempotent by run.
    pub async fn add_recovery(&self, recovery: &Recovery) -> Result<(), HttpError> {
        let path = "/api/workers/me/recoveries";
        self.call::<serde_json::Value>(reqwest::Method::POST, path, recovery).await.map(|_| ())
    }

    /// `GET /api/workers/me/config`; `None`: still of the version that is known.
    pub async fn configuration(
        &self,
        worker: WorkerId,
        known: Option<&str>,
    ) -> Result<Option<WorkerConfig>, HttpError> {
        let request = self.http.get(format!("{}/api/workers/me/config", self.base));
        let request = request.bearer_auth(self.key.reveal()).header("cyrus-worker", worker.to_string());
        let plain = |etag: &&str| etag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        http::fetch_new(match known.filter(plain) {
            Some(etag) => request.header(IF_NONE_MATCH, format!("\"{etag}\"")),
            None => request,
        })
        .await
    }

    /// `POST /api/repositories`, idempotent by remote or name.
    pub async fn add_repository(&self, repository: &NewRepository) -> Result<Repository, HttpError> {
        self.call(reqwest::Method::POST, "/api/repositories", repository).await
    }
}

fn escape(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}
