//! The HTTP calls that set a system up and watch it, to the panel and the proxy.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::api::{NewRepository, NewWorkerKey, Page, Repository, Worker};
use shared::session::SessionRecord;

/// Speaks to both Workers of one system.
#[derive(Clone)]
pub struct Panel {
    http: Client,
    /// The panel's base URL.
    pub panel_url: String,
    /// The proxy's base URL.
    pub proxy_url: String,
}

/// What `POST /setup` answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetUp {
    /// The organization.
    pub organization_id: String,
    /// Signs in one browser, once.
    pub sign_in_url: String,
    /// The owner's key.
    pub owner_api_key: String,
}

impl Panel {
    /// Nothing is asked yet.
    pub fn new(panel_url: String, proxy_url: String) -> Result<Self> {
        // Everything is on loopback: a proxy of the environment has no part in it.
        let http = Client::builder().no_proxy().connect_timeout(Duration::from_secs(5)).build()?;
        Ok(Self { http, panel_url, proxy_url })
    }

    /// Makes the organization, or finds it.
    pub async fn set_up(&self, setup_token: &str) -> Result<SetUp> {
        let request = self.http.post(format!("{}/setup", self.panel_url)).bearer_auth(setup_token);
        json_of(request.json(&json!({"organizationName": "Demo"})), "setting up the panel").await
    }

    /// Makes a worker key that the hub knows.
    pub async fn new_worker_key(&self, owner_key: &str) -> Result<String> {
        for _ in 0..10 {
            let url = format!("{}/api/worker-keys", self.panel_url);
            let request = self.http.post(url).bearer_auth(owner_key).json(&json!({"name": "local edges"}));
            let made: NewWorkerKey = json_of(request, "making a worker key").await?;
            if made.active {
                return Ok(made.key);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        bail!("the panel made a worker key, but the proxy's hub did not take it")
    }

    /// Whether the panel still knows this key.
    pub async fn knows(&self, key: &str) -> Result<bool> {
        let request = self.http.get(format!("{}/api/me", self.panel_url)).bearer_auth(key);
        Ok(send(request, "asking the panel about the worker key").await?.status().is_success())
    }

    /// Adds a repository, or finds it.
    pub async fn add_repository(&self, worker_key: &str, new: &NewRepository) -> Result<Repository> {
        let request = self.http.post(format!("{}/api/repositories", self.panel_url)).bearer_auth(worker_key);
        json_of(request.json(new), "adding the repository").await
    }

    /// Gives the proxy a Linear workspace.
    pub async fn connect_linear(&self, setup_token: &str, connection: &Value) -> Result<()> {
        let request = self.http.put(format!("{}/setup/linear", self.proxy_url)).bearer_auth(setup_token);
        json_of::<Value>(request.json(connection), "connecting the Linear workspace").await.map(drop)
    }

    /// All workers.
    pub async fn workers(&self, key: &str) -> Result<Vec<Worker>> {
        let request = self.http.get(format!("{}/api/workers", self.panel_url)).bearer_auth(key);
        json_of::<Page<Worker>>(request, "listing the workers").await.map(|page| page.items)
    }

    /// The newest sessions.
    pub async fn sessions(&self, key: &str) -> Result<Vec<SessionRecord>> {
        let request = self.http.get(format!("{}/api/sessions?limit=50", self.panel_url)).bearer_auth(key);
        json_of::<Page<SessionRecord>>(request, "listing the sessions").await.map(|page| page.items)
    }

    /// One session.
    pub async fn session(&self, key: &str, id: &str) -> Result<SessionRecord> {
        let request = self.http.get(format!("{}/api/sessions/{id}", self.panel_url)).bearer_auth(key);
        json_of(request, "reading the session").await
    }

    /// The session's lines after `seq`, as server-sent events.
    pub async fn log_stream(&self, key: &str, id: &str, seq: u64) -> Result<Response> {
        let url = format!("{}/api/sessions/{id}/logs", self.panel_url);
        let request = self.http.get(url).bearer_auth(key).header("last-event-id", seq.to_string());
        let response = send(request, "following the session").await?;
        if !response.status().is_success() {
            bail!("following the session: {}", response.status());
        }
        Ok(response)
    }

    /// Sends a signed webhook.
    pub async fn send_webhook(&self, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Result<()> {
        let mut request = self.http.post(format!("{}/webhooks/linear", self.proxy_url)).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer: Value = json_of(request, "sending the webhook").await?;
        if answer["status"] != "stored" {
            bail!("the proxy answered the webhook with `{}`", answer["status"]);
        }
        Ok(())
    }
}

async fn send(request: RequestBuilder, doing: &str) -> Result<Response> {
    request.send().await.with_context(|| format!("{doing}: no answer"))
}

async fn json_of<T: DeserializeOwned>(request: RequestBuilder, doing: &str) -> Result<T> {
    let response = send(request.timeout(Duration::from_secs(30)), doing).await?;
    let status = response.status();
    let bytes = response.bytes().await.with_context(|| format!("{doing}: the answer broke off"))?;
    if !status.is_success() {
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let told = problem["detail"].as_str().filter(|text| !text.is_empty()).or(problem["title"].as_str());
        bail!("{doing}: {status}: {}", told.unwrap_or("no reason given"));
    }
    serde_json::from_slice(&bytes).with_context(|| format!("{doing}: the answer is not of the known shape"))
}
