//! `POST /commands`: a row of the panel's outbox; the same id again changes nothing and answers the same.

use shared::event::{AgentSession, Comment, Event, EventBody, Issue};
use shared::hub::arrived::Arrived;
use shared::hub::call::{Command, CommandTaken, Order};
use shared::id::{DeliveryId, EventId, LinearWorkspaceId, SessionKey};
use shared::linear::answer::RateLimit;
use shared::linear::operations::AgentSessionCreateOnIssue;
use shared::linear::{request, session};
use shared::problem::{Problem, ProblemCode};
use shared::stream::StreamLine;
use worker::wasm_bindgen::JsValue;
use worker::{Fetch, Headers, Method, Request, RequestInit, Response};
use worker_shell::failure::{Answer, Failure};
use worker_shell::{body, clock, random, reply, sql};

use super::Hub;

impl Hub {
    /// Takes one command.
    pub(super) async fn command(&self, mut request: Request) -> Answer<Response> {
        let Command { id, order } = body::read_json(&mut request, 1024 * 1024).await?;
        let before = self.sql().texts(
            "SELECT coalesce(answer, '{}') AS row FROM commands WHERE id = ?",
            vec![id.as_str().into()],
        )?;
        if let Some(answer) = before.first() {
            return reply::json(&serde_json::from_str::<CommandTaken>(answer)?);
        }
        let taken = match order {
            Order::KeyAdded { key_id, hash, name } => {
                self.add_key(key_id, &hash, &name).map(|()| CommandTaken::default())?
            }
            Order::KeyRevoked { key_id } => self.revoke_key(key_id).map(|()| CommandTaken::default())?,
            Order::ConfigChanged { etag } => self.change_config(&etag).map(|()| CommandTaken::default())?,
            Order::Event { workspace_id, body } => {
                let meaning = format!("panel/{id}");
                self.store_command(&id, meaning, workspace_id, *body)?
            }
            Order::RunOnIssue { workspace_id, issue, prompt } => {
                if !self.opening.borrow_mut().insert(id.clone()) {
                    let detail = "this command is being done; ask again in a moment";
                    return Err(Problem::new(ProblemCode::StoreUnavailable, detail).into());
                }
                let opened = self.run_on_issue(&id, workspace_id, issue, prompt).await;
                self.opening.borrow_mut().remove(&id);
                opened?
            }
        };
        self.sql().run(
            "INSERT INTO commands (id, taken_at, answer) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            vec![id.as_str().into(), sql::time(clock::now()), serde_json::to_string(&taken)?.into()],
        )?;
        reply::json(&taken)
    }

    /// The configuration's newest version, as the panel told.
    pub(super) fn config_etag(&self) -> Answer<Option<String>> {
        let rows = self.sql().texts("SELECT value AS row FROM meta WHERE name = 'config_etag'", vec![])?;
        Ok(rows.into_iter().next())
    }

    fn change_config(&self, etag: &str) -> Answer<()> {
        self.sql().run(
            "INSERT INTO meta (name, value) VALUES ('config_etag', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1",
            vec![etag.into()],
        )?;
        self.tell_all(&StreamLine::Config { etag: etag.to_owned() })
    }

    fn store_command(
        &self,
        id: &DeliveryId,
        meaning: String,
        workspace: Option<LinearWorkspaceId>,
        body: EventBody,
    ) -> Answer<CommandTaken> {
        let now = clock::now();
        let workspace_id = match workspace {
            Some(workspace) => workspace,
            None => LinearWorkspaceId(self.workspace_of(&body.session_key())?.unwrap_or_default()),
        };
        let event = Event {
            id: EventId::from_uuid(random::uuid(now)),
            delivery_id: id.clone(),
            received_at: now,
            workspace_id,
            body,
        };
        let text = serde_json::to_string(&event)?;
        let agent_session_id = Some(event.body.agent_session().id.clone());
        let event_id = Some(event.id);
        self.store(Arrived::of(&event, meaning), &text, now)?;
        Ok(CommandTaken { agent_session_id, event_id })
    }

    /// The workspace of a session's earlier events, else of an organization that has just one connected.
    fn workspace_of(&self, key: &SessionKey) -> Answer<Option<String>> {
        let earlier = self.sql().texts(
            "SELECT workspace_id AS row FROM events WHERE session_key = ? LIMIT 1",
            vec![key.as_str().into()],
        )?;
        if let Some(workspace) = earlier.into_iter().next() {
            return Ok(Some(workspace));
        }
        let rows = self
            .sql()
            .texts("SELECT workspace_id AS row FROM connections WHERE provider = 'linear' LIMIT 2", vec![])?;
        Ok(if rows.len() == 1 { rows.into_iter().next() } else { None })
    }

    /// Linear opens the agent session; the webhook that follows has the same meaning and is a duplicate.
    async fn run_on_issue(
        &self,
        id: &DeliveryId,
        workspace: Option<LinearWorkspaceId>,
        issue: Issue,
        prompt: Option<String>,
    ) -> Answer<CommandTaken> {
        let token =
            self.open_linear(workspace.as_ref().map(LinearWorkspaceId::as_str))?.ok_or_else(|| {
                Failure::from(Problem::new(
                    ProblemCode::NotConnected,
                    "no Linear workspace is connected; run `cargo xtask connect linear`",
                ))
            })?;
        let text = request::body::<AgentSessionCreateOnIssue>(session::create_on_issue(issue.id.as_str()))?;
        let headers = Headers::new();
        headers.set("content-type", "application/json")?;
        headers.set("authorization", &token.authorization)?;
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_headers(headers).with_body(Some(JsValue::from_str(&text)));
        let url = token.api_url.as_deref().unwrap_or(request::ENDPOINT);
        let mut response = Fetch::Request(Request::new_with_init(url, &init)?).send().await?;
        let status = response.status_code();
        let answer = response.bytes().await?;
        let limit = RateLimit::from_headers(|name| response.headers().get(name).ok().flatten());
        let opened = session::created_on_issue(status, &limit, &answer).map_err(|reason| {
            Failure::from(Problem::new(
                ProblemCode::StoreUnavailable,
                format!("Linear opened no session: {reason}"),
            ))
        })?;
        let agent_session = AgentSession {
            id: opened.id,
            url: opened.url,
            issue: Some(issue),
            comment: prompt.map(|body| Comment { id: String::new(), body }),
            creator_name: None,
            local: false,
        };
        let meaning = format!("agent_session/{}", agent_session.id);
        let guidance = Vec::new();
        let body = EventBody::SessionCreated { agent_session, prompt_context: None, guidance };
        self.store_command(id, meaning, Some(LinearWorkspaceId(token.workspace_id)), body)
    }
}
