//! Reading request bodies without ever holding more than the route allows.

use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use shared::problem::{Problem, ProblemCode};
use worker::Request;

use crate::failure::{Answer, Failure};

/// Reads at most `limit` bytes. A longer body is refused as soon as that is known: by its declared length before
/// a byte is read, else at the chunk that passes the limit; the rest is not read.
pub async fn read_capped(request: &mut Request, limit: usize) -> Answer<Vec<u8>> {
    let declared =
        request.headers().get("content-length").ok().flatten().and_then(|text| text.parse::<usize>().ok());
    let too_large =
        || Problem::new(ProblemCode::TooLarge, format!("the body may have at most {limit} bytes"));
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large().into());
    }
    let mut bytes = Vec::with_capacity(declared.unwrap_or(0).min(limit));
    if request.inner().body().is_none() {
        return Ok(bytes);
    }
    let mut stream = request.stream()?;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large().into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Reads a JSON body of at most `limit` bytes.
pub async fn read_json<T: DeserializeOwned>(request: &mut Request, limit: usize) -> Answer<T> {
    let bytes = read_capped(request, limit).await?;
    if shared::webhook::depth::deeper_than(shared::webhook::MAX_DEPTH, &bytes) {
        return Err(Problem::new(ProblemCode::TooDeep, "the body may nest at most 64 levels").into());
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::from(Problem::new(ProblemCode::InvalidRequest, error.to_string())))
}
