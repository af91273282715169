//! The paths of the Messages API that clients use, and `/_test/requests`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::conversation::{Conversation, assistant_count};
use super::script::{self, Step};
use super::{ModelCounts, Stage, lock, task, unscripted, wire};

/// Largest request body, bytes: a conversation is sent whole each time.
const MOST_BODY: usize = 64 << 20;
/// Most sessions and served errors that are remembered; then those counts begin anew.
const MOST_REMEMBERED: usize = 20_000;

pub(super) fn routes(stage: Arc<Stage>) -> Router {
    Router::new()
        .route("/v1/messages", post(message))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/models", get(models))
        .route("/_test/requests", get(requests))
        .fallback(elsewhere)
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .with_state(stage)
}

async fn elsewhere(method: Method) -> Response {
    // Clients probe the base URL with HEAD.
    if method == Method::HEAD {
        return wire::answer(StatusCode::OK, json!({}));
    }
    wire::error(StatusCode::NOT_FOUND, "not_found_error", "not found")
}

async fn requests(State(stage): State<Arc<Stage>>) -> Json<ModelCounts> {
    Json(lock(&stage.counts).clone())
}

async fn models() -> Response {
    let model = json!({
        "type": "model", "id": "claude-scripted-1", "display_name": "Scripted",
        "created_at": "2026-01-01T00:00:00Z"});
    let ends = "claude-scripted-1";
    wire::answer(
        StatusCode::OK,
        json!({"data": [model], "has_more": false, "first_id": ends, "last_id": ends}),
    )
}

async fn count_tokens(body: Bytes) -> Response {
    wire::answer(StatusCode::OK, json!({"input_tokens": tokens(&body)}))
}

/// Four bytes are taken for a token.
fn tokens(body: &[u8]) -> usize {
    (body.len() / 4).max(1)
}

async fn message(State(stage): State<Arc<Stage>>, headers: HeaderMap, body: Bytes) -> Response {
    let session =
        headers.get("x-claude-code-session-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
    count(&stage, session);
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return wire::error(StatusCode::BAD_REQUEST, "invalid_request_error", "the body is not JSON");
    };
    let conversation = Conversation::new(&request);
    let (step, key) = match pick(&conversation) {
        Ok(picked) => picked,
        Err(broken) => {
            let message = format!("the prompt's script cannot be read: {broken}");
            return wire::error(StatusCode::BAD_REQUEST, "invalid_request_error", &message);
        }
    };
    tokio::time::sleep(Duration::from_millis(step.delay_ms)).await;
    if let Some(status) = step.http
        && serve_error(&stage, &format!("{session} {key}"), step.times)
    {
        return wire::scripted_error(&step, status);
    }
    let model = request.get("model").and_then(Value::as_str).unwrap_or("claude-scripted-1");
    let cwd = conversation.working_directory().unwrap_or_else(|| ".".into());
    let message = wire::Message::new(&step, model, &cwd, tokens(&body));
    let streams = request.get("stream").and_then(Value::as_bool).unwrap_or(false);
    if streams { message.streamed() } else { message.whole() }
}

fn count(stage: &Stage, session: &str) {
    let mut counts = lock(&stage.counts);
    counts.requests += 1;
    if session.is_empty() {
        return;
    }
    if counts.by_session.len() >= MOST_REMEMBERED {
        counts.by_session.clear();
    }
    if !counts.by_session.contains_key(session) {
        counts.runs += 1;
    }
    *counts.by_session.entry(session.to_owned()).or_default() += 1;
}

/// The step that answers, and a name for it that is the same on each retry.
fn pick(conversation: &Conversation<'_>) -> Result<(Step, String), String> {
    if !conversation.has_tools() {
        // Titles, summaries, probes.
        return Ok((Step::saying("OK."), String::new()));
    }
    if let Some(step) = task::step(conversation) {
        return Ok((step?, String::new()));
    }
    let Some((steps, after)) = conversation.newest_user(script::in_text) else {
        return Ok((unscripted::step(conversation), String::new()));
    };
    let steps = steps?;
    let at = assistant_count(after).min(steps.len() - 1);
    let written = serde_json::to_vec(&steps).unwrap_or_default();
    Ok((steps[at].clone(), format!("{at} {}", hex::encode(Sha256::digest(written)))))
}

/// Counts one more serving of a scripted error; false when it was served often enough.
fn serve_error(stage: &Stage, key: &str, times: Option<u64>) -> bool {
    let mut served = lock(&stage.errors_served);
    if served.len() >= MOST_REMEMBERED {
        served.clear();
    }
    let count = served.entry(key.to_owned()).or_default();
    *count += 1;
    times.is_none_or(|times| *count <= times)
}
