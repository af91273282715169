//! Speaks as Linear: bodies of the real shape with the system's ids, fresh stamps and right signatures, and every wrong one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::webhook::{self, AgentSessionWebhooks};
use uuid::Uuid;

use crate::system::System;

static ISSUES: AtomicU64 = AtomicU64::new(1);

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A fresh UUID as text.
pub fn uuid() -> String {
    Uuid::new_v4().to_string()
}

/// What the proxy answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub allow: Option<String>,
    pub retry_after: Option<String>,
    pub body: Value,
    /// From the first byte sent to the last one read.
    pub took: Duration,
}

impl Answer {
    /// The problem's code; empty where the answer is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// What a taken webhook was answered with: `stored`, `duplicate` or `ignored`.
    pub fn outcome(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    /// Fails unless this is a problem document of that status and code which says why.
    pub fn assert_refused(&self, what: &str, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{what}: {self:?}");
        assert_eq!(self.content_type, "application/problem+json", "{what}");
        assert_eq!(self.body["status"], status, "{what}");
        assert_eq!(self.body["type"], format!("urn:cyrus:problem:{code}"), "{what}");
        for field in ["title", "detail"] {
            assert!(
                self.body[field].as_str().is_some_and(|text| text.len() > 5),
                "{what}: no {field}: {}",
                self.body
            );
        }
    }

    /// Fails unless this is a 200 with that outcome.
    pub fn assert_outcome(&self, what: &str, outcome: &str) {
        assert_eq!((self.status, self.outcome()), (200, outcome), "{what}: {self:?}");
    }
}

impl System {
    /// A new agent session on a new issue of the system's workspace.
    pub fn new_session(&self) -> AgentSessionWebhooks {
        let mut hooks = AgentSessionWebhooks::new(
            &self.up.linear_organization_id,
            &self.up.linear_app_user_id,
            &uuid(),
            &uuid(),
        );
        hooks.identifier = format!("E2E-{}", ISSUES.fetch_add(1, Ordering::Relaxed));
        hooks.title = format!("Add a note, number {}", hooks.identifier);
        hooks.comment_id = uuid();
        hooks
    }

    /// Sends a body as Linear does, under a delivery id of its own.
    pub async fn send(&self, body: &Value) -> Result<Answer> {
        self.send_as(&uuid(), body).await
    }

    /// Sends a body under this delivery id.
    pub async fn send_as(&self, delivery: &str, body: &Value) -> Result<Answer> {
        self.send_bytes(delivery, body.to_string().into_bytes()).await
    }

    /// Sends bytes with a right signature.
    pub async fn send_bytes(&self, delivery: &str, body: Vec<u8>) -> Result<Answer> {
        let signature = webhook::sign(&self.up.webhook_secrets.linear, &body);
        self.post_webhook(delivery, Some(&signature), body).await
    }

    /// Sends bytes with this signature header, or none.
    pub async fn post_webhook(
        &self,
        delivery: &str,
        signature: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Answer> {
        let mut request = self.http.post(format!("{}/webhooks/linear", self.up.proxy_url));
        for (name, value) in webhook::headers(&self.up.webhook_secrets.linear, &body, delivery, now_ms()) {
            if name != "linear-signature" {
                request = request.header(name, value);
            }
        }
        if let Some(signature) = signature {
            request = request.header("linear-signature", signature);
        }
        answer(request.body(body)).await
    }
}

/// Sends a request and reads what came back.
pub async fn answer(request: reqwest::RequestBuilder) -> Result<Answer> {
    let begun = std::time::Instant::now();
    let response = request.timeout(Duration::from_secs(30)).send().await.context("no answer")?;
    let header =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (status, allow, retry_after) = (response.status().as_u16(), header("allow"), header("retry-after"));
    let content_type = header("content-type").unwrap_or_default();
    let bytes = response.bytes().await?;
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    Ok(Answer { status, content_type, allow, retry_after, body, took: begun.elapsed() })
}
