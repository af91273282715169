//! What an agent asks a person: a choice between answers, or leave to use a tool; and what is decided.
//! Neighbours: an executor's parser makes questions, the session shows them to people, [`RunControl::answer`] takes
//! the decision back. It must never decide in a person's place: words that fit no option are handed on as they are.
//!
//! [`RunControl::answer`]: super::RunControl::answer

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::prefix;

/// The longest part of a tool's input that is shown with a question, in bytes.
const SHOWN: usize = 1_500;

/// What an agent waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The id to answer to. It holds for one process only: the same question asked again has another.
    pub id: String,
    /// What kind of question it is.
    pub kind: QuestionKind,
    /// The tool call that waits.
    pub tool_use_id: Option<String>,
    /// The tool's name.
    pub tool: String,
    /// The tool's arguments.
    pub input: Value,
    /// What is asked, in order; never empty.
    pub parts: Vec<QuestionPart>,
    /// The rules that the executor would add for [`Decision::AllowAlways`], in its own form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Value>,
}

/// The kind of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum QuestionKind {
    /// The agent wants to know something.
    Choice,
    /// The agent wants leave to use a tool.
    Permission,
}

/// One thing that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuestionPart {
    /// The question.
    pub text: String,
    /// The answers to choose from. Others may be given in own words.
    pub options: Vec<QuestionOption>,
    /// More than one may be chosen.
    pub multiple: bool,
}

/// An answer to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuestionOption {
    /// The answer's text.
    pub label: String,
    /// What it means.
    pub description: Option<String>,
}

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// An answer for each part, in order.
    Answers(Vec<String>),
    /// The tool may be used, this once.
    Allow,
    /// The tool may be used so for the rest of the run.
    AllowAlways,
    /// No, and these words for the agent.
    Deny(String),
}

/// The labels of a permission question, in order.
const PERMISSION: [(&str, &str); 3] = [
    ("Allow", "this once"),
    ("Allow for this run", "and the like, until the run ends"),
    ("Deny", "the agent goes on without it; write words instead to tell it more"),
];

impl Question {
    /// A question for leave to use a tool.
    pub(super) fn permission(id: String, tool: String, input: Value) -> Self {
        let shown = subject(&input);
        let text = if shown.is_empty() {
            format!("May I use `{tool}`?")
        } else {
            format!("May I use `{tool}`?\n\n```\n{}\n```", shown.replace("```", "'''"))
        };
        let options = PERMISSION
            .iter()
            .map(|(label, description)| QuestionOption {
                label: (*label).to_owned(),
                description: Some((*description).to_owned()),
            })
            .collect();
        let parts = vec![QuestionPart { text, options, multiple: false }];
        Self { id, kind: QuestionKind::Permission, tool_use_id: None, tool, input, parts, rules: Vec::new() }
    }

    /// The whole question as text for people, with the options of every part.
    pub fn text(&self) -> String {
        let part = |part: &QuestionPart| {
            let mut text = part.text.clone();
            for (number, option) in (1..).zip(&part.options) {
                text.push_str(&format!("\n{number}. {}", option.label));
                if let Some(description) = &option.description {
                    text.push_str(&format!(": {description}"));
                }
            }
            if part.multiple {
                text.push_str("\n(several may be chosen: name them with commas between)");
            }
            text
        };
        let mut text = self.parts.iter().map(part).collect::<Vec<_>>().join("\n\n");
        if self.parts.len() > 1 {
            text.push_str("\n\n(answer each on a line of its own)");
        }
        text
    }

    /// The labels to offer as a list to select from. Empty where one choice cannot answer all.
    pub fn choices(&self) -> Vec<String> {
        match self.parts.as_slice() {
            [only] if !only.multiple => only.options.iter().map(|option| option.label.clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// A key that is the same when the same is asked again, by another process too: of the tool and its arguments.
    pub fn key(&self) -> String {
        shared::digest::sha256_hex(format!("{}\n{}", self.tool, self.input).as_bytes())
    }

    /// What a person's reply decides: a number, a label or the beginning of one, else the words themselves.
    pub fn decide(&self, reply: &str) -> Decision {
        match self.kind {
            QuestionKind::Permission => self.decide_permission(reply),
            QuestionKind::Choice => {
                let lines: Vec<&str> = reply.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                let one_each = self.parts.len() > 1 && lines.len() == self.parts.len();
                let answers = self.parts.iter().enumerate().map(|(at, part)| {
                    let words = if one_each { lines.get(at).copied().unwrap_or(reply) } else { reply.trim() };
                    part.answer(words)
                });
                Decision::Answers(answers.collect())
            }
        }
    }

    fn decide_permission(&self, reply: &str) -> Decision {
        let words = reply.trim();
        match words.to_lowercase().trim_end_matches(['.', '!']) {
            "yes" | "y" | "ok" | "okay" => return Decision::Allow,
            "always" => return Decision::AllowAlways,
            "no" | "n" => return Decision::Deny("A person said no.".to_owned()),
            _ => {}
        }
        let chosen = self.parts.first().and_then(|part| part.find(words));
        match chosen {
            Some(0) => Decision::Allow,
            Some(1) => Decision::AllowAlways,
            Some(_) => Decision::Deny("A person said no.".to_owned()),
            None => Decision::Deny(format!("A person said no, and wrote: {words}")),
        }
    }
}

impl QuestionPart {
    /// The answer that words stand for: the label that they name, else the words.
    fn answer(&self, words: &str) -> String {
        let label = |words: &str| self.find(words).and_then(|at| self.options.get(at));
        if let Some(option) = label(words) {
            return option.label.clone();
        }
        if self.multiple {
            let chosen: Vec<&str> = words.split([',', ';', '\n']).map(str::trim).collect();
            let found: Option<Vec<&str>> =
                chosen.iter().map(|words| label(words).map(|option| option.label.as_str())).collect();
            if let Some(labels) = found {
                return labels.join(", ");
            }
        }
        words.to_owned()
    }

    /// Which option is meant: by number, by label, or by the beginning of one label only.
    fn find(&self, words: &str) -> Option<usize> {
        let words = words.trim().trim_end_matches('.').to_lowercase();
        if words.is_empty() {
            return None;
        }
        let label = |option: &QuestionOption| option.label.trim().to_lowercase();
        if let Some(at) = self.options.iter().position(|option| label(option) == words) {
            return Some(at);
        }
        let number = words.trim_start_matches('#').trim_end_matches(')').parse::<usize>().ok();
        if let Some(at) = number.and_then(|number| number.checked_sub(1)) {
            return (at < self.options.len()).then_some(at);
        }
        let mut begins = (0..).zip(&self.options).filter(|(_, option)| label(option).starts_with(&words));
        match (begins.next(), begins.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        }
    }
}

/// What of a tool's input a person must see to decide.
fn subject(input: &Value) -> String {
    let named = ["command", "file_path", "url", "path", "query", "pattern"]
        .iter()
        .find_map(|name| input.get(name)?.as_str().map(str::to_owned));
    let text = match (named, input) {
        (Some(text), _) => text,
        (None, Value::Null) => return String::new(),
        (None, Value::Object(fields)) if fields.is_empty() => return String::new(),
        (None, other) => other.to_string(),
    };
    let shown = prefix(&text, SHOWN);
    if shown.len() < text.len() { format!("{shown}…") } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(labels: &[&str], multiple: bool) -> QuestionPart {
        let option = |label: &&str| QuestionOption { label: (*label).to_owned(), description: None };
        QuestionPart { text: "Which?".into(), options: labels.iter().map(option).collect(), multiple }
    }

    fn choice(parts: Vec<QuestionPart>) -> Question {
        Question {
            id: "q".into(),
            kind: QuestionKind::Choice,
            tool_use_id: None,
            tool: "AskUserQuestion".into(),
            input: json!({}),
            parts,
            rules: Vec::new(),
        }
    }

    #[test]
    fn a_reply_is_matched_by_number_label_and_beginning_else_taken_as_it_is() {
        let question = choice(vec![part(&["Postgres", "SQLite", "SQL Server", "2"], false)]);
        for (reply, answer) in [
            ("1", "Postgres"),
            (" #2 ", "SQLite"),
            ("2)", "SQLite"),
            ("postgres.", "Postgres"),
            ("post", "Postgres"),
            ("SQL", "SQL"),
            ("9", "9"),
            ("0", "0"),
            ("neither,\nuse files", "neither,\nuse files"),
            ("", ""),
            ("99999999999999999999999", "99999999999999999999999"),
        ] {
            assert_eq!(question.decide(reply), Decision::Answers(vec![answer.to_owned()]), "{reply}");
        }
    }

    #[test]
    fn several_may_be_chosen_where_it_is_said() {
        let question = choice(vec![part(&["a b", "c", "d"], true)]);
        assert_eq!(question.decide("1, D"), Decision::Answers(vec!["a b, d".into()]));
        assert_eq!(question.decide("1, and more"), Decision::Answers(vec!["1, and more".into()]));
        assert!(question.choices().is_empty());
    }

    #[test]
    fn two_questions_are_answered_line_by_line_or_by_the_same_words() {
        let question = choice(vec![part(&["red", "blue"], false), part(&["big", "small"], false)]);
        assert_eq!(question.decide("2\n\nsmall"), Decision::Answers(vec!["blue".into(), "small".into()]));
        let words = "as you like";
        assert_eq!(question.decide(words), Decision::Answers(vec![words.into(), words.into()]));
        assert!(question.choices().is_empty() && question.text().contains("2. blue"));
    }

    #[test]
    fn leave_is_given_by_clear_words_only() {
        let question = Question::permission("q".into(), "Bash".into(), json!({"command": "touch ```/x"}));
        for (reply, decision) in [
            ("Allow", Decision::Allow),
            ("1", Decision::Allow),
            ("yes!", Decision::Allow),
            ("allow for", Decision::AllowAlways),
            ("2", Decision::AllowAlways),
            ("deny", Decision::Deny("A person said no.".into())),
            ("NO.", Decision::Deny("A person said no.".into())),
            ("", Decision::Deny("A person said no, and wrote: ".into())),
            ("yes, but in /tmp", Decision::Deny("A person said no, and wrote: yes, but in /tmp".into())),
        ] {
            assert_eq!(question.decide(reply), decision, "{reply}");
        }
        assert_eq!(question.choices(), ["Allow", "Allow for this run", "Deny"]);
        assert_eq!(question.parts[0].text, "May I use `Bash`?\n\n```\ntouch '''/x\n```");
    }

    #[test]
    fn the_same_question_of_another_process_has_the_same_key() {
        let first = Question::permission("1".into(), "Bash".into(), json!({"command": "x"}));
        let again = Question::permission("2".into(), "Bash".into(), json!({"command": "x"}));
        let other = Question::permission("2".into(), "Bash".into(), json!({"command": "y"}));
        assert_eq!(first.key(), again.key());
        assert_ne!(first.key(), other.key());
    }
}
