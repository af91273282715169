//! `ETag` and `If-None-Match` of what has a version.

use worker::{Request, Response, ResponseBuilder};
use worker_shell::failure::Answer;

/// Whether the asker has this version already. Weak comparison: whether both are strong does not matter.
pub fn is_known(request: &Request, etag: &str) -> Answer<bool> {
    let known = request.headers().get("if-none-match")?;
    Ok(known.is_some_and(|known| known.split(',').map(str::trim).any(|tag| tag == "*" || same(tag, etag))))
}

fn same(given: &str, own: &str) -> bool {
    given.trim_start_matches("W/") == own.trim_start_matches("W/")
}

/// 304, which nobody may cache.
pub fn not_modified(etag: &str) -> Answer<Response> {
    Ok(ResponseBuilder::new()
        .with_status(304)
        .with_header("etag", etag)?
        .with_header("cache-control", "no-store")?
        .empty())
}
