//! A session that a worker by hand holds a real lease of: webhook, offer, `accepted`, lease shown, record made.

use anyhow::{Context, Result, ensure};
use e2e::delivery::{Answer, now_ms, uuid};
use e2e::raw_worker::{RawStream, RawWorker};
use e2e::system::System;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::webhook::AgentSessionWebhooks;

/// The worker, its lease and the session's record.
pub struct Held {
    pub worker: RawWorker,
    pub stream: RawStream,
    pub hooks: AgentSessionWebhooks,
    pub seq: u64,
    pub token: u64,
    /// The panel's id.
    pub id: String,
}

/// A log line of this number.
pub fn line(seq: u64, message: &str) -> Value {
    json!({"seq": seq, "level": "info", "message": message, "metadata": {"kind": "text"}, "timestamp": "2026-11-22T10:15:25.781Z"})
}

impl Held {
    /// Takes a new session.
    pub async fn new(system: &System) -> Result<Self> {
        let worker = RawWorker::register(system).await?;
        let mut stream = worker.stream().await?;
        let hooks = system.new_session();
        system.send(&hooks.created_by_delegation(now_ms())).await?.assert_outcome("created", "stored");
        let offer = stream.offer_of(&hooks.issue_id).await?;
        ensure!(worker.ack(offer.seq, offer.token, "accepted").await? == "ok");
        let mut held = Self { worker, stream, hooks, seq: offer.seq, token: offer.token, id: String::new() };
        let shown = held.show_lease(held.token).await?;
        ensure!(shown.status == 200 && shown.body["nextSeq"] == 1, "{shown:?}");
        let made = held.create(json!({})).await?;
        ensure!(made.status == 201, "{made:?}");
        held.id = made.body["id"].as_str().context("no id")?.to_owned();
        Ok(held)
    }

    /// `PUT /api/leases/:key`.
    pub async fn show_lease(&self, token: u64) -> Result<Answer> {
        let path = format!("/api/leases/{}", self.hooks.issue_id);
        self.worker.panel(Method::PUT, &path, &json!({"token": token})).await
    }

    /// `POST /api/sessions`, with some fields laid over the usual ones.
    pub async fn create(&self, over: Value) -> Result<Answer> {
        let mut body = json!({
            "sessionKey": self.hooks.issue_id, "token": self.token, "agentSessionId": self.hooks.agent_session_id,
            "linearIssueId": self.hooks.issue_id, "linearIssueIdentifier": self.hooks.identifier, "linearIssueTitle": self.hooks.title,
            "agentType": "builder", "executorType": "local", "workerName": "by hand",
        });
        for (name, value) in over.as_object().into_iter().flatten() {
            body[name.as_str()] = value.clone();
        }
        self.worker.panel(Method::POST, "/api/sessions", &body).await
    }

    /// `POST /api/sessions/:id/logs`.
    pub async fn post_lines(&self, lines: &[Value]) -> Result<Answer> {
        let body = json!({"token": self.token, "lines": lines});
        self.worker.panel(Method::POST, &format!("/api/sessions/{}/logs", self.id), &body).await
    }

    /// Posts numbered lines and checks that all up to the last are confirmed.
    pub async fn post_numbers(&self, numbers: impl IntoIterator<Item = u64>) -> Result<()> {
        let lines: Vec<Value> = numbers.into_iter().map(|seq| line(seq, &format!("line {seq}"))).collect();
        let answer = self.post_lines(&lines).await?;
        let last = lines.last().and_then(|line| line["seq"].as_u64()).unwrap_or(0);
        ensure!(answer.status == 200 && answer.body["upTo"].as_u64() >= Some(last), "{answer:?}");
        Ok(())
    }

    /// `PATCH /api/sessions/:id` under this token.
    pub async fn update(&self, token: u64, mut body: Value) -> Result<Answer> {
        body["token"] = json!(token);
        self.worker.panel(Method::PATCH, &format!("/api/sessions/{}", self.id), &body).await
    }

    /// Ends the turn, which releases the lease, and takes a follow-up, which gives a newer token.
    pub async fn take_follow_up(&mut self, system: &System) -> Result<u64> {
        ensure!(self.worker.ack(self.seq, self.token, "done").await? == "ok");
        system
            .send(&self.hooks.prompted(&uuid(), "Next", now_ms()))
            .await?
            .assert_outcome("prompted", "stored");
        let offer = self.stream.offer_of(&self.hooks.issue_id).await?;
        ensure!(offer.token > self.token, "{offer:?}");
        ensure!(self.worker.ack(offer.seq, offer.token, "accepted").await? == "ok");
        self.seq = offer.seq;
        Ok(offer.token)
    }

    /// Ends the session's event, so that nothing waits for this worker.
    pub async fn finish(self) -> Result<()> {
        ensure!(["ok", "stale"].contains(&self.worker.ack(self.seq, self.token, "done").await?.as_str()));
        Ok(())
    }
}
