//! `POST /api/sessions` by a person: a manual run, on a Linear issue or without one.
//!
//! Without an issue the record is made first and the run is ordered of the hub in the same transaction. On an issue
//! the hub opens an agent session in Linear, and the record goes under that. With an `Idempotency-Key` all ids are
//! made of it, so the same key is the same run, however often and however much at once it is sent.

use serde::Deserialize;
use shared::event::{EventBody, Issue};
use shared::hub::call::{Command, Order};
use shared::id::{DeliveryId, IssueId, LinearWorkspaceId, OrgId, RepositoryId, SessionId};
use shared::session::SessionRecord;
use uuid::Uuid;
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, random, reply};

use super::idempotency::{self, IdempotencyKey};
use super::query::invalid;
use super::repositories::{self, Target};
use super::{given, not_found};
use crate::auth::caller::Caller;
use crate::db::Db;
use crate::outbox::{self, Sent};
use crate::record::row::NewRow;
use crate::record::{agent_session, session as record};

/// The longest title and identifier, in bytes.
const MAX_TITLE: usize = 1000;
/// A title made of the prompt's first line is cut to this many characters.
const TITLE_CHARS: usize = 120;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    #[serde(default)]
    prompt: Option<String>,
    #[serde(default)]
    repository_id: Option<String>,
    #[serde(default)]
    linear_issue_id: Option<String>,
    #[serde(default)]
    linear_issue_identifier: Option<String>,
    #[serde(default)]
    title: Option<String>,
}

/// The ids that a run begins with.
struct Ids {
    command: DeliveryId,
    session: SessionId,
    /// They are made of an `Idempotency-Key`, so the run may be there already.
    repeatable: bool,
}

/// Starts it. 201 with the record, 200 where it was started before, 202 while Linear has not opened the session.
pub async fn create(mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let org = caller.operator()?;
    let ids = Ids::of(org, &request)?;
    let wish: Wish = body::read_json(&mut request, given::MAX_BODY).await?;
    let (prompt, issue) = checked(&wish)?;
    let db = Db::of(env)?;
    let target = match &wish.repository_id {
        Some(text) => Some(target(&db, org, text).await?),
        None => None,
    };
    match issue {
        Some(issue) => on_issue(env, &db, org, ids, prompt, issue, target).await,
        None => alone(env, &db, org, ids, prompt, wish.title.as_deref(), target).await,
    }
}

impl Ids {
    fn of(org: OrgId, request: &Request) -> Answer<Self> {
        let Some(key) = IdempotencyKey::of(org, request)? else {
            let session = SessionId::from_uuid(random::uuid(clock::now()));
            return Ok(Self { command: outbox::new_id(), session, repeatable: false });
        };
        Ok(Self {
            command: DeliveryId(format!("cmd_{}", key.id("command").simple())),
            session: SessionId::from_uuid(key.id("session")),
            repeatable: true,
        })
    }

    /// Whether the run was ordered before; another run under the same key is refused.
    async fn ordered_before(&self, db: &Db, org: OrgId, command: &Command) -> Answer<bool> {
        if !self.repeatable {
            return Ok(false);
        }
        match outbox::stored(db, org, &self.command).await? {
            Some(text) if text == serde_json::to_string(command)? => Ok(true),
            Some(_) => Err(idempotency::used()),
            None => Ok(false),
        }
    }

    /// The run without an issue that was begun before, where the outbox has forgotten its command by now.
    async fn begun_long_ago(&self, db: &Db, org: OrgId, prompt: &str) -> Answer<Option<SessionRecord>> {
        if !self.repeatable {
            return Ok(None);
        }
        match record::prompt(db, org, self.session).await? {
            Some(before) if before == prompt => record::find(db, org, self.session).await,
            Some(_) => Err(idempotency::used()),
            None => Ok(None),
        }
    }
}

/// The prompt and the issue, as far as they make sense.
fn checked(wish: &Wish) -> Answer<(&str, Option<Issue>)> {
    let prompt = wish.prompt.as_deref().unwrap_or_default();
    let (identifier, title) = (&wish.linear_issue_identifier, &wish.title);
    for (name, text) in [("linearIssueIdentifier", identifier), ("title", title)] {
        if text.as_ref().is_some_and(|text| text.len() > MAX_TITLE) {
            return Err(invalid(format!("`{name}` may have at most {MAX_TITLE} bytes")));
        }
    }
    let Some(id) = &wish.linear_issue_id else {
        if identifier.is_some() {
            return Err(invalid("`linearIssueIdentifier` is for display; `linearIssueId` names the issue"));
        }
        given::check_text("prompt", prompt)?;
        return Ok((prompt, None));
    };
    given::check_length("prompt", prompt)?;
    let id = Uuid::parse_str(id).map_err(|_| {
        invalid("`linearIssueId` must be Linear's id of the issue (a UUID), as its API gives it")
    })?;
    let issue = Issue {
        id: IssueId(id.to_string()),
        identifier: identifier.clone(),
        title: title.clone().unwrap_or_default(),
        description: None,
        url: None,
        team_id: None,
        team_key: None,
    };
    Ok((prompt, Some(issue)))
}

async fn target(db: &Db, org: OrgId, id: &str) -> Answer<Target> {
    let unknown = || invalid("`repositoryId` names no repository of this organization");
    let id: RepositoryId = id.parse().map_err(|_| unknown())?;
    repositories::target(db, org, id).await?.ok_or_else(unknown)
}

async fn alone(
    env: &Env,
    db: &Db,
    org: OrgId,
    ids: Ids,
    prompt: &str,
    title: Option<&str>,
    target: Option<Target>,
) -> Answer<Response> {
    let body = EventBody::RunRequested {
        agent_session: agent_session::local(ids.session),
        prompt: prompt.to_owned(),
        repository: target.as_ref().map(|target| target.reference.clone()),
    };
    let workspace_id = None;
    let command =
        Command { id: ids.command.clone(), order: Order::Event { workspace_id, body: Box::new(body) } };
    let again = ids.ordered_before(db, org, &command).await?;
    if !again {
        if let Some(begun) = ids.begun_long_ago(db, org, prompt).await? {
            return reply::json(&begun);
        }
        let key = ids.session.to_string();
        let first_line: String =
            prompt.trim().lines().next().unwrap_or_default().chars().take(TITLE_CHARS).collect();
        let row = NewRow {
            session_key: &key,
            repository: target.map(|target| target.id),
            linear_issue_title: Some(title.filter(|title| !title.trim().is_empty()).unwrap_or(&first_line)),
            prompt: Some(prompt),
            ..NewRow::of(org, ids.session)
        };
        db.batch(vec![row.insert(db)?, outbox::row(db, org, &command)?]).await?;
    }
    outbox::deliver(env, org, &ids.command).await?;
    let made = record::find(db, org, ids.session).await?.ok_or_else(|| not_found("session"))?;
    reply::json_with(if again { 200 } else { 201 }, &made)
}

async fn on_issue(
    env: &Env,
    db: &Db,
    org: OrgId,
    ids: Ids,
    prompt: &str,
    issue: Issue,
    target: Option<Target>,
) -> Answer<Response> {
    let tag = target.as_ref().map(Target::tag).transpose()?;
    let prompt = [Some(prompt.trim().to_owned()), tag]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n");
    let workspace_id = target.as_ref().and_then(|target| target.linear_workspace_id.clone());
    let order = Order::RunOnIssue {
        workspace_id: workspace_id.map(LinearWorkspaceId),
        issue,
        prompt: Some(prompt).filter(|prompt| !prompt.is_empty()),
    };
    let command = Command { id: ids.command.clone(), order };
    let again = ids.ordered_before(db, org, &command).await?;
    // A row that is there stays as it is.
    let opened = match outbox::order(env, db, org, &command).await? {
        Sent::Confirmed(taken) => taken.agent_session_id,
        Sent::Waiting => None,
    };
    let Some(agent_session) = opened else {
        return reply::json_with(202, &serde_json::json!({ "queued": true, "commandId": ids.command }));
    };
    if let Some(target) = target {
        db.run(
            "UPDATE agent_sessions SET repository_id = ? WHERE organization_id = ? AND agent_session_id = ? AND repository_id IS NULL",
            vec![target.id.to_string().into(), org.to_string().into(), agent_session.as_str().into()],
        )
        .await?;
    }
    let made =
        record::of_agent_session(db, org, &agent_session).await?.ok_or_else(|| not_found("session"))?;
    reply::json_with(if again { 200 } else { 201 }, &made)
}
