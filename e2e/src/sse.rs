//! A viewer of a session's log: reads server-sent events as a browser would.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::system::System;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct SseEvent {
    pub name: String,
    pub id: Option<u64>,
    pub data: Value,
}

/// An open event stream.
pub struct Sse {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl Sse {
    /// Watches a session's log as the owner; `after` goes into `Last-Event-ID`.
    pub async fn watch(system: &System, session: &str, after: Option<u64>) -> Result<Self> {
        let url = format!("{}/api/sessions/{session}/logs", system.up.panel_url);
        let mut request =
            system.http.get(url).bearer_auth(&system.up.owner_api_key).header("accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        let response = request.send().await?;
        ensure!(response.status() == 200, "watch: {}: {}", response.status(), response.text().await?);
        let kind =
            response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        ensure!(kind.starts_with("text/event-stream"), "content type {kind}");
        Ok(Self { response, buffer: Vec::new() })
    }

    /// The next event; `None`: the stream has ended.
    pub async fn next(&mut self, deadline: Duration) -> Result<Option<SseEvent>> {
        tokio::time::timeout(deadline, self.next_event())
            .await
            .context("no event on the log's stream in time")?
    }

    async fn next_event(&mut self) -> Result<Option<SseEvent>> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = parse(std::str::from_utf8(&block)?)? {
                    return Ok(Some(event));
                }
            }
            match self.response.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }

    /// Reads log lines up to the one of this number and checks that only `log` events carry an id.
    pub async fn lines_up_to(&mut self, last: u64, deadline: Duration) -> Result<Vec<Value>> {
        self.lines_until(&format!("number {last}"), deadline, |line| line["seq"].as_u64() >= Some(last)).await
    }

    /// Reads log lines up to the one in which the executor tells its result.
    pub async fn lines_to_the_result(&mut self, deadline: Duration) -> Result<Vec<Value>> {
        self.lines_until("the result", deadline, |line| line["metadata"]["kind"] == "result").await
    }

    async fn lines_until(
        &mut self,
        what: &str,
        deadline: Duration,
        is_last: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>> {
        let mut lines: Vec<Value> = Vec::new();
        let read = async {
            while !lines.last().is_some_and(&is_last) {
                let event = self.next_event().await?.context("the stream ended")?;
                if event.name == "log" {
                    ensure!(event.id == event.data["seq"].as_u64(), "id and seq differ: {event:?}");
                    lines.push(event.data);
                } else {
                    ensure!(event.id.is_none(), "only log events carry an id: {event:?}");
                }
            }
            anyhow::Ok(())
        };
        let outcome = tokio::time::timeout(deadline, read).await;
        outcome
            .with_context(|| format!("lines up to {what} did not come; so far {:?}", numbers(&lines)))??;
        Ok(lines)
    }
}

/// The numbers of lines.
pub fn numbers(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["seq"].as_u64()).collect()
}

/// One block of the stream; comments and `retry` alone are none.
fn parse(block: &str) -> Result<Option<SseEvent>> {
    let (mut name, mut id, mut data) = ("message".to_owned(), None, String::new());
    for line in block.lines() {
        let Some((field, value)) = line.split_once(':') else { continue };
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value.to_owned(),
            "id" => id = Some(value.parse()?),
            "data" => data.push_str(value),
            _ => {}
        }
    }
    if data.is_empty() {
        return Ok(None);
    }
    let data = serde_json::from_str(&data).with_context(|| data.clone())?;
    Ok(Some(SseEvent { name, id, data }))
}
