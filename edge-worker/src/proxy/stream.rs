//! The stream of events: read for ever, over every break.
//!
//! A stream that is silent for 2.5 heartbeat intervals counts as broken. Lines that cannot be read are told and
//! passed over; a line beyond [`MAX_LINE`] ends the stream, so a hostile proxy cannot fill memory. This file
//! decides nothing about events; it hands lines on.

use std::time::Duration;

use futures_util::StreamExt;
use shared::problem::ProblemCode;
use shared::stream::{StreamLine, parse};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::client::ProxyClient;
use crate::http::{self, HttpError};

/// The longest line that is read, in bytes: a body of 5 MiB with room to spare.
pub const MAX_LINE: usize = 16 * 1024 * 1024;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const SILENCE_BEFORE_HELLO: Duration = Duration::from_secs(40);

/// Why there will be no more streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Another process with this journal took over.
    Replaced,
    /// The key is unknown or revoked.
    Refused,
    /// Nobody reads any more.
    Unread,
}

enum Broken {
    OnPurpose,
    Lost(String),
    Over(Over),
}

/// Reads streams until one of the reasons to end. Lines go to `lines` in order.
pub async fn read_for_ever(
    proxy: ProxyClient,
    http: reqwest::Client,
    lines: mpsc::Sender<StreamLine>,
) -> Over {
    let mut pause = FIRST_PAUSE;
    let mut refusals = 0_u32;
    loop {
        let begun = tokio::time::Instant::now();
        match read_one(&proxy, &http, &lines).await {
            Broken::Over(Over::Refused) if refusals < 3 => {
                // A key that was made a moment ago may not have reached the hub yet.
                refusals += 1;
                warn!("the proxy refused the worker key; trying again in {} s", LONGEST_PAUSE.as_secs());
                sleep(LONGEST_PAUSE).await;
                continue;
            }
            Broken::Over(over) => return over,
            Broken::OnPurpose => {
                pause = FIRST_PAUSE;
                continue;
            }
            Broken::Lost(reason) => {
                if begun.elapsed() > LONGEST_PAUSE {
                    pause = FIRST_PAUSE;
                }
                info!("the stream is gone ({reason}); back in {:.1} s", pause.as_secs_f64());
            }
        }
        refusals = 0;
        // Jitter keeps many workers from coming back in step.
        sleep(pause.mul_f64(0.5 + 0.5 * jitter())).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn jitter() -> f64 {
    let [byte, ..] = *uuid::Uuid::new_v4().as_bytes();
    f64::from(byte) / 255.0
}

async fn read_one(proxy: &ProxyClient, http: &reqwest::Client, lines: &mpsc::Sender<StreamLine>) -> Broken {
    let request = proxy.signed(http, reqwest::Method::GET, "/v1/events");
    let response = match timeout(SILENCE_BEFORE_HELLO, http::send(request)).await {
        Err(_) => return Broken::Lost("the proxy did not answer".to_owned()),
        Ok(Err(error)) if error.is(ProblemCode::Unauthorized) => return Broken::Over(Over::Refused),
        Ok(Err(error)) => return Broken::Lost(error.to_string()),
        Ok(Ok(response)) => response,
    };
    let mut silence = SILENCE_BEFORE_HELLO;
    let mut bytes = response.bytes_stream();
    let mut line: Vec<u8> = Vec::new();
    loop {
        let chunk = match timeout(silence, bytes.next()).await {
            Err(_) => return Broken::Lost(format!("silent for {} s", silence.as_secs())),
            Ok(None) => return Broken::Lost("it ended".to_owned()),
            Ok(Some(Err(error))) => return Broken::Lost(http::unreachable(error).to_string()),
            Ok(Some(Ok(chunk))) => chunk,
        };
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if line.len() > MAX_LINE {
                return Broken::Lost(format!("a line beyond {MAX_LINE} bytes"));
            }
            if line.last() != Some(&b'\n') {
                continue;
            }
            let read = parse(&line);
            line.clear();
            let known = match read {
                Ok(Some(known)) => known,
                Ok(None) => continue,
                Err(error) => {
                    warn!("a line of the stream was passed over: {error}");
                    continue;
                }
            };
            if let StreamLine::Hello { intervals, .. } = &known {
                silence = Duration::from_millis(intervals.heartbeat_line_ms.saturating_mul(5) / 2)
                    .max(Duration::from_secs(1));
            }
            let ends = match known {
                StreamLine::Heartbeat => continue,
                StreamLine::Reconnect => Some(Broken::OnPurpose),
                StreamLine::Replaced => Some(Broken::Over(Over::Replaced)),
                _ => None,
            };
            if let Some(end) = ends {
                return end;
            }
            if lines.send(known).await.is_err() {
                return Broken::Over(Over::Unread);
            }
        }
    }
}

/// Whether the proxy refuses this key for good.
pub fn is_refusal(error: &HttpError) -> bool {
    error.is(ProblemCode::Unauthorized)
}

#[cfg(test)]
mod tests;
