//! The stream of events: read for ever, over every break.
//!
//! Parts: [`transport`] (which one), [`ndjson`] and [`websocket`] (how lines come), [`wire`] (either). A stream
//! that is silent for 2.5 heartbeat intervals counts as broken. Lines that cannot be read are told and passed
//! over. Whatever the proxy sends, no more than a few lines are held. This file decides nothing about events; it
//! hands lines on.

mod ndjson;
pub mod transport;
mod websocket;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use shared::problem::ProblemCode;
use shared::stream::{PROTOCOL, StreamLine, parse};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use super::client::ProxyClient;
use crate::http::HttpError;
use crate::worker::boot_clock::Clock;
use transport::{Choice, Fared, Kind, Transport};
use wire::{Cut, Wire};

/// Lines that wait for their reader. Few, since each may be long.
pub const LINES_AHEAD: usize = 4;
/// Bounds of the heartbeat interval, whatever `hello` says.
const INTERVALS: std::ops::RangeInclusive<u64> = 400..=120_000;
/// Pauses before coming back are at most this part of a lease's time, so that an outage of the hub costs nobody a lease…
const PAUSES_A_LEASE: u64 = 10;
/// … but that bound is never shorter than this, whatever `hello` says.
const SHORTEST_BOUND: Duration = Duration::from_millis(500);
/// Bad lines of one stream that are told one by one.
const TOLD_LINES: u32 = 3;

/// A line, and when the stream that brought it was asked for.
#[derive(Debug)]
pub struct Arrival {
    /// On the clock that was given.
    pub asked: Duration,
    /// The line.
    pub line: StreamLine,
}

/// Why there will be no more streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// Another process with this journal took over.
    Replaced,
    /// The key is unknown or revoked.
    Refused,
    /// The hub does not know the worker (any more): it must register.
    Unregistered,
    /// The two do not speak a common protocol: what mends it.
    Protocol(String),
    /// Nobody reads any more.
    Unread,
}

enum Broken {
    OnPurpose,
    Lost(Fared, String),
    Over(Over),
}

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the answer and `hello`.
    pub hello: Duration,
    /// Before the first try to come back; it doubles.
    pub first_pause: Duration,
    /// The longest such pause.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(40),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
        }
    }
}

/// Reads streams.
pub struct Reader {
    /// From whom.
    pub proxy: ProxyClient,
    /// By which client: one without a limit on the whole.
    pub http: reqwest::Client,
    /// How.
    pub transport: Transport,
    /// By which clock [`Arrival::asked`] is told.
    pub clock: Arc<dyn Clock>,
    /// How long is waited for what.
    pub patience: Patience,
    /// To whom lines go, in order.
    pub lines: mpsc::Sender<Arrival>,
}

impl Reader {
    /// Reads streams until one of the reasons to end.
    pub async fn read_for_ever(self) -> Over {
        let Patience { first_pause, .. } = self.patience;
        let mut longest_pause = self.patience.longest_pause;
        let mut choice = Choice::new(self.transport);
        let mut pause = first_pause;
        let mut refusals = 0_u32;
        loop {
            let begun = Instant::now();
            let ended = tokio::select! {
                ended = self.read_one(choice.kind(), &mut longest_pause) => ended,
                () = self.lines.closed() => Broken::Over(Over::Unread),
            };
            match ended {
                Broken::Over(Over::Refused) if refusals < 3 => {
                    // A key that was made a moment ago may not have reached the hub yet.
                    refusals += 1;
                    warn!("the proxy refused the worker key; trying again in {} s", longest_pause.as_secs());
                    sleep(longest_pause).await;
                    continue;
                }
                Broken::Over(over) => return over,
                Broken::OnPurpose => {
                    choice.ended(Fared::Well);
                    // A proxy that ends every stream at once is not followed as fast as it likes.
                    if begun.elapsed() > first_pause {
                        pause = first_pause;
                        continue;
                    }
                }
                Broken::Lost(fared, reason) => {
                    if begun.elapsed() > longest_pause {
                        pause = first_pause;
                    }
                    info!("the stream is gone ({reason}); back in {:.1} s", pause.as_secs_f64());
                    if choice.ended(fared) {
                        info!("the next stream is {}", name(choice.kind()));
                    }
                }
            }
            refusals = 0;
            // Jitter keeps many workers from coming back in step.
            pause = pause.min(longest_pause);
            sleep(pause.mul_f64(0.5 + 0.5 * jitter())).await;
            pause = (pause * 2).min(longest_pause);
        }
    }

    async fn read_one(&self, kind: Kind, longest_pause: &mut Duration) -> Broken {
        let asked = self.clock.now();
        let hello_by = Instant::now() + self.patience.hello;
        let mut wire = match timeout_at(hello_by, Wire::open(&self.proxy, &self.http, kind)).await {
            Err(_) => return Broken::Lost(Fared::Mute, "the proxy did not answer".to_owned()),
            Ok(Err(error)) => return not_opened(error),
            Ok(Ok(wire)) => wire,
        };
        let mut bad = 0_u32;
        // `None` until `hello`.
        let mut silence = None;
        loop {
            let fared = if silence.is_some() { Fared::Well } else { Fared::Mute };
            let next = match silence {
                None => timeout_at(hello_by, wire.next()).await,
                Some(silence) => timeout(silence, wire.next()).await,
            };
            let line = match (next, silence) {
                (Err(_), None) => {
                    let seconds = self.patience.hello.as_secs_f64();
                    return Broken::Lost(Fared::Mute, format!("no hello in {seconds:.0} s"));
                }
                (Err(_), Some(silence)) => {
                    return Broken::Lost(Fared::Mute, format!("silent for {:.0} s", silence.as_secs_f64()));
                }
                (Ok(Err(Cut(reason))), _) => return Broken::Lost(fared, reason),
                (Ok(Ok(line)), _) => line,
            };
            let line = match parse(&line) {
                Ok(Some(line)) => line,
                Ok(None) => continue,
                Err(error) => {
                    bad = bad.saturating_add(1);
                    if bad <= TOLD_LINES {
                        warn!("a line of the stream was passed over: {error}");
                    }
                    continue;
                }
            };
            match &line {
                StreamLine::Heartbeat => continue,
                StreamLine::Reconnect => return Broken::OnPurpose,
                StreamLine::Replaced => return Broken::Over(Over::Replaced),
                StreamLine::Hello { protocol, intervals, .. } => {
                    if let Some(mend) = unspoken(*protocol) {
                        return Broken::Over(Over::Protocol(mend));
                    }
                    let beat = intervals.heartbeat_line_ms.clamp(*INTERVALS.start(), *INTERVALS.end());
                    silence = Some(Duration::from_millis(beat * 5 / 2));
                    wire.beat_every(Duration::from_millis(beat));
                    let bound =
                        Duration::from_millis(intervals.lease_ms / PAUSES_A_LEASE).max(SHORTEST_BOUND);
                    *longest_pause = self.patience.longest_pause.min(bound);
                }
                StreamLine::Event { .. } | StreamLine::Config { .. } | StreamLine::Revoked { .. } => {}
            }
            if self.lines.send(Arrival { asked, line }).await.is_err() {
                return Broken::Over(Over::Unread);
            }
        }
    }
}

fn not_opened(error: HttpError) -> Broken {
    if is_refusal(&error) {
        return Broken::Over(Over::Refused);
    }
    if error.is(ProblemCode::WorkerUnknown) {
        return Broken::Over(Over::Unregistered);
    }
    match protocol_refusal(&error) {
        Some(mend) => Broken::Over(Over::Protocol(mend)),
        None => Broken::Lost(Fared::Shut, error.to_string()),
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Ndjson => "NDJSON",
        Kind::WebSocket => "a WebSocket",
    }
}

fn jitter() -> f64 {
    let [byte, ..] = *uuid::Uuid::new_v4().as_bytes();
    f64::from(byte) / 255.0
}

/// Whether the proxy refuses this key for good.
pub fn is_refusal(error: &HttpError) -> bool {
    error.is(ProblemCode::Unauthorized)
}

/// What mends it when the proxy refuses this build's protocol.
pub fn protocol_refusal(error: &HttpError) -> Option<String> {
    match error {
        HttpError::Refused(problem) if problem.is(ProblemCode::ProtocolUnsupported) => Some(format!(
            "the proxy does not speak with cyrus {}: {}",
            env!("CARGO_PKG_VERSION"),
            problem.detail
        )),
        _ => None,
    }
}

/// What mends it when the proxy answers in a protocol that this build does not speak.
pub fn unspoken(protocol: u32) -> Option<String> {
    let this = env!("CARGO_PKG_VERSION");
    if protocol > PROTOCOL {
        Some(format!(
            "the proxy speaks protocol {protocol}, cyrus {this} speaks {PROTOCOL}: install the cyrus of the proxy's own release, which is newer"
        ))
    } else if protocol + 1 < PROTOCOL {
        Some(format!(
            "the proxy speaks protocol {protocol}, cyrus {this} speaks {PROTOCOL} and the one before: deploy the proxy of cyrus {this}, or install the cyrus of the proxy's own release"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
