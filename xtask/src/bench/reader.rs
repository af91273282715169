//! A raw edge: registers, reads the NDJSON stream, acks. Used where `cyrus` itself would measure more than the proxy.
//!
//! A line's time is taken when its last byte is read, before it is parsed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::side::{Side, Tenant};

/// Longest wait for a line.
pub const SOON: Duration = Duration::from_secs(30);

/// A registered worker.
#[derive(Clone)]
pub struct Worker {
    http: Client,
    base: String,
    key: String,
    /// As the hub gave it.
    pub id: String,
}

/// A line as it came.
#[derive(Debug)]
pub struct Line {
    /// Which of the streams.
    pub stream: usize,
    /// When.
    pub read: Instant,
    /// Parsed.
    pub line: Value,
}

impl Worker {
    /// Registers one with this many slots that serves these teams; none means all.
    pub async fn register(side: &Side, tenant: &Tenant, slots: u32, teams: &[&str]) -> Result<Self> {
        let http = Client::builder().no_proxy().tcp_nodelay(true).build()?;
        let mut worker = Self { http, base: side.url(""), key: tenant.key.clone(), id: String::new() };
        let registration = json!({
            "name": "bench", "version": "0.1.0", "protocol": 1, "repositories": [], "teams": teams,
            "executors": ["claude"], "slots": slots, "weight": 1,
        });
        let answer = worker.post("/v1/workers", &registration).await?;
        worker.id = answer["workerId"].as_str().context("no workerId")?.to_owned();
        Ok(worker)
    }

    /// `POST`; anything but 200 is an error.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        let response = self.named(request).timeout(SOON).send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status == 200, "POST {path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// `GET`; anything but 200 is an error.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let request = self.http.get(format!("{}{path}", self.base));
        let response = self.named(request).timeout(SOON).send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status == 200, "GET {path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    fn named(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let request = request.bearer_auth(&self.key);
        if self.id.is_empty() { request } else { request.header("cyrus-worker", &self.id) }
    }

    /// Acks what an `event` line brought and gives the hub's word.
    pub async fn ack(&self, line: &Value, state: &str) -> Result<String> {
        let acks = json!([{"seq": line["seq"], "token": line["token"], "state": state}]);
        let answers = self.post("/v1/acks", &acks).await?;
        Ok(answers[0].as_str().context("no word")?.to_owned())
    }

    /// Opens the stream and reads it until it ends or the handle is aborted; its lines go to `out`. Gives its `hello`.
    pub async fn stream(
        &self,
        stream: usize,
        out: mpsc::UnboundedSender<Line>,
    ) -> Result<(Value, JoinHandle<()>)> {
        let request = self.named(self.http.get(format!("{}/v1/events", self.base)));
        let mut response =
            tokio::time::timeout(SOON, request.send()).await.context("no stream in time")??;
        ensure!(response.status() == 200, "the stream: {}", response.text().await?);
        let mut buffer = Vec::new();
        let hello = tokio::time::timeout(SOON, next(&mut response, &mut buffer))
            .await
            .context("no hello in time")??;
        let hello = hello.context("the stream ended before its first line")?.line;
        ensure!(hello["type"] == "hello", "the first line is no hello: {hello}");
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = next(&mut response, &mut buffer).await {
                // Nobody listens any more: the measurement is over.
                if out.send(Line { stream, ..line }).is_err() {
                    return;
                }
            }
        });
        Ok((hello, reading))
    }
}

/// The next `event` line of this session, or of any; other lines are passed over.
pub async fn event(lines: &mut mpsc::UnboundedReceiver<Line>, session_key: Option<&str>) -> Result<Line> {
    let look = async {
        while let Some(line) = lines.recv().await {
            let fits = session_key.is_none_or(|key| line.line["sessionKey"] == key);
            if line.line["type"] == "event" && fits {
                return Ok(line);
            }
        }
        bail!("every stream has ended")
    };
    tokio::time::timeout(SOON, look).await.context("no event line in time")?
}

async fn next(response: &mut reqwest::Response, buffer: &mut Vec<u8>) -> Result<Option<Line>> {
    loop {
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let read = Instant::now();
            let line: Vec<u8> = buffer.drain(..=end).collect();
            return Ok(Some(Line { stream: 0, read, line: serde_json::from_slice(&line)? }));
        }
        match response.chunk().await? {
            Some(chunk) => buffer.extend_from_slice(&chunk),
            None => return Ok(None),
        }
    }
}
