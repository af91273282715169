//! HTTP to our own Workers: one client, and what their refusals mean.
//!
//! A problem document becomes [`HttpError::Refused`]; what may be tried again is told by [`HttpError::is_passing`].

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use shared::problem::{Problem, ProblemCode};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No answer came.
    #[error("no answer from {host}")]
    Unreachable {
        /// Who did not answer.
        host: String,
        /// Why; the address is left out, since addresses may hold ids.
        #[source]
        source: reqwest::Error,
    },
    /// The other side refused, and says why.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The other side refuses for now, and says for how long.
    #[error("{problem}")]
    NotNow {
        /// Why.
        problem: Problem,
        /// Its `Retry-After`, at most an hour.
        after: Duration,
    },
    /// The answer is not what the protocol says.
    #[error(
        "an answer of status {status} that is not of the protocol; check that the address is the right one"
    )]
    NotOurs {
        /// Its status.
        status: u16,
    },
}

impl HttpError {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NotNow { .. } => true,
            Self::Refused(problem) => problem.status >= 500 || problem.status == 429,
            Self::NotOurs { status } => *status >= 500,
        }
    }

    /// Whether the other side refused with this code.
    pub fn is(&self, code: ProblemCode) -> bool {
        matches!(self, Self::Refused(problem) | Self::NotNow { problem, .. } if problem.is(code))
    }

    /// How long the other side wants to be left alone, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotNow { after, .. } => Some(*after),
            _ => None,
        }
    }
}

/// The client for everything but streams: 60 s for an answer.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(concat!("cyrus/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(60))
        .build()
}

/// The client for streams: no limit on the whole, since the stream's own rules find silence.
pub fn stream_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(concat!("cyrus/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .build()
}

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// The longest refusal.
const MAX_PROBLEM: usize = 64 * 1024;
/// The longest time that a refusal may ask for.
const LONGEST_AFTER: Duration = Duration::from_secs(3600);
/// Letters of a refusal's text that are kept.
const TOLD: usize = 600;

/// Sends a request; a refusal becomes an error.
pub async fn send(request: RequestBuilder) -> Result<Response, HttpError> {
    answer(request, |status| status.is_success()).await
}

/// Sends a request that is answered by a status of the caller's choice; all others are refusals.
pub async fn answer(
    request: RequestBuilder,
    wanted: impl FnOnce(StatusCode) -> bool,
) -> Result<Response, HttpError> {
    let response = request.send().await.map_err(unreachable)?;
    if wanted(response.status()) {
        return Ok(response);
    }
    let status = response.status().as_u16();
    if status < 400 {
        return Err(HttpError::NotOurs { status });
    }
    let after =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let after = after.map(|seconds| Duration::from_secs(seconds).min(LONGEST_AFTER));
    let body = read(response, MAX_PROBLEM).await?;
    let problem = serde_json::from_slice::<Problem>(&body).map_err(|_| HttpError::NotOurs { status })?;
    Err(match (tame(problem), after) {
        (problem, Some(after)) if [429, 503].contains(&status) => HttpError::NotNow { problem, after },
        (problem, _) => HttpError::Refused(problem),
    })
}

/// Sends a request and reads its JSON answer.
pub async fn fetch<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, HttpError> {
    let response = send(request).await?;
    let status = response.status().as_u16();
    let body = read(response, MAX_ANSWER).await?;
    serde_json::from_slice(&body).map_err(|_| HttpError::NotOurs { status })
}

/// Like [`fetch`]; `None`: the other side says that nothing is new (304).
pub async fn fetch_new<T: DeserializeOwned>(request: RequestBuilder) -> Result<Option<T>, HttpError> {
    let wanted = |status: StatusCode| status.is_success() || status == StatusCode::NOT_MODIFIED;
    let response = answer(request, wanted).await?;
    let status = response.status();
    if status == StatusCode::NOT_MODIFIED {
        return Ok(None);
    }
    let body = read(response, MAX_ANSWER).await?;
    serde_json::from_slice(&body).map(Some).map_err(|_| HttpError::NotOurs { status: status.as_u16() })
}

async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, HttpError> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        if body.len() + piece.len() > limit {
            return Err(HttpError::NotOurs { status });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// A refusal's text goes to terminals and logs: it is cut short and has no control characters.
fn tame(mut problem: Problem) -> Problem {
    for text in [&mut problem.kind, &mut problem.title, &mut problem.detail, &mut problem.code] {
        *text = text.chars().filter(|letter| !letter.is_control()).take(TOLD).collect();
    }
    problem
}

/// An error of the transport, without the address.
pub fn unreachable(source: reqwest::Error) -> HttpError {
    let host = source.url().and_then(|url| url.host_str()).unwrap_or("the server").to_owned();
    HttpError::Unreachable { host, source: source.without_url() }
}
