//! The control channel of `claude`: which request waits for which reply, what is answered at once, what a person is asked.
//! Neighbours: `process` writes the lines that are made here and hands the events in; `input` spells the lines.
//! It must never leave a question of the program without an answer that nobody else will give.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::input;
use crate::executor::ExecutorError;
use crate::executor::event::{RunEvent, RunEventKind};
use crate::executor::question::{Decision, Question, QuestionKind};
use crate::executor::spec::{Ask, Permissions};

/// How long a reply is waited for before the same is asked again.
const REPLY_WITHIN: Duration = Duration::from_secs(10);

/// The state of the control channel.
#[derive(Debug)]
pub(super) struct Control {
    permissions: Permissions,
    /// Questions of the program that a person has to answer.
    open: BTreeMap<String, Question>,
    /// How many requests were made.
    made: u64,
    usage: Usage,
}

/// Where asking for the cost stands.
#[derive(Debug)]
struct Usage {
    /// The program has written since the last reply.
    wanted: bool,
    every: Duration,
    last: Instant,
    waits: Option<String>,
    /// A program that does not know the request is not asked again.
    refused: bool,
}

/// What becomes of an event.
#[derive(Debug, PartialEq)]
pub(super) struct Taken {
    /// The event to tell.
    pub(super) event: RunEvent,
    /// A line to write.
    pub(super) reply: Option<String>,
}

impl Control {
    pub(super) fn new(permissions: Permissions, usage_every: Duration, now: Instant) -> Self {
        let usage = Usage { wanted: false, every: usage_every, last: now, waits: None, refused: false };
        Self { permissions, open: BTreeMap::new(), made: 0, usage }
    }

    /// True while a person is waited for: then silence is no sign of trouble.
    pub(super) fn is_asking(&self) -> bool {
        !self.open.is_empty()
    }

    /// Takes an event of the program's output; answers what needs no person.
    pub(super) fn take(&mut self, event: RunEvent) -> Taken {
        match &event.kind {
            RunEventKind::Question(question) => match self.refusal(question) {
                Some(message) => {
                    let reply = Some(input::deny_line(&question.id, &message));
                    let kind = RunEventKind::Denied {
                        tool: question.tool.clone(),
                        tool_use_id: question.tool_use_id.clone(),
                        message,
                    };
                    Taken { event: RunEvent { kind, ..event }, reply }
                }
                None => {
                    self.open.insert(question.id.clone(), question.clone());
                    Taken { event, reply: None }
                }
            },
            RunEventKind::Withdrawn { id } => {
                self.open.remove(id);
                Taken { event, reply: None }
            }
            RunEventKind::Result(_) => {
                // What was asked in a turn that is over needs no answer.
                self.open.clear();
                Taken { event, reply: None }
            }
            RunEventKind::Spent { .. } => {
                self.usage.waits = None;
                Taken { event, reply: None }
            }
            RunEventKind::Notice { name, raw } if name == "control_request" => {
                let id = raw.get("request_id").and_then(Value::as_str);
                let reply = id.map(|id| input::unsupported_line(id, "cyrus does not answer this request"));
                Taken { event, reply }
            }
            RunEventKind::Notice { name, raw } if name == "control_response" => {
                self.replied(raw);
                Taken { event, reply: None }
            }
            _ => {
                self.usage.wanted = true;
                Taken { event, reply: None }
            }
        }
    }

    /// Why a question is refused without a person; `None` when one is to be asked.
    fn refusal(&self, question: &Question) -> Option<String> {
        let tool = &question.tool;
        if self.permissions.deny.iter().any(|rule| rule == tool) {
            return Some(format!("`{tool}` is denied by this worker's configuration. Go on without it."));
        }
        match (question.kind, self.permissions.ask) {
            (QuestionKind::Choice, Ask::Questions | Ask::Everything)
            | (QuestionKind::Permission, Ask::Everything) => None,
            (QuestionKind::Choice, Ask::Nothing) => Some(
                "Nobody is there to answer. Decide yourself, say what you decided, and go on.".to_owned(),
            ),
            (QuestionKind::Permission, _) => Some(format!(
                "This worker's configuration does not allow `{tool}` for this, and nobody is asked. Go on without it; \
                 if the task cannot be done so, say at the end that `{tool}` was needed and that an allow rule in \
                 `allowedTools`, or `permissions: \"ask\"`, would permit it."
            )),
        }
    }

    fn replied(&mut self, raw: &Value) {
        let Some(response) = raw.get("response") else { return };
        let is = |id: &str| response.get("request_id").and_then(Value::as_str) == Some(id);
        if self.usage.waits.as_deref().is_some_and(is) {
            self.usage.waits = None;
            self.usage.refused = response.get("subtype").and_then(Value::as_str) == Some("error");
        }
    }

    /// The line that answers a question.
    pub(super) fn answer(&mut self, id: &str, decision: &Decision) -> Result<String, ExecutorError> {
        let question = self.open.get(id).ok_or(ExecutorError::NoQuestion)?;
        Ok(input::decision_line(question, decision))
    }

    /// Notes that the answer was written.
    pub(super) fn answered(&mut self, id: &str) {
        self.open.remove(id);
    }

    /// The line that interrupts the turn.
    pub(super) fn interrupt(&mut self) -> String {
        let id = self.next_id("interrupt");
        input::interrupt_line(&id)
    }

    /// The line that asks for the cost, when it is time: something was written since the last time.
    pub(super) fn usage_due(&mut self, now: Instant) -> Option<String> {
        let waited = now.duration_since(self.usage.last);
        let patient = self.usage.waits.is_none() || waited >= REPLY_WITHIN;
        if self.usage.refused || !self.usage.wanted || waited < self.usage.every || !patient {
            return None;
        }
        let id = self.next_id("usage");
        self.usage.last = now;
        self.usage.wanted = false;
        self.usage.waits = Some(id.clone());
        Some(input::usage_line(&id))
    }

    fn next_id(&mut self, name: &str) -> String {
        self.made += 1;
        format!("{name}-{}", self.made)
    }
}

/// Whether an event shows that the agent works, and not only that its program answers us.
pub(super) fn is_work(event: &RunEvent) -> bool {
    match &event.kind {
        RunEventKind::Spent { .. } => false,
        RunEventKind::Notice { name, .. } => name != "control_response" && name != "keep_alive",
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn control(ask: Ask) -> Control {
        let permissions = Permissions { allow: Vec::new(), deny: vec!["WebFetch".into()], ask };
        Control::new(permissions, Duration::from_secs(15), Instant::now())
    }

    fn leave(id: &str, tool: &str) -> RunEvent {
        RunEventKind::Question(Question::permission(id.into(), tool.into(), json!({"command": "x"}))).into()
    }

    fn choice(id: &str) -> RunEvent {
        let RunEventKind::Question(question) = leave(id, "AskUserQuestion").kind else {
            panic!("no question")
        };
        RunEventKind::Question(Question { kind: QuestionKind::Choice, ..question }).into()
    }

    fn reply(taken: &Taken) -> Value {
        serde_json::from_str(taken.reply.as_deref().unwrap()).unwrap()
    }

    #[test]
    fn what_nobody_is_asked_is_refused_at_once_with_words() {
        for (ask, event, refused) in [
            (Ask::Nothing, choice("1"), Some("Decide yourself")),
            (Ask::Nothing, leave("1", "Bash"), Some("does not allow `Bash`")),
            (Ask::Questions, choice("1"), None),
            (Ask::Questions, leave("1", "Bash"), Some("does not allow `Bash`")),
            (Ask::Everything, choice("1"), None),
            (Ask::Everything, leave("1", "Bash"), None),
            (Ask::Everything, leave("1", "WebFetch"), Some("denied by this worker's configuration")),
        ] {
            let mut control = control(ask);
            let taken = control.take(event.clone());
            match refused {
                Some(words) => {
                    let line = reply(&taken);
                    assert_eq!(line["response"]["request_id"], "1");
                    assert_eq!(line["response"]["response"]["behavior"], "deny");
                    assert!(
                        line["response"]["response"]["message"].as_str().unwrap().contains(words),
                        "{line}"
                    );
                    assert!(matches!(taken.event.kind, RunEventKind::Denied { .. }) && !control.is_asking());
                }
                None => assert_eq!((taken.event, control.is_asking()), (event, true)),
            }
        }
    }

    #[test]
    fn a_question_is_answered_once_and_not_after_it_was_withdrawn() {
        let mut control = control(Ask::Everything);
        control.take(leave("1", "Bash"));
        control.take(leave("2", "Bash"));
        assert!(control.answer("1", &Decision::Allow).is_ok());
        control.answered("1");
        assert!(matches!(control.answer("1", &Decision::Allow), Err(ExecutorError::NoQuestion)));
        control.take(RunEventKind::Withdrawn { id: "2".into() }.into());
        assert!(matches!(control.answer("2", &Decision::Allow), Err(ExecutorError::NoQuestion)));
        assert!(!control.is_asking());
    }

    #[test]
    fn a_request_that_is_not_known_gets_an_error_and_no_silence() {
        let raw = json!({"type": "control_request", "request_id": "9", "request": {"subtype": "hologram"}});
        let event = RunEventKind::Notice { name: "control_request".into(), raw }.into();
        let line = reply(&control(Ask::Nothing).take(event));
        assert_eq!(
            (&line["response"]["subtype"], &line["response"]["request_id"]),
            (&json!("error"), &json!("9"))
        );
    }

    #[tokio::test]
    async fn the_cost_is_asked_for_while_something_is_written_and_not_in_silence() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut control = Control::new(Permissions::default(), Duration::from_secs(15), start);
        assert_eq!(control.usage_due(at(100)), None);
        control.take(RunEventKind::Text("x".into()).into());
        assert_eq!(control.usage_due(at(14)), None);
        assert!(control.usage_due(at(15)).unwrap().contains("get_usage"));
        control.take(RunEventKind::Spent { total_micro_usd: 1 }.into());
        assert_eq!(control.usage_due(at(60)), None, "its own reply is no work");
        control.take(RunEventKind::Text("x".into()).into());
        assert!(control.usage_due(at(61)).is_some());
        let raw = json!({"response": {"subtype": "error", "request_id": "usage-2", "error": "no"}});
        control.take(RunEventKind::Notice { name: "control_response".into(), raw }.into());
        control.take(RunEventKind::Text("x".into()).into());
        assert_eq!(control.usage_due(at(600)), None, "it does not know the request");
    }
}
