//! HTTP to our own Workers: one client, and what their refusals mean.
//!
//! A problem document becomes [`HttpError::Refused`]; what may be tried again is told by [`HttpError::is_passing`].

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
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
            Self::Unreachable { .. } => true,
            Self::Refused(problem) => problem.status >= 500 || problem.status == 429,
            Self::NotOurs { status } => *status >= 500,
        }
    }

    /// Whether the other side refused with this code.
    pub fn is(&self, code: ProblemCode) -> bool {
        matches!(self, Self::Refused(problem) if problem.is(code))
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

/// Sends a request; a refusal becomes an error.
pub async fn send(request: RequestBuilder) -> Result<Response, HttpError> {
    let response = request.send().await.map_err(unreachable)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let body = response.bytes().await.map_err(unreachable)?;
    Err(serde_json::from_slice::<Problem>(&body).map_or(HttpError::NotOurs { status }, HttpError::Refused))
}

/// Sends a request and reads its JSON answer.
pub async fn fetch<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, HttpError> {
    let response = send(request).await?;
    let status = response.status().as_u16();
    let body = response.bytes().await.map_err(unreachable)?;
    serde_json::from_slice(&body).map_err(|_| HttpError::NotOurs { status })
}

/// An error of the transport, without the address.
pub fn unreachable(source: reqwest::Error) -> HttpError {
    let host = source.url().and_then(|url| url.host_str()).unwrap_or("the server").to_owned();
    HttpError::Unreachable { host, source: source.without_url() }
}
