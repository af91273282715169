//! A second Linear session on an issue whose run is live: it joins that run and still gets its own first thought,
//! its own record and its own answer.

use shared::activity_id::{Step, activity_id};
use shared::event::{AgentSession, EventBody};
use shared::id::{FencingToken, Seq};
use shared::linear::activity::ActivityContent;
use shared::linear::weight::Weight;
use shared::route::assignment::Assignment;
use shared::session::SessionUpdate;

use super::{Means, answer, prompt};
use crate::journal::JournalError;
use crate::journal::effect::Effect;
use crate::journal::event::Taken;
use crate::outbox::Outbox;

/// One that joined.
pub struct Guest {
    session: AgentSession,
    seq: Seq,
    outbox: Outbox,
}

impl Guest {
    /// Says that it was heard, and records it with what is known of the run that it joins.
    pub async fn welcome(means: &Means, taken: &Taken, begun: SessionUpdate) -> Result<Self, JournalError> {
        let session = taken.event.body.agent_session().clone();
        means.journal.session(&session.id, &taken.session_key).await?;
        let mut outbox = means.outbox(&session, &taken.session_key, taken.token);
        outbox.add(first_thought(taken)).await?;
        outbox.add(open_record(means, taken)).await?;
        outbox.add(Effect::UpdateSession(Box::new(SessionUpdate { run: None, ..begun }))).await?;
        Ok(Self { session, seq: taken.seq, outbox })
    }

    /// Whether this is the guest's Linear session.
    pub fn is(&self, session: &AgentSession) -> bool {
        self.session.id == session.id
    }

    /// Gives it the answer of the turn.
    pub async fn answer(
        &mut self,
        update: &SessionUpdate,
        content: &ActivityContent,
    ) -> Result<(), JournalError> {
        let update = SessionUpdate { run: None, ..update.clone() };
        self.outbox.add(Effect::UpdateSession(Box::new(update))).await?;
        let id = activity_id(&self.session.id, self.seq, Step::Final);
        self.outbox.add(Effect::Activity { id, content: content.clone(), ephemeral: false }).await
    }

    /// Waits until everything has left; `false`: the lease is lost.
    pub async fn drained(&mut self) -> Result<bool, JournalError> {
        self.outbox.drained().await
    }
}

/// The sign of life for an event.
pub fn first_thought(taken: &Taken) -> Effect {
    let mut body = answer::first_thought(&taken.event.body);
    if let Some(words) = taken.repository.as_deref().and_then(|kept| Assignment::read(kept).words()) {
        body = format!("{body}\n\n{words}");
    }
    let id = activity_id(&taken.event.body.agent_session().id, taken.seq, Step::FirstThought);
    Effect::Words { id, body, weight: Weight::First }
}

/// The issue moves to a started state when a person delegated it; an automation's issue stays where it is, and a mention
/// moves nothing.
pub fn started(taken: &Taken) -> Option<Effect> {
    let EventBody::SessionCreated { agent_session, .. } = &taken.event.body else { return None };
    let is_delegated =
        agent_session.comment.as_ref().is_none_or(|comment| prompt::is_linears_own(&comment.body));
    let issue = agent_session.issue.as_ref()?;
    (is_delegated && agent_session.creator_name.is_some())
        .then(|| Effect::IssueStarted { issue: issue.id.clone() })
}

/// The record of an event's session in the panel.
pub fn open_record(means: &Means, taken: &Taken) -> Effect {
    let settings = means.config.now();
    let token: FencingToken = taken.token;
    let session = taken.event.body.agent_session();
    let usual = || {
        let found = settings.repository_for(taken.event.workspace_id.as_str())?;
        (!taken.ask).then(|| found.name.clone())
    };
    let kept = taken.repository.as_deref().map(Assignment::read);
    let repository = kept.and_then(|one| one.first().map(str::to_owned)).or_else(usual);
    Effect::OpenSession {
        session_key: taken.session_key.clone(),
        token,
        session: Box::new(answer::record(session, &taken.session_key, token, repository, &settings.name)),
    }
}
