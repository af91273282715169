//! Reading request bodies without ever holding more than the route allows.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use serde::de::DeserializeOwned;
use shared::problem::{Problem, ProblemCode};
use worker::{ByteStream, Delay, Request};

use crate::failure::{Answer, Failure};

/// How long a refused body is let in and thrown away, in ms.
const LINGER_MS: u64 = 1_000;

/// Reads at most `limit` bytes. A longer body is refused as soon as that is known: by its declared length before a
/// byte is kept, else at the chunk that passes the limit.
pub async fn read_capped(request: &mut Request, limit: usize) -> Answer<Vec<u8>> {
    let declared =
        request.headers().get("content-length").ok().flatten().and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length <= limit) {
        // The platform holds a client to the length that it declared: one read instead of one a chunk.
        return Ok(request.bytes().await?);
    }
    if request.inner().body().is_none() {
        return Ok(Vec::new());
    }
    let mut stream = request.stream()?;
    let mut bytes = Vec::new();
    let mut too_large = declared.is_some_and(|length| length > limit);
    while !too_large {
        let Some(chunk) = stream.next().await else { return Ok(bytes) };
        let chunk = chunk?;
        too_large = bytes.len() + chunk.len() > limit;
        if !too_large {
            bytes.extend_from_slice(&chunk);
        }
    }
    drop(bytes);
    linger(&mut stream, limit).await;
    Err(Problem::new(ProblemCode::TooLarge, format!("the body may have at most {limit} bytes")).into())
}

/// Throws away what is still coming, for a moment and up to twice the limit: many clients send everything before they
/// read, and an answer on a connection that is closed under them is lost. Nothing of it is kept.
async fn linger(stream: &mut ByteStream, limit: usize) {
    let mut seen = 0;
    let mut over = Delay::from(Duration::from_millis(LINGER_MS));
    while seen <= limit.saturating_mul(2) {
        match select(stream.next(), &mut over).await {
            Either::Left((Some(Ok(chunk)), _)) => seen += chunk.len(),
            Either::Left((None | Some(Err(_)), _)) | Either::Right(_) => return,
        }
    }
}

/// Reads a text of one of our own Workers; its length is known to be sound.
pub async fn read_text(request: &mut Request, limit: usize) -> Answer<String> {
    let text = request.text().await?;
    if text.len() > limit {
        return Err(
            Problem::new(ProblemCode::TooLarge, format!("the body may have at most {limit} bytes")).into()
        );
    }
    Ok(text)
}

/// What is wrong with a body, without repeating what was sent: the parser quotes values and unknown words.
fn told(error: &serde_json::Error) -> String {
    const LONGEST: usize = 300;
    let text = error.to_string();
    let mut parts = text.split('"');
    let mut told = parts.next().unwrap_or_default().to_owned();
    if parts.next().is_some() {
        told.push('…');
        told.push_str(text.rsplit('"').next().unwrap_or_default());
    }
    if told.chars().count() > LONGEST {
        told = format!("wrong shape at line {} column {}", error.line(), error.column());
    }
    told
}

/// Reads a JSON body of at most `limit` bytes.
pub async fn read_json<T: DeserializeOwned>(request: &mut Request, limit: usize) -> Answer<T> {
    let bytes = read_capped(request, limit).await?;
    if shared::webhook::depth::deeper_than(shared::webhook::MAX_DEPTH, &bytes) {
        return Err(Problem::new(ProblemCode::TooDeep, "the body may nest at most 64 levels").into());
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::from(Problem::new(ProblemCode::InvalidRequest, told(&error))))
}
