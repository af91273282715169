//! What a session says beside its turns: that it was stopped, that nothing could start, what another worker left.

use shared::activity_id::{Step, activity_id};
use shared::event::AgentSession;
use shared::linear::activity::ActivityContent;
use shared::session::{SessionState, SessionUpdate};
use shared::turn::Turn;

use super::super::{answer, guest};
use super::Task;
use crate::executor::{ExecutorError, trouble};
use crate::journal::JournalError;
use crate::journal::effect::Effect;
use crate::journal::event::Taken;

impl Task {
    /// Linear showed the event's first thought when the session moved here.
    pub(super) fn has_first_thought(&self, taken: &Taken) -> bool {
        let session = &taken.event.body.agent_session().id;
        let history = self.history.as_ref().filter(|(id, ..)| id == session);
        history.is_some_and(|(.., history)| {
            history.holds(&activity_id(session, taken.seq, Step::FirstThought).to_string())
        })
    }

    /// The panel's record says what an answer given elsewhere left.
    pub(super) async fn settle(
        &mut self,
        taken: &Taken,
        session: &AgentSession,
        state: SessionState,
    ) -> Result<(), JournalError> {
        let update = if state.is_over() {
            answer::over(taken.token, state, None)
        } else {
            SessionUpdate { token: taken.token, status: Some(state), ..SessionUpdate::default() }
        };
        let record = guest::open_record(&self.means, taken);
        let outbox = self.outbox(session, taken.token);
        outbox.add(record).await?;
        outbox.add(Effect::SettleSession(Box::new(update))).await
    }

    pub(super) async fn say_stopped(
        &mut self,
        taken: &Taken,
        session: &AgentSession,
    ) -> Result<(), JournalError> {
        self.settle(taken, session, SessionState::Stopped).await?;
        let effect = Effect::Activity {
            id: activity_id(&session.id, taken.seq, Step::Final),
            content: ActivityContent::Response {
                body: answer::why_it_ends(&taken.event.body)
                    .unwrap_or_else(|| "Stopped. Nothing was running.".to_owned()),
            },
            ephemeral: false,
        };
        self.outbox(session, taken.token).add(effect).await
    }

    pub(super) async fn say_not_started(
        &mut self,
        taken: &Taken,
        session: &AgentSession,
        failure: &anyhow::Error,
        over: Turn,
    ) -> Result<(), JournalError> {
        let reason = failure
            .downcast_ref::<ExecutorError>()
            .map_or_else(|| format!("{failure:#}"), trouble::not_started);
        let update = answer::over(taken.token, SessionState::Failed, Some(reason.clone()));
        let effects = vec![
            Effect::UpdateSession(Box::new(update)),
            Effect::Activity {
                id: activity_id(&session.id, taken.seq, Step::Final),
                content: ActivityContent::Error { body: answer::not_started(&reason) },
                ephemeral: false,
            },
        ];
        self.outbox(session, taken.token).end_turn(over, None, effects).await
    }
}
