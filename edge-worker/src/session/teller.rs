//! Tells what a run told: its lines to the log, what people want to see to Linear, what it is to the panel; as one with
//! how far its files were read.
//!
//! Neighbours: [`super::telling`] says what people read, the journal writes it down. The same for a live run and for
//! what one left.

use shared::id::RunId;
use shared::linear::session::PlanStep;
use shared::run::RunRecord;
use shared::session::SessionUpdate;

use super::plan::Plan;
use super::telling::Speaker;
use crate::executor::{Reading, RunEvent, RunEventKind};
use crate::journal::JournalError;
use crate::journal::effect::Effect;
use crate::journal::run::{Held, Told};
use crate::outbox::Outbox;
use crate::worker::now;

/// The most readings that are told in one transaction.
pub const TOLD_AT_ONCE: usize = 64;

/// Who tells of one run.
pub struct Teller {
    /// Under whose name.
    pub speaker: Speaker,
    /// The run.
    pub run: RunId,
    /// What the panel's record of it says.
    pub record: RunRecord,
    /// The agent's newest words that were held back.
    pub held: Option<Held>,
    /// What it says is to be done.
    pub plan: Plan,
}

impl Teller {
    /// The words that were held back, if there are any: they turned out to be no answer.
    pub fn released(&mut self) -> Option<Effect> {
        self.held.take().map(|held| self.speaker.thought(held))
    }

    /// Tells what was read of the run: to the log, and what people want to see to Linear. `true`: there was such.
    pub async fn tell(&mut self, outbox: &mut Outbox, readings: Vec<Reading>) -> Result<bool, JournalError> {
        let places = readings.iter().filter_map(|reading| reading.place).collect();
        let at = now();
        let lines = readings
            .iter()
            .flat_map(|reading| reading.events.iter().map(|event| (event, reading.place)))
            .map(|(event, place)| event.log_line(at, Some(self.run), place))
            .collect();
        let events: Vec<RunEvent> = readings.into_iter().flat_map(|reading| reading.events).collect();
        let changed = events.iter().filter(|event| self.learns(event)).count() > 0;
        let steps = events.iter().filter_map(|event| self.plans(event)).last();
        let seen = |event: &RunEvent| {
            let shown = matches!(event.kind, RunEventKind::Text(_) | RunEventKind::ToolUse { .. });
            shown && event.parent_tool_use_id.is_none()
        };
        let said = events.iter().any(seen);
        let speaker = self.speaker.clone();
        let held = self.held.clone();
        let update = changed.then(|| SessionUpdate {
            token: self.speaker.token,
            model: self.record.model.clone(),
            executor_version: self.record.executor_version.clone(),
            run: Some(self.record.clone()),
            ..SessionUpdate::default()
        });
        let compose = move |first_line: u64| {
            let (mut effects, held) = speaker.tell(&events, first_line, held);
            effects.extend(steps.map(|steps| Effect::Plan { steps }));
            effects.extend(update.map(|update| Effect::UpdateSession(Box::new(update))));
            (effects, held)
        };
        self.held = outbox.tell(Told { run: self.run, places, lines, compose }).await?;
        Ok(said)
    }

    /// Keeps what an event says of the run. `true`: the panel's record of it changes.
    fn learns(&mut self, event: &RunEvent) -> bool {
        let RunEventKind::Started { executor_session_id, model, version, .. } = &event.kind else {
            return false;
        };
        if event.parent_tool_use_id.is_some() {
            return false;
        }
        self.record.executor_session_id =
            executor_session_id.clone().or(self.record.executor_session_id.take());
        self.record.model = model.clone();
        self.record.executor_version = version.clone().or(self.record.executor_version.take());
        true
    }

    /// The whole plan, if this changed it.
    fn plans(&mut self, event: &RunEvent) -> Option<Vec<PlanStep>> {
        match &event.kind {
            RunEventKind::ToolUse { name, input, .. } if event.parent_tool_use_id.is_none() => {
                self.plan.read(name, input)
            }
            _ => None,
        }
    }
}
