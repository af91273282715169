//! A session that a person tells something: its event is ordered of the hub, its record kept in step.

use shared::api::SessionChanged;
use shared::event::{AgentSession, EventBody};
use shared::hub::call::{Command, Order};
use shared::id::{LinearWorkspaceId, OrgId};
use shared::session::SessionRecord;
use worker::{Env, Response};
use worker_shell::failure::Answer;
use worker_shell::{clock, log, reply};

use super::super::given::not_possible;
use super::super::{not_found, repositories, session};
use crate::auth::caller::Caller;
use crate::db::Db;
use crate::outbox;
use crate::record::{agent_session, session as record};
use crate::room;

/// A session and a person who may tell it something.
pub(super) struct Told<'a> {
    env: &'a Env,
    db: Db,
    org: OrgId,
    pub(super) session: SessionRecord,
}

impl<'a> Told<'a> {
    /// The session of this id, if it is one that the hub knows.
    pub(super) async fn find(id: &str, caller: &Caller, env: &'a Env) -> Answer<Self> {
        let (db, org) = (Db::of(env)?, caller.operator()?);
        let session = record::find(&db, org, session::id(id)?).await?.ok_or_else(|| not_found("session"))?;
        let by_hub =
            session.agent_session_id.is_some() || session.session_key.as_str() == session.id.to_string();
        if !by_hub {
            return Err(not_possible("this session was begun on a worker's command line; go on there"));
        }
        Ok(Self { env, db, org, session })
    }

    /// A person's text, as an event of the session.
    pub(super) async fn prompt(&self, text: String) -> Answer<Response> {
        self.tell(|agent_session, activity_id| EventBody::SessionPrompted {
            agent_session,
            activity_id,
            text,
            from_panel: true,
        })
        .await
    }

    /// Orders the event and answers 202. The activity's id is the command's, which no other event has.
    pub(super) async fn tell(
        &self,
        event: impl FnOnce(AgentSession, String) -> EventBody,
    ) -> Answer<Response> {
        let id = outbox::new_id();
        let body = event(agent_session::of(&self.session), id.0.clone());
        let workspace_id = self.workspace().await?;
        let command = Command { id, order: Order::Event { workspace_id, body: Box::new(body) } };
        let confirmed = outbox::order(self.env, &self.db, self.org, &command).await?.is_confirmed();
        self.announce().await;
        reply::json_with(202, &serde_json::json!({ "commandId": command.id, "confirmed": confirmed }))
    }

    /// The workspace of the session's repository; where that does not say, the hub knows the session itself.
    async fn workspace(&self) -> Answer<Option<LinearWorkspaceId>> {
        let (Some(repository), Some(_)) = (self.session.repository_id, &self.session.agent_session_id) else {
            return Ok(None);
        };
        let target = repositories::target(&self.db, self.org, repository).await?;
        Ok(target.and_then(|target| target.linear_workspace_id).map(LinearWorkspaceId))
    }

    /// What a manual run without an issue was asked, and its repository by remote or name.
    pub(super) async fn asked(&self) -> Answer<Option<(String, Option<String>)>> {
        if self.session.agent_session_id.is_some() {
            return Ok(None);
        }
        let Some(prompt) = record::prompt(&self.db, self.org, self.session.id).await? else {
            return Ok(None);
        };
        let repository = match self.session.repository_id {
            Some(id) => repositories::target(&self.db, self.org, id).await?.map(|target| target.reference),
            None => None,
        };
        Ok(Some((prompt, repository)))
    }

    /// Puts a session that is over back into the queue. `false`: it is not over.
    pub(super) async fn queue_again(&self) -> Answer<bool> {
        let changed: Option<serde_json::Value> = self
            .db
            .first(
                "UPDATE agent_sessions SET status = 'queued', completed_at = NULL, error_message = NULL, updated_at = ?
                 WHERE organization_id = ? AND id = ? AND status IN ('completed', 'failed', 'stopped') RETURNING id",
                vec![
                    clock::now().into(),
                    self.org.to_string().into(),
                    self.session.id.to_string().into(),
                ],
            )
            .await?;
        Ok(changed.is_some())
    }

    /// Undoes [`Self::queue_again`] where the run could not be ordered.
    pub(super) async fn take_back(&self) -> Answer<()> {
        self.db
            .run(
                "UPDATE agent_sessions SET status = ?, completed_at = ?, error_message = ?, updated_at = ?
                 WHERE organization_id = ? AND id = ? AND status IN ('queued', 'failed')",
                vec![
                    self.session.status.as_str().into(),
                    self.session.completed_at.into(),
                    self.session.error_message.clone().into(),
                    clock::now().into(),
                    self.org.to_string().into(),
                    self.session.id.to_string().into(),
                ],
            )
            .await
    }

    /// Tells those who watch, if this changed the state.
    async fn announce(&self) {
        let told = async {
            let now = record::find(&self.db, self.org, self.session.id).await?;
            if let Some(now) = now.filter(|now| now.status != self.session.status) {
                let changed = SessionChanged { status: now.status, updated_at: now.updated_at };
                room::announce(self.env, self.org, self.session.id, changed).await?;
            }
            Answer::Ok(())
        };
        if let Err(failure) = told.await {
            log::error("session.not_announced", &[("reason", &failure.problem().detail)]);
        }
    }
}
