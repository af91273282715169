//! Questions of the running agent that wait for people, and whose words answer them.
//! Neighbours: [`super::telling`] shows a question in Linear, [`super::turn`] takes the answer in as any message.
//! It must never keep a run waiting for ever: after a while the agent is told that nobody answered.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::executor::{Ask, Decision, Question, Reading, RunEventKind};

/// How long a run waits for an answer while it holds a slot.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What the agent is told then.
const NOBODY: &str = "Nobody has answered within ten minutes. If the work can go on without it, decide yourself and \
                      say what you decided; else stop here and say what you need to know.";

/// The questions that are open, oldest first.
#[derive(Debug, Default)]
pub struct Asking {
    open: VecDeque<(Question, Option<Instant>)>,
}

impl Asking {
    /// Notes what was read of the run.
    pub fn hear(&mut self, readings: &[Reading]) {
        for event in readings.iter().flat_map(|reading| &reading.events) {
            match &event.kind {
                RunEventKind::Question(question) => {
                    self.open.push_back((question.clone(), Instant::now().checked_add(PATIENCE)));
                }
                RunEventKind::Withdrawn { id } => self.open.retain(|(question, _)| question.id != *id),
                RunEventKind::Result(_) => self.open.clear(),
                _ => {}
            }
        }
    }

    /// The oldest question's id, and what these words decide of it. It is open no more.
    pub fn answer(&mut self, words: &str) -> Option<(String, Decision)> {
        let (question, _) = self.open.pop_front()?;
        let decision = question.decide(words);
        Some((question.id, decision))
    }

    /// Waits until the oldest question was open too long; for ever when there is none.
    pub async fn overdue(&self) {
        match self.open.front() {
            Some((_, Some(until))) => tokio::time::sleep_until(*until).await,
            _ => std::future::pending().await,
        }
    }

    /// The id of the question that was open too long, and what the agent is told.
    pub fn give_up(&mut self) -> Option<(String, Decision)> {
        let (question, _) = self.open.pop_front()?;
        Some((question.id, Decision::Deny(NOBODY.to_owned())))
    }
}

/// What people are asked: the agent's own questions wherever there are people.
pub fn who(configured: Ask, people: bool) -> Ask {
    match (configured, people) {
        (_, false) => Ask::Nothing,
        (Ask::Nothing, true) => Ask::Questions,
        (ask, true) => ask,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::executor::{QuestionKind, QuestionOption, QuestionPart, RunEvent, TurnResult};

    fn read(kinds: Vec<RunEventKind>) -> Vec<Reading> {
        vec![Reading { events: kinds.into_iter().map(RunEvent::from).collect(), place: None }]
    }

    fn question(id: &str) -> RunEventKind {
        let options = ["red", "blue"].map(|label| QuestionOption { label: label.into(), description: None });
        let part = QuestionPart { text: "Which?".into(), options: options.into(), multiple: false };
        RunEventKind::Question(Question {
            id: id.into(),
            kind: QuestionKind::Choice,
            tool_use_id: None,
            tool: "AskUserQuestion".into(),
            input: json!({}),
            parts: vec![part],
            rules: Vec::new(),
        })
    }

    #[test]
    fn words_answer_the_oldest_open_question_and_then_none() {
        let mut asking = Asking::default();
        assert_eq!(asking.answer("2"), None);
        asking.hear(&read(vec![question("1"), question("2"), question("3")]));
        asking.hear(&read(vec![RunEventKind::Withdrawn { id: "2".into() }]));
        assert_eq!(asking.answer("2"), Some(("1".into(), Decision::Answers(vec!["blue".into()]))));
        assert_eq!(asking.answer("none"), Some(("3".into(), Decision::Answers(vec!["none".into()]))));
        assert_eq!(asking.answer("2"), None);
        asking.hear(&read(vec![question("4"), RunEventKind::Result(TurnResult::default())]));
        assert_eq!(asking.answer("2"), None, "its turn is over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_is_given_up_after_ten_minutes() {
        let mut asking = Asking::default();
        asking.hear(&read(vec![question("1")]));
        let begun = Instant::now();
        asking.overdue().await;
        assert!(begun.elapsed() >= PATIENCE);
        assert!(
            matches!(asking.give_up(), Some((id, Decision::Deny(words))) if id == "1" && words.contains("decide yourself"))
        );
        assert!(tokio::time::timeout(PATIENCE * 2, asking.overdue()).await.is_err());
    }

    #[test]
    fn people_are_asked_only_where_there_are_some() {
        assert_eq!(who(Ask::Everything, false), Ask::Nothing);
        assert_eq!(who(Ask::Nothing, true), Ask::Questions);
        assert_eq!(who(Ask::Everything, true), Ask::Everything);
    }
}
