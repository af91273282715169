//! How Linear says no: the error bodies with their codes and HTTP status.
//!
//! Shapes as seen from the real service. Nothing here decides when to refuse.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// One error of Linear's.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: u16,
    stated: u16,
    kind: &'static str,
    code: &'static str,
    pub(super) message: String,
    presentable: &'static str,
    meta: Value,
}

impl Refusal {
    fn new(status: u16, kind: &'static str, code: &'static str, message: String) -> Self {
        Self { status, stated: status, kind, code, message, presentable: "", meta: json!({}) }
    }

    /// The document or its variables do not fit the schema.
    pub(super) fn invalid_document(message: String) -> Self {
        Self::new(400, "graphql error", "GRAPHQL_VALIDATION_FAILED", message)
    }

    /// The values fit the schema and are wrong all the same.
    pub(super) fn input(message: impl Into<String>) -> Self {
        Self::new(400, "invalid input", "INPUT_ERROR", message.into())
    }

    /// No entity of that id.
    pub(super) fn not_found(entity: &str) -> Self {
        let mut refusal = Self::input(format!("Entity not found: {entity}"));
        refusal.presentable = "Could not find referenced entity.";
        refusal
    }

    /// The token is missing, wrong, used up or revoked.
    pub(super) fn authentication() -> Self {
        let message = "Authentication required, not authenticated".to_owned();
        let mut refusal = Self::new(401, "authentication error", "AUTHENTICATION_ERROR", message);
        refusal.presentable = "You need to authenticate to access this operation.";
        refusal
    }

    /// Over the limit: HTTP 400 on the wire although 429 is stated.
    pub(super) fn rate_limited(limit: u32) -> Self {
        let message = format!("Rate limit exceeded. Only {limit} requests are allowed per 1 hour.");
        let mut refusal = Self::new(400, "ratelimited", "RATELIMITED", message);
        refusal.stated = 429;
        refusal.presentable = "Please try again later.";
        refusal.meta = json!({"rateLimitResult": {
            "allowed": false, "requested": 1, "remaining": 0, "duration": 3_600_000, "limit": limit}});
        refusal
    }

    /// Linear itself is in trouble.
    pub(super) fn internal() -> Self {
        Self::new(500, "internal error", "INTERNAL_SERVER_ERROR", "Internal server error".to_owned())
    }

    pub(super) fn extensions(&self) -> Value {
        let mut extensions = Map::new();
        extensions.insert("type".into(), self.kind.into());
        extensions.insert("code".into(), self.code.into());
        extensions.insert("statusCode".into(), self.stated.into());
        extensions.insert("userError".into(), (self.stated < 500).into());
        let presentable = if self.presentable.is_empty() { self.message.as_str() } else { self.presentable };
        extensions.insert("userPresentableMessage".into(), presentable.into());
        extensions.insert("meta".into(), self.meta.clone());
        extensions.insert("http".into(), json!({"status": self.status}));
        extensions.into()
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST)
    }

    fn error(&self) -> Value {
        json!({"message": self.message, "extensions": self.extensions()})
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        refuse_all(&[self])
    }
}

/// Several errors in one answer, with the status of the first.
pub(super) fn refuse_all(refusals: &[Refusal]) -> Response {
    let status = refusals.first().map_or(StatusCode::BAD_REQUEST, Refusal::status);
    let errors: Vec<_> = refusals.iter().map(Refusal::error).collect();
    (status, Json(json!({"errors": errors}))).into_response()
}
