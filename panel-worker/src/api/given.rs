//! What people send: bodies that may be left out, texts with their limits, ids out of a path.

use serde::de::DeserializeOwned;
use shared::problem::{Problem, ProblemCode};
use worker::Request;
use worker_shell::body;
use worker_shell::failure::{Answer, Failure};

use super::query::invalid;

/// The longest text of a person, in bytes of UTF-8.
pub const MAX_TEXT: usize = 64 * 1024;

/// The longest body that can hold such a text: JSON may write a byte as `\u001f`.
pub const MAX_BODY: usize = 6 * MAX_TEXT + 8 * 1024;

/// Reads a JSON body of at most `limit` bytes; none at all is the default.
pub async fn body_or_default<T: DeserializeOwned + Default>(
    request: &mut Request,
    limit: usize,
) -> Answer<T> {
    let bytes = body::read_capped(request, limit).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    if shared::webhook::depth::deeper_than(shared::webhook::MAX_DEPTH, &bytes) {
        return Err(Problem::new(ProblemCode::TooDeep, "the body may nest at most 64 levels").into());
    }
    serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))
}

/// Refuses a text of more than 64 KB.
pub fn check_length(name: &str, text: &str) -> Answer<()> {
    if text.len() <= MAX_TEXT {
        return Ok(());
    }
    Err(Problem::new(ProblemCode::TooLarge, format!("`{name}` may have at most {MAX_TEXT} bytes")).into())
}

/// Refuses a text that is empty, blank, or of more than 64 KB.
pub fn check_text(name: &str, text: &str) -> Answer<()> {
    if text.trim().is_empty() {
        return Err(invalid(format!("`{name}` must not be empty")));
    }
    check_length(name, text)
}

/// A segment of a path as text; `None` where its escapes make none.
pub fn decoded(segment: &str) -> Option<String> {
    js_sys::decode_uri_component(segment).ok().map(String::from)
}

/// The refusal of what a session cannot take as it is now.
pub fn not_possible(detail: impl Into<String>) -> Failure {
    Problem::new(ProblemCode::NotPossible, detail).into()
}
