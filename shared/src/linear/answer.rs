//! What an answer of Linear's GraphQL endpoint means: the data, or why there is none and what to do about it.
//!
//! `errors` is looked at before `data`, since Linear answers part of a query with HTTP 200 and both, and
//! refuses calls over its limit with HTTP 400. Pure: HTTP and clocks come in as arguments.

use graphql_client::GraphQLQuery;
use serde_json::Value;

/// Linear's rate-limit headers; absent ones are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimit {
    /// Requests an hour that are allowed to this app user.
    pub requests_limit: Option<u64>,
    /// Requests that are left.
    pub requests_remaining: Option<u64>,
    /// When the requests are full again, ms since 1970.
    pub requests_reset_ms: Option<i64>,
    /// Complexity points an hour that are allowed.
    pub complexity_limit: Option<u64>,
    /// Complexity points that are left.
    pub complexity_remaining: Option<u64>,
    /// When the points are full again, ms since 1970.
    pub complexity_reset_ms: Option<i64>,
    /// When the one limited endpoint is free again, ms since 1970.
    pub endpoint_reset_ms: Option<i64>,
    /// What this request cost in complexity points.
    pub complexity: Option<u64>,
    /// `Retry-After` in seconds.
    pub retry_after_s: Option<u64>,
}

impl RateLimit {
    /// Reads the headers through `header`, which is given lower-case names.
    pub fn from_headers(header: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str| header(name).and_then(|text| text.trim().parse::<u64>().ok());
        let stamp = |name: &str| header(name).and_then(|text| text.trim().parse::<i64>().ok());
        Self {
            requests_limit: number("x-ratelimit-requests-limit"),
            requests_remaining: number("x-ratelimit-requests-remaining"),
            requests_reset_ms: stamp("x-ratelimit-requests-reset"),
            complexity_limit: number("x-ratelimit-complexity-limit"),
            complexity_remaining: number("x-ratelimit-complexity-remaining"),
            complexity_reset_ms: stamp("x-ratelimit-complexity-reset"),
            endpoint_reset_ms: stamp("x-ratelimit-endpoint-requests-reset"),
            complexity: number("x-complexity"),
            retry_after_s: number("retry-after"),
        }
    }

    /// When the limit that stopped the call ends: that of the endpoint, of what is used up, else of the requests.
    const fn reset_ms(&self) -> Option<i64> {
        match (self.endpoint_reset_ms, self.complexity_remaining, self.complexity_reset_ms) {
            (Some(reset), _, _) | (None, Some(0), Some(reset)) => Some(reset),
            _ => self.requests_reset_ms,
        }
    }
}

/// Why a call to Linear gave no data. Texts come from outside and are cut to 300 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinearError {
    /// The app user's hourly limit is used up.
    #[error("Linear's rate limit is used up; wait until it resets, then send again: {message}")]
    RateLimited {
        /// When the limit resets, ms since 1970, as the headers say.
        reset_ms: Option<i64>,
        /// How long to wait at most, ms, when the headers say nothing.
        wait_ms: Option<u64>,
        /// Linear's words.
        message: String,
    },
    /// The access token is used up or revoked.
    #[error("Linear did not accept the access token; refresh it or connect the workspace again: {0}")]
    Authentication(String),
    /// The token is good but may not do this.
    #[error("Linear does not allow this; look at the app's scopes and team access: {0}")]
    Forbidden(String),
    /// What should be created is there already under this id.
    #[error("Linear holds this already: {0}")]
    AlreadyExists(String),
    /// The entity is gone, or not visible to the app.
    #[error("Linear does not know this entity, or the app may not see it: {0}")]
    NotFound(String),
    /// The document or its values are wrong; sending the same again gives the same.
    #[error("Linear refused the request as it is ({code}): {message}")]
    Refused {
        /// Linear's code word, or the HTTP status.
        code: String,
        /// Linear's words.
        message: String,
    },
    /// Linear or something before it is in trouble; the call may or may not have had its effect.
    #[error("Linear is unavailable (HTTP {status}); send again later: {message}")]
    Unavailable {
        /// HTTP status of the answer.
        status: u16,
        /// What was read of the answer.
        message: String,
    },
    /// An answer that is no GraphQL answer, or not of the shape that the schema promises.
    #[error("Linear's answer cannot be read (HTTP {status}); the schema may have changed: {message}")]
    Unreadable {
        /// HTTP status of the answer.
        status: u16,
        /// What is wrong with it.
        message: String,
    },
}

/// What to do after a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call can never succeed.
    Never,
    /// The effect is there: go on as after a success.
    Done,
    /// With a fresh access token, once.
    Reauthenticate,
    /// Not before this many ms have gone by.
    AfterMs(u64),
    /// Soon, with growing pauses.
    BackOff,
}

/// The longest wait for a limit to reset, ms: limits are per hour.
const HOUR_MS: u64 = 3_600_000;

impl LinearError {
    /// What to do next, `now_ms` being ms since 1970.
    pub fn retry(&self, now_ms: i64) -> Retry {
        match self {
            Self::RateLimited { reset_ms, wait_ms, .. } => {
                let until = reset_ms.map(|reset| u64::try_from(reset.saturating_sub(now_ms)).unwrap_or(0));
                match until.or(*wait_ms) {
                    Some(wait) => Retry::AfterMs(wait.clamp(1_000, HOUR_MS)),
                    None => Retry::BackOff,
                }
            }
            Self::Authentication(_) => Retry::Reauthenticate,
            Self::AlreadyExists(_) => Retry::Done,
            Self::Forbidden(_) | Self::NotFound(_) | Self::Refused { .. } => Retry::Never,
            Self::Unavailable { .. } => Retry::BackOff,
            // A cut-off answer looks like this too; the caller's cap on attempts ends it when it lasts.
            Self::Unreadable { .. } => Retry::BackOff,
        }
    }
}

/// Reads the answer to operation `Q`.
pub fn read<Q: GraphQLQuery>(
    status: u16,
    limit: &RateLimit,
    body: &[u8],
) -> Result<Q::ResponseData, LinearError> {
    let data = classify(status, limit, body)?;
    serde_json::from_value(data)
        .map_err(|error| LinearError::Unreadable { status, message: cut(&error.to_string()) })
}

/// Tells data from failure for any answer of the endpoint.
pub fn classify(status: u16, limit: &RateLimit, body: &[u8]) -> Result<Value, LinearError> {
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else {
        return Err(without_graphql(status, limit, &String::from_utf8_lossy(body)));
    };
    let errors = answer.get("errors").and_then(Value::as_array).filter(|errors| !errors.is_empty());
    if let Some(errors) = errors {
        // The error that asks for the most care decides: a wait or a sign-in mends what a refusal would give up.
        let worst =
            errors.iter().map(|error| of_graphql(status, limit, error)).min_by_key(|error| match error {
                LinearError::RateLimited { .. } => 0,
                LinearError::Authentication(_) => 1,
                LinearError::Unavailable { .. } => 2,
                _ => 3,
            });
        return Err(worst.unwrap_or_else(|| without_graphql(status, limit, "")));
    }
    if !(200..300).contains(&status) {
        return Err(without_graphql(status, limit, &Value::Object(answer).to_string()));
    }
    match answer.remove("data") {
        Some(data @ Value::Object(_)) => Ok(data),
        _ => Err(LinearError::Unreadable { status, message: "neither data nor errors".into() }),
    }
}

fn of_graphql(status: u16, limit: &RateLimit, error: &Value) -> LinearError {
    let extensions = error.get("extensions").unwrap_or(&Value::Null);
    let word = |name: &str| extensions.get(name).and_then(Value::as_str).unwrap_or_default();
    let (code, kind) = (word("code"), word("type"));
    let said = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let message = cut(if said.is_empty() { word("userPresentableMessage") } else { said });
    let stated = extensions.get("statusCode").and_then(Value::as_u64).unwrap_or(0);
    let lower = said.to_lowercase();

    if code == "RATELIMITED" || kind == "ratelimited" || stated == 429 || status == 429 {
        return LinearError::RateLimited {
            reset_ms: limit.reset_ms(),
            wait_ms: limit
                .retry_after_s
                .map(|s| s.saturating_mul(1_000))
                .or_else(|| extensions.pointer("/meta/rateLimitResult/duration").and_then(Value::as_u64)),
            message,
        };
    }
    if code == "AUTHENTICATION_ERROR" || kind == "authentication error" || status == 401 {
        return LinearError::Authentication(message);
    }
    if code == "FORBIDDEN" || kind == "forbidden" || kind == "feature not accessible" || status == 403 {
        return LinearError::Forbidden(message);
    }
    if lower.contains("entity not found") {
        return LinearError::NotFound(message);
    }
    if ["already exist", "conflict on insert", "duplicate key"].iter().any(|words| lower.contains(words)) {
        return LinearError::AlreadyExists(message);
    }
    if matches!(kind, "lock timeout" | "internal error" | "network error") || stated >= 500 || status >= 500 {
        return LinearError::Unavailable { status, message };
    }
    let code = if code.is_empty() { format!("HTTP {status}") } else { cut(code) };
    LinearError::Refused { code, message }
}

fn without_graphql(status: u16, limit: &RateLimit, body: &str) -> LinearError {
    let message = cut(body);
    match status {
        200..300 => LinearError::Unreadable { status, message },
        401 => LinearError::Authentication(message),
        403 => LinearError::Forbidden(message),
        429 => LinearError::RateLimited {
            reset_ms: limit.reset_ms(),
            wait_ms: limit.retry_after_s.map(|s| s.saturating_mul(1_000)),
            message,
        },
        408 | 425 | 500.. => LinearError::Unavailable { status, message },
        _ => LinearError::Refused { code: format!("HTTP {status}"), message },
    }
}

fn cut(text: &str) -> String {
    const MOST: usize = 300;
    text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::linear::operations::Viewer;

    fn failure(status: u16, limit: &RateLimit, body: &Value) -> LinearError {
        classify(status, limit, body.to_string().as_bytes()).expect_err("a failure")
    }

    fn error(code: &str, kind: &str, message: &str) -> Value {
        json!({"errors": [{"message": message, "extensions": {"code": code, "type": kind, "statusCode": 400}}]})
    }

    #[test]
    fn over_the_limit_comes_as_http_400_and_waits_for_the_reset() {
        let body = json!({"errors": [{"message": "Rate limit exceeded.", "extensions": {
            "type": "ratelimited", "code": "RATELIMITED", "statusCode": 429,
            "meta": {"rateLimitResult": {"duration": 3_600_000}}}}]});
        let headers = RateLimit { requests_reset_ms: Some(90_000), ..RateLimit::default() };
        assert_eq!(failure(400, &headers, &body).retry(60_000), Retry::AfterMs(30_000));
        let told = failure(400, &RateLimit::default(), &body);
        assert_eq!(told.retry(0), Retry::AfterMs(HOUR_MS), "the duration is the upper bound without headers");
        let past = RateLimit { requests_reset_ms: Some(1), ..RateLimit::default() };
        assert_eq!(failure(400, &past, &body).retry(60_000), Retry::AfterMs(1_000), "never a busy loop");
        let far = RateLimit { requests_reset_ms: Some(i64::MAX), ..RateLimit::default() };
        assert_eq!(failure(400, &far, &body).retry(i64::MIN), Retry::AfterMs(HOUR_MS));
    }

    #[test]
    fn errors_count_before_data() {
        let mut body = error("INPUT_ERROR", "invalid input", "no");
        body["data"] = json!({"viewer": null});
        assert!(matches!(failure(200, &RateLimit::default(), &body), LinearError::Refused { .. }));
    }

    #[test]
    fn each_kind_of_failure_says_what_to_do() {
        let cases = [
            (
                401,
                error("AUTHENTICATION_ERROR", "authentication error", "not authenticated"),
                Retry::Reauthenticate,
            ),
            (400, error("FORBIDDEN", "forbidden", "no"), Retry::Never),
            (400, error("INPUT_ERROR", "invalid input", "Entity not found: Issue"), Retry::Never),
            (400, error("GRAPHQL_VALIDATION_FAILED", "graphql error", "Cannot query field"), Retry::Never),
            (
                400,
                error("INPUT_ERROR", "invalid input", "AgentActivity with this id already exists"),
                Retry::Done,
            ),
            (200, error("", "lock timeout", "locked"), Retry::BackOff),
            (500, error("INTERNAL_SERVER_ERROR", "internal error", "oops"), Retry::BackOff),
        ];
        for (status, body, retry) in cases {
            assert_eq!(failure(status, &RateLimit::default(), &body).retry(0), retry, "{body}");
        }
    }

    #[test]
    fn answers_that_are_no_graphql_are_told_apart_by_their_status() {
        for (status, body, retry) in [
            (502, "<html>bad gateway</html>", Retry::BackOff),
            (200, "{\"data\":{\"viewer\":", Retry::BackOff),
            (200, "[]", Retry::BackOff),
            (200, "{}", Retry::BackOff),
            (401, "", Retry::Reauthenticate),
            (404, "{}", Retry::Never),
            (429, "slow down", Retry::BackOff),
        ] {
            let error = classify(status, &RateLimit::default(), body.as_bytes()).expect_err("a failure");
            assert_eq!(error.retry(0), retry, "{status} {body}");
        }
    }

    #[test]
    fn the_gravest_of_several_errors_decides() {
        let body = json!({"errors": [
            {"message": "bad", "extensions": {"code": "INPUT_ERROR"}},
            {"message": "slow", "extensions": {"code": "RATELIMITED"}}]});
        assert!(matches!(failure(400, &RateLimit::default(), &body), LinearError::RateLimited { .. }));
        let odd = json!({"errors": [null, 3]});
        assert!(matches!(failure(200, &RateLimit::default(), &odd), LinearError::Refused { .. }));
    }

    #[test]
    fn a_good_answer_is_read_into_its_type_and_a_changed_one_is_called_unreadable() {
        let viewer = json!({"data": {"viewer": {
            "id": "u", "name": "agent", "displayName": "agent", "email": "a@example.com", "app": true,
            "supportsAgentSessions": true, "organization": {"id": "o", "name": "Acme", "urlKey": "acme"},
            "addedLater": 1}}});
        let read_viewer =
            |body: &Value| read::<Viewer>(200, &RateLimit::default(), body.to_string().as_bytes());
        assert_eq!(read_viewer(&viewer).unwrap().viewer.organization.url_key, "acme");
        let changed = json!({"data": {"viewer": {"id": 3}}});
        assert!(matches!(read_viewer(&changed), Err(LinearError::Unreadable { .. })));
    }

    #[test]
    fn long_and_dirty_texts_are_cut_and_cleaned() {
        let body = error("INPUT_ERROR", "", &"\u{1b}x".repeat(1_000));
        let LinearError::Refused { message, .. } = failure(400, &RateLimit::default(), &body) else {
            panic!("refused")
        };
        assert_eq!(message.chars().count(), 300);
        assert!(!message.contains('\u{1b}'));
    }

    #[test]
    fn headers_are_read_by_lower_case_name_and_nonsense_is_absent() {
        let limit = RateLimit::from_headers(|name| match name {
            "x-ratelimit-requests-limit" => Some("5000".into()),
            "x-ratelimit-requests-remaining" => Some(" 4999 ".into()),
            "x-ratelimit-requests-reset" => Some("soon".into()),
            _ => None,
        });
        assert_eq!((limit.requests_limit, limit.requests_remaining), (Some(5_000), Some(4_999)));
        assert_eq!(limit.requests_reset_ms, None);
    }
}
