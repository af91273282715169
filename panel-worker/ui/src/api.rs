//! The panel's API as the client calls it: GETs, what a person can do, and what can go wrong with both.
//!
//! Shapes are those of `shared`, read by name (see [`crate::json`]); the session cookie goes along by itself. Nothing is cached here, and nothing shown.

use serde_json::Value;
use shared::problem::ProblemCode;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{RequestCredentials, RequestInit, RequestRedirect, Response, ResponseType};

use crate::deed::Answer;
use crate::format::escape;
use crate::json;

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// There is no session cookie, or it is not good any more.
    SignedOut,
    /// The server refused, and said why: its `shared::problem::Problem`.
    Refused(Value),
    /// There was no answer; the text says what was tried.
    Unreachable(String),
    /// There was an answer that this client does not understand.
    Unreadable(String),
}

impl Failure {
    /// A few words for a heading.
    pub fn title(&self) -> String {
        match self {
            Self::SignedOut => "You are signed out".to_owned(),
            Self::Refused(problem) => json::word(problem, "title").to_owned(),
            Self::Unreachable(_) => "The panel cannot be reached".to_owned(),
            Self::Unreadable(_) => "The panel's answer cannot be read".to_owned(),
        }
    }

    /// What happened and what mends it.
    pub fn detail(&self) -> String {
        match self {
            Self::SignedOut => "Open the sign-in link again.".to_owned(),
            Self::Refused(problem) => json::word(problem, "detail").to_owned(),
            Self::Unreachable(what) | Self::Unreadable(what) => what.clone(),
        }
    }

    /// The stable word of the refusal, to search for and to report.
    pub fn code(&self) -> String {
        match self {
            Self::SignedOut => ProblemCode::Unauthorized.as_str().to_owned(),
            Self::Refused(problem) => json::word(problem, "code").to_owned(),
            Self::Unreachable(_) => "unreachable".to_owned(),
            Self::Unreadable(_) => "unreadable".to_owned(),
        }
    }

    /// Whether the thing that was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(problem) if json::count(problem, "status") == 404)
    }

    /// Whether it exists but this person may not see it.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused(problem) if json::count(problem, "status") == 403)
    }
}

/// Who is asking. 401 becomes [`Failure::SignedOut`], here and below.
pub fn me() -> Answer<Value> {
    get("/api/me".to_owned())
}

/// The numbers of the first page.
pub fn overview() -> Answer<Value> {
    get("/api/overview".to_owned())
}

/// All workers that are known.
pub fn workers() -> Answer<Value> {
    get("/api/workers".to_owned())
}

/// All worker keys.
pub fn worker_keys() -> Answer<Value> {
    get("/api/worker-keys".to_owned())
}

/// All repositories.
pub fn repositories() -> Answer<Value> {
    get("/api/repositories".to_owned())
}

/// One repository with what is set for it.
pub fn repository(id: &str) -> Answer<Value> {
    get(["/api/repositories/", &escape(id)].concat())
}

/// Changes what is set for a repository: `shared::api::RepositoryUpdate`.
pub fn change_repository(id: &str, update: &str) -> Answer<String> {
    text("PATCH", ["/api/repositories/", &escape(id)].concat(), Some(update.to_owned()))
}

/// Sets how many sessions a worker runs at once; `None`: its own file decides.
pub fn change_slots(id: &str, slots: Option<u32>) -> Answer<String> {
    let update =
        ["{\"slots\":", &slots.map_or_else(|| "null".to_owned(), |slots| slots.to_string()), "}"].concat();
    text("PATCH", ["/api/workers/", &escape(id)].concat(), Some(update))
}

/// The queue's numbers.
pub fn numbers() -> Answer<Value> {
    get("/api/status".to_owned())
}

/// Sessions, newest first: of a filter word (see `SessionState::filter`), from a cursor on.
pub fn sessions(status: &str, limit: u32, cursor: Option<&str>) -> Answer<Value> {
    let cursor = cursor.unwrap_or_default();
    get(list_path("/api/sessions", limit, &[("status", status), ("cursor", cursor)]))
}

/// Deliveries, newest first: in one state, of one session key, from a cursor on.
pub fn deliveries(state: &str, session_key: &str, limit: u32, cursor: Option<&str>) -> Answer<Value> {
    let cursor = cursor.unwrap_or_default();
    let filters = [("state", state), ("sessionKey", session_key), ("cursor", cursor)];
    get(list_path("/api/deliveries", limit, &filters))
}

/// The delivery of this number, as a list of one or none.
pub fn delivery(number: u64) -> Answer<Value> {
    get(["/api/deliveries?seq=", &number.to_string()].concat())
}

/// One session with its runs.
pub fn session(id: &str) -> Answer<Value> {
    get(session_path(id))
}

/// Replays or dismisses a delivery: `word` is `replay` or `dismiss`.
pub fn act_on_delivery(id: &str, word: &str) -> Answer<String> {
    text("POST", ["/api/deliveries/", &escape(id), "/", word].concat(), None)
}

/// Makes a worker key.
pub fn make_worker_key(name: &str) -> Answer<Value> {
    let path = "/api/worker-keys".to_owned();
    let answer = text("POST", path.clone(), Some(json::object("name", name)));
    Box::pin(async move { read(&path, &answer.await?) })
}

/// Revokes a worker key.
pub fn revoke_worker_key(id: &str) -> Answer<String> {
    text("DELETE", ["/api/worker-keys/", &escape(id)].concat(), None)
}

/// Stops a session.
pub fn stop(id: &str) -> Answer<String> {
    text("POST", session_path(id) + "/stop", None)
}

/// Tells a session's agent something.
pub fn tell(id: &str, words: &str) -> Answer<String> {
    text("POST", session_path(id) + "/feedback", Some(json::object("text", words)))
}

/// Ends the browser's session at the panel.
pub fn sign_out() -> Answer<()> {
    Box::pin(async {
        let response = send("POST", "/auth/sign-out", None).await?;
        if response.ok() || response.type_() == ResponseType::Opaqueredirect || response.status() == 401 {
            return Ok(());
        }
        Err(refusal(&response).await)
    })
}

/// Where a session's lines come from.
pub fn log_stream_path(id: &str) -> String {
    session_path(id) + "/logs"
}

fn session_path(id: &str) -> String {
    format!("/api/sessions/{}", escape(id))
}

/// The address of a list; empty filters are left out.
fn list_path(path: &str, limit: u32, filters: &[(&str, &str)]) -> String {
    let mut path = [path, "?limit=", &limit.to_string()].concat();
    for (name, value) in filters {
        if !value.is_empty() {
            path.extend(["&", name, "=", &escape(value)]);
        }
    }
    path
}

fn get(path: String) -> Answer<Value> {
    let answer = text("GET", path.clone(), None);
    Box::pin(async move { read(&path, &answer.await?) })
}

fn read(path: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|_| unreadable(path))
}

fn text(method: &'static str, path: String, content: Option<String>) -> Answer<String> {
    Box::pin(async move {
        let response = send(method, &path, content).await?;
        if !response.ok() {
            return Err(refusal(&response).await);
        }
        body(&response).await.map_err(|_| unreadable(&path))
    })
}

async fn send(method: &str, path: &str, content: Option<String>) -> Result<Response, Failure> {
    let options = RequestInit::new();
    options.set_method(method);
    options.set_credentials(RequestCredentials::SameOrigin);
    options.set_redirect(RequestRedirect::Manual);
    if let Some(content) = content {
        let json = js_sys::Array::of2(&"content-type".into(), &"application/json".into());
        options.set_headers(&js_sys::Array::of1(&json));
        options.set_body(&content.into());
    }
    let answer = JsFuture::from(leptos::prelude::window().fetch_with_str_and_init(path, &options))
        .await
        .map_err(|_| {
            Failure::Unreachable(format!(
                "{method} {path} got no answer. Check that the panel is running and your network is up."
            ))
        })?;
    answer.dyn_into().map_err(|_| unreadable(path))
}

async fn refusal(response: &Response) -> Failure {
    if response.status() == 401 {
        return Failure::SignedOut;
    }
    let text = body(response).await.unwrap_or_default();
    match serde_json::from_str::<Value>(&text) {
        Ok(problem) if problem.get("code").is_some() => Failure::Refused(problem),
        _ => {
            let (status, url) = (response.status(), response.url());
            Failure::Unreadable(format!("{url} answered {status} without saying why. Try again in a moment."))
        }
    }
}

async fn body(response: &Response) -> Result<String, JsValue> {
    let text = JsFuture::from(response.text()?).await?;
    text.as_string().ok_or(JsValue::NULL)
}

fn unreadable(path: &str) -> Failure {
    Failure::Unreadable(format!(
        "The answer to {path} is not of the shape this page knows. Reload the page: the panel may have been updated."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_out_of_what_the_server_writes() {
        let problem = shared::problem::Problem::new(ProblemCode::NotReplayable, "It is done.");
        let refused = Failure::Refused(serde_json::to_value(problem).unwrap());
        assert_eq!((refused.code().as_str(), refused.detail().as_str()), ("not_replayable", "It is done."));
        assert!(!refused.title().is_empty() && !refused.is_forbidden() && !refused.is_not_found());
        let problem = shared::problem::Problem::new(ProblemCode::NotFound, "");
        assert!(Failure::Refused(serde_json::to_value(problem).unwrap()).is_not_found());
    }

    #[test]
    fn empty_filters_are_left_out_and_the_others_escaped() {
        assert_eq!(list_path("/api/x", 5, &[("state", ""), ("cursor", "")]), "/api/x?limit=5");
        assert_eq!(
            list_path("/api/x", 5, &[("state", "dead"), ("key", "a&b")]),
            "/api/x?limit=5&state=dead&key=a%26b"
        );
    }
}
