//! What people read in Linear while a run goes on: pure, from what the run told.
//!
//! The newest words of the agent are held back, since a turn's last words are its answer; a tool call or newer words
//! release them as a thought. Ids are made of the line's number, so the same line is told under the same id again.

use shared::activity_id::{Step, activity_id};
use shared::id::{AgentSessionId, FencingToken, Seq};
use shared::linear::activity::ActivityContent;
use shared::session::{SessionState, SessionUpdate};

use super::plan;
use crate::executor::{Question, RunEvent, RunEventKind, trouble};
use crate::journal::effect::Effect;
use crate::journal::run::Held;

/// Who speaks, and under which lease.
#[derive(Debug, Clone)]
pub struct Speaker {
    /// The Linear session.
    pub session: AgentSessionId,
    /// The event that began the turn.
    pub first: Seq,
    /// The lease's token.
    pub token: FencingToken,
}

impl Speaker {
    /// The effects of these events, each of which is one line; the first line has the number `first_line`. Returns
    /// what is held back after them, too.
    pub fn tell(
        &self,
        events: &[RunEvent],
        first_line: u64,
        mut held: Option<Held>,
    ) -> (Vec<Effect>, Option<Held>) {
        let mut effects = Vec::new();
        for (event, line) in events.iter().zip(first_line..) {
            if event.parent_tool_use_id.is_some() {
                continue;
            }
            match &event.kind {
                RunEventKind::Text(text) if !text.trim().is_empty() => {
                    effects.extend(held.take().map(|held| self.thought(held)));
                    held = Some(Held { text: text.clone(), line });
                }
                // What is to be done is shown as the session's plan.
                RunEventKind::ToolUse { name, .. } if plan::is_of_plan(name) => {}
                RunEventKind::ToolUse { name, input, .. } => {
                    effects.extend(held.take().map(|held| self.thought(held)));
                    let content = ActivityContent::Action {
                        action: name.clone(),
                        parameter: parameter(input),
                        result: None,
                    };
                    effects.push(self.activity(line, content, true));
                }
                RunEventKind::Question(question) => {
                    effects.extend(held.take().map(|held| self.thought(held)));
                    effects.extend(self.question(question, line));
                }
                // One failed request is nothing; from the second on people see why nothing comes.
                RunEventKind::Retry { attempt, max, delay_ms, error, .. } if *attempt > 1 => {
                    let body = trouble::waiting(error, *attempt, *max, *delay_ms);
                    effects.push(self.activity(line, ActivityContent::Thought { body }, true));
                }
                _ => {}
            }
        }
        (effects, held)
    }

    /// A question, and that the session waits for its answer.
    fn question(&self, question: &Question, line: u64) -> [Effect; 2] {
        let body = question.text();
        let asked = match question.choices() {
            options if options.is_empty() => {
                self.activity(line, ActivityContent::Elicitation { body }, false)
            }
            options => {
                let step = Step::Streaming { token: self.token, line };
                Effect::Question { id: activity_id(&self.session, self.first, step), body, options }
            }
        };
        [asked, self.is_now(SessionState::AwaitingInput)]
    }

    /// Says to the panel how the session is now.
    pub fn is_now(&self, status: SessionState) -> Effect {
        let update = SessionUpdate { token: self.token, status: Some(status), ..SessionUpdate::default() };
        Effect::UpdateSession(Box::new(update))
    }

    /// Words that were held back and are no answer.
    pub fn thought(&self, held: Held) -> Effect {
        self.activity(held.line, ActivityContent::Thought { body: held.text }, false)
    }

    fn activity(&self, line: u64, content: ActivityContent, ephemeral: bool) -> Effect {
        let step = Step::Streaming { token: self.token, line };
        Effect::Activity { id: activity_id(&self.session, self.first, step), content, ephemeral }
    }
}

/// The one thing of a tool's input that people want to see.
fn parameter(input: &serde_json::Value) -> String {
    let named = ["command", "file_path", "path", "pattern", "description", "url"]
        .into_iter()
        .find_map(|name| input.get(name).and_then(serde_json::Value::as_str));
    let text = named.map_or_else(|| input.to_string(), str::to_owned);
    let mut short: String = text.chars().take(300).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn speaker() -> Speaker {
        Speaker { session: AgentSessionId::from("s"), first: Seq(1), token: FencingToken(2) }
    }

    fn text(words: &str) -> RunEvent {
        RunEventKind::Text(words.to_owned()).into()
    }

    fn tool() -> RunEvent {
        let input = json!({"command": "ls"});
        RunEventKind::ToolUse { id: "t".into(), name: "Bash".into(), input }.into()
    }

    #[test]
    fn the_newest_words_are_held_back_until_something_comes_after_them() {
        let (effects, held) = speaker().tell(&[text("one"), text(" "), text("two")], 5, None);
        assert_eq!(effects.len(), 1);
        assert_eq!(held, Some(Held { text: "two".into(), line: 7 }));
        let (effects, held) = speaker().tell(&[tool()], 8, held);
        assert_eq!((effects.len(), held), (2, None));
    }

    #[test]
    fn told_in_one_go_or_line_by_line_after_a_crash_it_is_the_same() {
        let events = [text("one"), tool(), text("two"), tool(), tool(), text("three")];
        let whole = speaker().tell(&events, 1, None);
        let (mut effects, mut held) = (Vec::new(), None);
        for (event, line) in events.iter().zip(1..) {
            let (more, now) = speaker().tell(std::slice::from_ref(event), line, held);
            effects.extend(more);
            held = now;
        }
        assert_eq!((effects, held), whole);
    }

    #[test]
    fn what_a_sub_agent_says_is_in_the_log_alone() {
        let inner = RunEvent { parent_tool_use_id: Some("t".into()), ..text("inner") };
        assert_eq!(speaker().tell(&[inner], 1, None), (vec![], None));
    }
}
