//! What a person tells a session: feedback, an answer, stop, try again. Each is an event on the session's own stream.
//!
//! The record decides whether it is possible now; the hub decides who gets it. Nothing here writes to Linear. What
//! the four have in common is in [`told`].

mod told;

use serde::Deserialize;
use serde_json::Value;
use shared::event::EventBody;
use shared::session::SessionState;
use worker::{Env, Request, Response};
use worker_shell::body;
use worker_shell::failure::Answer;

use super::given::{self, not_possible};
use super::query::invalid;
use crate::auth::caller::Caller;
use told::Told;

const TRY_AGAIN: &str = "Try again.";

/// `POST …/feedback {text}`: a running agent gets it at once; a completed session resumes with it.
pub async fn feedback(id: &str, mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    #[derive(Deserialize)]
    struct Feedback {
        text: String,
    }
    caller.operator()?;
    let feedback: Feedback = body::read_json(&mut request, given::MAX_BODY).await?;
    given::check_text("text", &feedback.text)?;
    let told = Told::find(id, caller, env).await?;
    match told.session.status {
        SessionState::Failed | SessionState::Stopped => Err(not_possible(format!(
            "this session has {}; begin a new run of it with …/retry, which takes a text too",
            ended(told.session.status)
        ))),
        _ => told.prompt(feedback.text).await,
    }
}

/// `POST …/answers {value}`: for a session that asks.
pub async fn answer(id: &str, mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    #[derive(Deserialize)]
    struct Given {
        value: Value,
    }
    caller.operator()?;
    let given: Given = body::read_json(&mut request, given::MAX_BODY).await?;
    let text = match given.value {
        Value::String(text) => text,
        Value::Bool(_) | Value::Number(_) => given.value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(invalid("`value` must be a text, a number, true or false"));
        }
    };
    given::check_text("value", &text)?;
    let told = Told::find(id, caller, env).await?;
    match told.session.status {
        SessionState::AwaitingInput | SessionState::Parked => told.prompt(text).await,
        _ => Err(not_possible("this session asks nothing now; …/feedback tells it something anyway")),
    }
}

/// `POST …/stop`.
pub async fn stop(id: &str, mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    #[derive(Deserialize, Default)]
    struct Nothing {}
    caller.operator()?;
    let Nothing {} = given::body_or_default(&mut request, 4096).await?;
    let told = Told::find(id, caller, env).await?;
    if told.session.status.is_over() {
        return Err(not_possible(format!("this session has {} already", ended(told.session.status))));
    }
    told.tell(|agent_session, activity_id| EventBody::SessionStopped {
        agent_session,
        activity_id,
        from_panel: true,
    })
    .await
}

/// `POST …/retry {text?}`: a new run of the same session, once it is over.
pub async fn retry(id: &str, mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    #[derive(Deserialize, Default)]
    struct Again {
        #[serde(default)]
        text: Option<String>,
    }
    caller.operator()?;
    let again: Again = given::body_or_default(&mut request, given::MAX_BODY).await?;
    let text = again.text.filter(|text| !text.trim().is_empty());
    given::check_length("text", text.as_deref().unwrap_or_default())?;
    let told = Told::find(id, caller, env).await?;
    let asked = told.asked().await?;
    // Of two people who press it at once one begins the run.
    if !told.queue_again().await? {
        return Err(not_possible("this session is not over; …/feedback or …/stop reaches its run"));
    }
    let outcome = match asked {
        Some((prompt, repository)) => {
            let prompt = text.map_or_else(|| prompt.clone(), |text| format!("{prompt}\n\n{text}"));
            told.tell(|agent_session, _| EventBody::RunRequested { agent_session, prompt, repository }).await
        }
        None => told.prompt(text.unwrap_or_else(|| TRY_AGAIN.to_owned())).await,
    };
    if outcome.is_err() {
        told.take_back().await?;
    }
    outcome
}

fn ended(status: SessionState) -> &'static str {
    match status {
        SessionState::Failed => "failed",
        SessionState::Stopped => "been stopped",
        _ => "ended",
    }
}
