//! Requests at the panel as the owner, and a run that the owner began by hand and a worker took.

use anyhow::{Context, Result, ensure};
use e2e::delivery::{self, Answer};
use e2e::raw_worker::{Offer, RawStream, RawWorker};
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};

/// A request with a JSON body.
pub async fn ask(system: &System, method: Method, path: &str, body: &Value) -> Result<Answer> {
    delivery::answer(request(system, method, path).json(body)).await
}

/// A request with these bytes as its body.
pub async fn ask_bytes(system: &System, path: &str, body: impl Into<reqwest::Body>) -> Result<Answer> {
    delivery::answer(request(system, Method::POST, path).body(body)).await
}

/// `GET`, whatever the answer.
pub async fn look(system: &System, path: &str) -> Result<Answer> {
    delivery::answer(request(system, Method::GET, path)).await
}

/// A request as the owner.
pub fn request(system: &System, method: Method, path: &str) -> reqwest::RequestBuilder {
    let url = format!("{}{path}", system.up.panel_url);
    system.http.request(method, url).bearer_auth(&system.up.owner_api_key)
}

/// A text that no JSON reader takes, and bodies that are JSON of the wrong shape, for any route that wants an object.
pub fn nasty_bodies() -> Vec<(Vec<u8>, u16, &'static str)> {
    let deep = format!("{}1{}", "[".repeat(80), "]".repeat(80));
    vec![
        (b"{".to_vec(), 400, "invalid_request"),
        (b"\xff\xfe".to_vec(), 400, "invalid_request"),
        (b"\"text\"".to_vec(), 400, "invalid_request"),
        (b"7".to_vec(), 400, "invalid_request"),
        (deep.into_bytes(), 400, "too_deep"),
        (vec![b' '; 2 * 1024 * 1024], 413, "too_large"),
    ]
}

/// A manual run without an issue that a worker by hand has taken, shown its lease of and set to `running`.
pub struct ManualRun {
    pub worker: RawWorker,
    pub stream: RawStream,
    pub id: String,
    pub offer: Offer,
}

impl ManualRun {
    /// Begins it with this prompt.
    pub async fn begin(system: &System, prompt: &str) -> Result<Self> {
        let worker = RawWorker::register(system).await?;
        let mut stream = worker.stream().await?;
        let made = ask(system, Method::POST, "/api/sessions", &json!({"prompt": prompt})).await?;
        ensure!(made.status == 201, "{made:?}");
        let id = made.body["id"].as_str().context("no id")?.to_owned();
        let offer = stream.offer_of(&id).await?;
        let run = Self { worker, stream, id, offer };
        run.take().await?;
        Ok(run)
    }

    /// Accepts the offer, shows the lease and says that it runs.
    pub async fn take(&self) -> Result<()> {
        ensure!(self.worker.ack(self.offer.seq, self.offer.token, "accepted").await? == "ok");
        let path = format!("/api/leases/{}", self.id);
        let shown = self.worker.panel(Method::PUT, &path, &json!({"token": self.offer.token})).await?;
        ensure!(shown.status == 200, "{shown:?}");
        self.set("running").await
    }

    /// Sets the record's state under the lease.
    pub async fn set(&self, status: &str) -> Result<()> {
        let body = json!({"token": self.offer.token, "status": status});
        let set = self.worker.panel(Method::PATCH, &format!("/api/sessions/{}", self.id), &body).await?;
        ensure!(set.status == 200 && set.body["status"] == status, "{set:?}");
        Ok(())
    }

    /// `POST /api/sessions/:id/{verb}`.
    pub async fn tell(&self, system: &System, verb: &str, body: &Value) -> Result<Answer> {
        ask(system, Method::POST, &format!("/api/sessions/{}/{verb}", self.id), body).await
    }

    /// Ends the turn that is under way.
    pub async fn done(&self) -> Result<()> {
        ensure!(
            ["ok", "stale"]
                .contains(&self.worker.ack(self.offer.seq, self.offer.token, "done").await?.as_str())
        );
        Ok(())
    }
}
