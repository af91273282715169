//! What the hub itself says in Linear: the first thought when nobody accepted in time (invariant D5), and the
//! closing words of a session that was stopped before anybody began.
//!
//! Claimed in the transaction that sees "nobody accepted"; the activity's id is the one that a worker would
//! use, so both posting it is one activity.

use shared::activity_id::{Step, activity_id};
use shared::event::Event;
use shared::hub::delivery::Happening;
use shared::id::Seq;
use shared::linear::activity::{ActivityContent, NewActivity};
use shared::linear::operations::AgentActivityCreate;
use shared::linear::request;
use shared::time::Timestamp;
use worker::wasm_bindgen::JsValue;
use worker::{Fetch, Headers, Method, Request, RequestInit};
use worker_shell::failure::{Answer, Failure};
use worker_shell::{clock, log, sql};

use super::worker::WorkerRow;
use super::{Hub, event, lease};

const NOBODY: &str =
    "I have this, and it is queued: no worker is on line right now. It starts as soon as one is.";
const BUSY: &str =
    "I have this, and it is queued: every worker is busy right now. It starts as soon as one has room.";
const STOPPED: &str = "Stopped before any work began.";

impl Hub {
    /// Posts the first thought of every new session that nobody accepted in time.
    pub(super) async fn post_first_thoughts(&self, now: Timestamp) -> Answer<()> {
        let due = sql::transaction(&self.state, || {
            let sql = self.sql();
            let due = event::select(
                &sql,
                "first_thought_due <= ? AND state IN ('pending', 'offered')",
                vec![sql::time(now)],
            )?;
            for row in &due {
                sql.run(
                    "UPDATE events SET first_thought = 1, first_thought_due = NULL WHERE seq = ?",
                    vec![sql::int(row.seq)?],
                )?;
            }
            Ok(due)
        })?;
        let on_line = |worker: &WorkerRow| !self.streams_of(&worker.id.to_string()).is_empty();
        let words = if self.workers()?.iter().any(on_line) { BUSY } else { NOBODY };
        for row in due {
            let event = event::body(&self.sql(), row.seq())?;
            let content = ActivityContent::Thought { body: words.to_owned() };
            self.post_activity(&event, row.seq(), Step::FirstThought, content).await;
        }
        Ok(())
    }

    /// Ends a stopped session that no worker holds: nobody is there to say so.
    pub(super) async fn close_stopped_without_lease(&self, seq: Seq) -> Answer<()> {
        let Some(row) = event::find(&self.sql(), seq)?.filter(|row| row.kind == "session_stopped") else {
            return Ok(());
        };
        if !row.state.is_open() || lease::find(&self.sql(), &row.session_key)?.is_some() {
            return Ok(());
        }
        let max_attempts = self.settings()?.max_attempts;
        event::advance(&self.sql(), &row, Happening::Finish, max_attempts, clock::now())?;
        let event = event::body(&self.sql(), seq)?;
        let content = ActivityContent::Response { body: STOPPED.to_owned() };
        self.post_activity(&event, seq, Step::Final, content).await;
        Ok(())
    }

    async fn post_activity(&self, event: &Event, seq: Seq, step: Step, content: ActivityContent) {
        let session = &event.body.agent_session().id;
        if let Err(failure) = self.try_post(event, seq, step, content).await {
            let problem = failure.problem();
            log::error("linear.not_posted", &[("agent_session", session.as_str()), ("code", &problem.code)]);
        }
    }

    async fn try_post(&self, event: &Event, seq: Seq, step: Step, content: ActivityContent) -> Answer<()> {
        let token = self
            .open_linear(Some(event.workspace_id.as_str()))?
            .ok_or_else(|| Failure::internal("no credential for this workspace"))?;
        let session = &event.body.agent_session().id;
        let activity = NewActivity::new(activity_id(session, seq, step), session.clone(), content);
        let body = request::body::<AgentActivityCreate>(activity.variables()?)?;
        let headers = Headers::new();
        headers.set("content-type", "application/json")?;
        headers.set("authorization", &token.authorization)?;
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_headers(headers).with_body(Some(JsValue::from_str(&body)));
        let url = token.api_url.as_deref().unwrap_or(request::ENDPOINT);
        let mut response = Fetch::Request(Request::new_with_init(url, &init)?).send().await?;
        let status = response.status_code();
        let _drained = response.text().await;
        if status >= 500 { Err(Failure::internal(format!("Linear answered {status}"))) } else { Ok(()) }
    }
}
