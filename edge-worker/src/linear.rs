//! Linear as the edge sees it: our typed documents over HTTP, with the token that the proxy hands out.

pub mod attachments;
pub mod images;
pub mod side;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use graphql_client::GraphQLQuery;
use shared::id::AgentSessionId;
use shared::linear::activity::NewActivity;
use shared::linear::answer::{self, LinearError, RateLimit, Retry};
use shared::linear::operations::{self, AgentActivityCreate};
use shared::linear::request;
use shared::linear::weight::Weight;
use shared::worker::AccessToken;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::http::{HttpError, unreachable};
use crate::proxy::client::ProxyClient;
use crate::redact::Redactor;
use crate::worker::linear_budget::{LinearUse, Permit};

/// Activities that one request reads.
const ACTIVITIES_A_PAGE: i64 = 100;
/// How long an issue that was read is good enough.
const LATELY: Duration = Duration::from_secs(30);
/// How long nothing is sent after "over the limit" without a word about the reset, ms.
const UNTOLD_RESET_MS: u64 = 60_000;
/// Complexity points of a change; a query's connections make it dearer.
pub const POINTS_OF_A_CHANGE: u32 = 15;

/// About what an operation costs in complexity points, by Linear's price rule; the answer tells it exactly.
fn points_of<Q: GraphQLQuery>() -> u32 {
    let document = request::document(std::any::type_name::<Q>().rsplit("::").next().unwrap_or_default());
    if document.starts_with("mutation") { POINTS_OF_A_CHANGE } else { POINTS_OF_A_QUERY }
}

/// Complexity points of our dearest query.
const POINTS_OF_A_QUERY: u32 = 700;

/// Why a call to Linear did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no token.
    #[error("no Linear token from the proxy")]
    Token(#[source] HttpError),
    /// No answer came.
    #[error(transparent)]
    Transport(HttpError),
    /// Linear refused.
    #[error(transparent)]
    Linear(#[from] LinearError),
    /// The variables cannot be written as JSON.
    #[error("the variables cannot be written as JSON")]
    Variables(#[from] serde_json::Error),
}

impl CallError {
    /// What to do about it.
    pub fn retry(&self, now_ms: i64) -> Retry {
        match self {
            Self::Linear(error) => error.retry(now_ms),
            Self::Transport(_) => Retry::BackOff,
            Self::Token(error) if error.is_passing() => Retry::BackOff,
            Self::Token(_) | Self::Variables(_) => Retry::Never,
        }
    }
}

/// Speaks to Linear. Clones share the token. Each request is counted and waits for its turn in what may be spent.
#[derive(Clone)]
pub struct LinearClient {
    http: reqwest::Client,
    proxy: ProxyClient,
    spending: LinearUse,
    token: Arc<Mutex<Option<AccessToken>>>,
    redactor: Redactor,
    /// Issues that were read lately: what begins a session looks at its issue several times.
    latest: Arc<Mutex<HashMap<String, (Instant, operations::issue::ResponseData)>>>,
}

impl LinearClient {
    /// A client that asks `proxy` for its token and spends from `spending`.
    pub fn new(http: reqwest::Client, proxy: ProxyClient, spending: LinearUse) -> Self {
        Self {
            http,
            proxy,
            spending,
            token: Arc::default(),
            redactor: Redactor::default(),
            latest: Arc::default(),
        }
    }

    /// Each token that it fetches is taken out of texts by this redactor.
    pub fn secret_in(self, redactor: &Redactor) -> Self {
        Self { redactor: redactor.clone(), ..self }
    }

    /// What is spent on requests.
    pub fn spending(&self) -> &LinearUse {
        &self.spending
    }

    /// Runs one of our operations, which work waits for; a token that has run out is fetched anew, once.
    pub async fn call<Q: GraphQLQuery>(&self, variables: Q::Variables) -> Result<Q::ResponseData, CallError> {
        self.call_as::<Q>(Weight::First, variables).await
    }

    /// Runs one of our operations with this weight.
    pub async fn call_as<Q: GraphQLQuery>(
        &self,
        weight: Weight,
        variables: Q::Variables,
    ) -> Result<Q::ResponseData, CallError> {
        let permit = self.spending.turn(weight, points_of::<Q>()).await;
        self.call_with::<Q>(permit, variables).await
    }

    /// Runs one of our operations by a permit that was given for it.
    pub async fn call_with<Q: GraphQLQuery>(
        &self,
        permit: Permit,
        variables: Q::Variables,
    ) -> Result<Q::ResponseData, CallError> {
        let body = request::body::<Q>(variables)?;
        match self.send::<Q>(permit, &body).await {
            Err(CallError::Linear(error)) if matches!(error.retry(0), Retry::Reauthenticate) => {
                *self.token.lock().await = None;
                let again = self.spending.turn(Weight::First, points_of::<Q>()).await;
                self.send::<Q>(again, &body).await
            }
            outcome => outcome,
        }
    }

    async fn send<Q: GraphQLQuery>(&self, permit: Permit, body: &str) -> Result<Q::ResponseData, CallError> {
        let token = self.token().await?;
        let url = token.api_url.as_deref().unwrap_or(request::ENDPOINT);
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("authorization", &token.authorization)
            .body(body.to_owned());
        let response = request.send().await.map_err(|error| CallError::Transport(unreachable(error)))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let limit = RateLimit::from_headers(|name| headers.get(name)?.to_str().ok().map(str::to_owned));
        let bytes = response.bytes().await.map_err(|error| CallError::Transport(unreachable(error)))?;
        let outcome = answer::read::<Q>(status, &limit, &bytes);
        let now = crate::worker::now().as_millis();
        let over = match &outcome {
            Err(error @ LinearError::RateLimited { .. }) => Some(match error.retry(now) {
                Retry::AfterMs(ms) => ms,
                _ => UNTOLD_RESET_MS,
            }),
            _ => None,
        };
        permit.answered(&limit, over, now);
        Ok(outcome?)
    }

    async fn token(&self) -> Result<AccessToken, CallError> {
        let mut held = self.token.lock().await;
        if let Some(token) = held.as_ref() {
            return Ok(token.clone());
        }
        let token = self.proxy.linear_token().await.map_err(CallError::Token)?;
        self.redactor.learn(token.authorization.split_whitespace().last());
        *held = Some(token.clone());
        Ok(token)
    }

    /// How files of Linear are reached; `None`: there is no token.
    pub async fn access(&self) -> Option<attachments::Access> {
        let token = self.token().await.ok()?;
        let api = token.api_url.as_deref().unwrap_or(request::ENDPOINT).parse().ok()?;
        Some(attachments::Access { api, authorization: token.authorization })
    }

    /// Posts an activity by a permit that was given for it. "Exists already" is success.
    pub async fn post(&self, permit: Permit, activity: &NewActivity) -> Result<(), CallError> {
        match self.call_with::<AgentActivityCreate>(permit, activity.variables()?).await {
            Ok(_) => Ok(()),
            Err(CallError::Linear(error)) if matches!(error.retry(0), Retry::Done) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A page of a session's activities, and what Linear tells of the session.
    pub async fn agent_session(
        &self,
        id: &AgentSessionId,
        after: Option<String>,
    ) -> Result<operations::agent_session::ResponseData, CallError> {
        let variables =
            operations::agent_session::Variables { id: id.0.clone(), first: ACTIVITIES_A_PAGE, after };
        self.call::<operations::AgentSession>(variables).await
    }

    /// The issue as Linear has it; the webhook lacks the branch name.
    pub async fn issue(&self, id: &str) -> Result<operations::issue::ResponseData, CallError> {
        let found =
            self.call::<operations::Issue>(operations::issue::Variables { id: id.to_owned() }).await?;
        let mut latest = self.latest.lock().await;
        latest.retain(|_, (at, _)| at.elapsed() < LATELY);
        latest.insert(id.to_owned(), (Instant::now(), found.clone()));
        Ok(found)
    }

    /// The issue as Linear had it within the last half minute, else as it has it.
    pub async fn issue_lately(&self, id: &str) -> Result<operations::issue::ResponseData, CallError> {
        let latest = self.latest.lock().await.get(id).cloned();
        match latest.filter(|(at, _)| at.elapsed() < LATELY) {
            Some((_, found)) => Ok(found),
            None => self.issue(id).await,
        }
    }
}
