//! The fate of each ack and heartbeat: dropped before or after the hub has it, sent twice, late, or left alone.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Request, Response};

use super::relay::{self, Answer};
use super::{NoAnswer, Shared};

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Passes,
    /// The hub never sees it.
    RequestDropped,
    /// The hub has it, the edge does not learn that.
    AnswerDropped,
    /// The hub gets it twice at once.
    Repeated,
    /// The hub gets it once more, long after.
    RepeatedLate(Duration),
    /// The hub gets it late.
    Delayed(Duration),
}

impl Fate {
    /// Draws one: about every third request meets something.
    pub(super) fn draw(dice: &mut fastrand::Rng) -> Self {
        // Both are always drawn, so that the same seed gives the same fates whatever the code above does.
        let (face, time) = (dice.u32(..100), dice.u64(..1_000));
        match face {
            0..8 => Self::RequestDropped,
            8..16 => Self::AnswerDropped,
            16..22 => Self::Repeated,
            22..28 => Self::RepeatedLate(Duration::from_millis(1_500 + 8 * time)),
            28..34 => Self::Delayed(Duration::from_millis(200 + time)),
            _ => Self::Passes,
        }
    }
}

/// Passes an ack or a heartbeat on, or not.
pub(super) async fn pass(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Answer>, NoAnswer> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    let fate = if shared.noisy.load(Ordering::Relaxed) {
        Fate::draw(&mut shared.dice.lock().unwrap_or_else(PoisonError::into_inner))
    } else {
        Fate::Passes
    };
    let injected = &shared.injected;
    match fate {
        Fate::Passes => deliver(&parts, &body, &shared).await,
        Fate::RequestDropped => {
            injected.count("request_dropped");
            Err(NoAnswer)
        }
        Fate::AnswerDropped => {
            deliver(&parts, &body, &shared).await?;
            injected.count("answer_dropped");
            Err(NoAnswer)
        }
        Fate::Repeated => {
            deliver(&parts, &body, &shared).await?;
            let answer = deliver(&parts, &body, &shared).await?;
            injected.count("repeated");
            Ok(answer)
        }
        Fate::RepeatedLate(after) => {
            let answer = deliver(&parts, &body, &shared).await?;
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                if deliver(&parts, &body, &shared).await.is_ok() {
                    shared.injected.count("repeated_late");
                }
            });
            Ok(answer)
        }
        Fate::Delayed(time) => {
            injected.count("delayed");
            tokio::time::sleep(time).await;
            deliver(&parts, &body, &shared).await
        }
    }
}

/// Sends it and reads the whole answer.
async fn deliver(parts: &Parts, body: &Bytes, shared: &Shared) -> Result<Response<Answer>, NoAnswer> {
    let mut request = Request::new(relay::whole(body.clone()));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = parts.headers.clone();
    let (parts, body) = relay::send(request, shared).await?.into_parts();
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    Ok(Response::from_parts(parts, relay::whole(body)))
}
