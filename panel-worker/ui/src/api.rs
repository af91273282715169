//! The panel's API as the client calls it: typed GETs, sign-out, and what can go wrong with them.
//!
//! Shapes come from `shared`; the session cookie goes along by itself. Nothing is cached here, and nothing shown.

use serde::de::DeserializeOwned;
use shared::api::{Me, Overview, Page, Worker};
use shared::problem::{Problem, ProblemCode};
use shared::session::SessionRecord;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{RequestCredentials, RequestInit, RequestRedirect, Response, ResponseType};

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// There is no session cookie, or it is not good any more.
    SignedOut,
    /// The server refused, and said why.
    Refused(Problem),
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
            Self::Refused(problem) => problem.title.clone(),
            Self::Unreachable(_) => "The panel cannot be reached".to_owned(),
            Self::Unreadable(_) => "The panel's answer cannot be read".to_owned(),
        }
    }

    /// What happened and what mends it.
    pub fn detail(&self) -> String {
        match self {
            Self::SignedOut => "Open the sign-in link again.".to_owned(),
            Self::Refused(problem) => problem.detail.clone(),
            Self::Unreachable(what) | Self::Unreadable(what) => what.clone(),
        }
    }

    /// The stable word of the refusal, to search for and to report.
    pub fn code(&self) -> String {
        match self {
            Self::SignedOut => ProblemCode::Unauthorized.as_str().to_owned(),
            Self::Refused(problem) => problem.code.clone(),
            Self::Unreachable(_) => "unreachable".to_owned(),
            Self::Unreadable(_) => "unreadable".to_owned(),
        }
    }

    /// Whether the thing that was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 404)
    }

    /// Whether it exists but this person may not see it.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 403)
    }
}

/// Who is asking. 401 becomes [`Failure::SignedOut`], here and below.
pub async fn me() -> Result<Me, Failure> {
    get("/api/me").await
}

/// The numbers of the first page.
pub async fn overview() -> Result<Overview, Failure> {
    get("/api/overview").await
}

/// All workers that are known.
pub async fn workers() -> Result<Page<Worker>, Failure> {
    get("/api/workers").await
}

/// Sessions, newest first: of a filter word (see `SessionState::filter`), from a cursor on.
pub async fn sessions(
    status: Option<&str>,
    limit: u32,
    cursor: Option<&str>,
) -> Result<Page<SessionRecord>, Failure> {
    get(&sessions_path(status, limit, cursor)).await
}

/// One session with its runs.
pub async fn session(id: &str) -> Result<SessionRecord, Failure> {
    get(&session_path(id)).await
}

/// Ends the browser's session at the panel.
pub async fn sign_out() -> Result<(), Failure> {
    let response = send("POST", "/auth/sign-out").await?;
    if response.ok() || response.type_() == ResponseType::Opaqueredirect || response.status() == 401 {
        return Ok(());
    }
    Err(refusal(&response).await)
}

/// Where a session's lines come from.
pub fn log_stream_path(id: &str) -> String {
    session_path(id) + "/logs"
}

fn session_path(id: &str) -> String {
    format!("/api/sessions/{}", escape(id))
}

fn sessions_path(status: Option<&str>, limit: u32, cursor: Option<&str>) -> String {
    let mut path = format!("/api/sessions?limit={limit}");
    for (name, value) in [("status", status), ("cursor", cursor)] {
        if let Some(value) = value {
            path.push('&');
            path.push_str(name);
            path.push('=');
            path.push_str(&escape(value));
        }
    }
    path
}

fn escape(part: &str) -> String {
    String::from(js_sys::encode_uri_component(part))
}

async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Failure> {
    let response = send("GET", path).await?;
    if !response.ok() {
        return Err(refusal(&response).await);
    }
    let text = body(&response).await.map_err(|_| unreadable(path))?;
    serde_json::from_str(&text).map_err(|_| unreadable(path))
}

async fn send(method: &str, path: &str) -> Result<Response, Failure> {
    let options = RequestInit::new();
    options.set_method(method);
    options.set_credentials(RequestCredentials::SameOrigin);
    options.set_redirect(RequestRedirect::Manual);
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
    serde_json::from_str(&text).map_or_else(
        |_| {
            let (status, url) = (response.status(), response.url());
            Failure::Unreadable(format!("{url} answered {status} without saying why. Try again in a moment."))
        },
        Failure::Refused,
    )
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
