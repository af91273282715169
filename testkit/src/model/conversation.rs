//! Reads what a request to the Messages API says: texts, tools, results, the working directory.
//!
//! Real clients send several text blocks in a message, wrap their own remarks in `<system-reminder>`, and put
//! messages of role `system` among the others.

use serde_json::Value;

/// A request's messages, oldest first.
pub(super) struct Conversation<'a> {
    body: &'a Value,
    messages: &'a [Value],
}

/// The newest text of a person, and what came after it.
pub(super) struct Turn<'a> {
    /// The text without the client's own remarks.
    pub(super) text: String,
    /// Which text of a person it is, counted from 1.
    pub(super) ordinal: usize,
    /// The messages after it.
    pub(super) after: &'a [Value],
}

/// How a tool call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ToolCall {
    pub(super) name: String,
    /// `None` while no result is there.
    pub(super) failed: Option<bool>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(body: &'a Value) -> Self {
        let messages = body.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Self { body, messages }
    }

    pub(super) fn has_tools(&self) -> bool {
        !self.tools().is_empty()
    }

    pub(super) fn offers(&self, tool: &str) -> bool {
        self.tools().iter().any(|offered| offered.get("name").and_then(Value::as_str) == Some(tool))
    }

    fn tools(&self) -> &'a [Value] {
        self.body.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// The newest user message whose text `found` accepts, with the messages after it.
    pub(super) fn newest_user<T>(&self, found: impl Fn(&str) -> Option<T>) -> Option<(T, &'a [Value])> {
        let users = self.messages.iter().enumerate().rev().filter(|(_, message)| is(message, "user"));
        users.into_iter().find_map(|(at, message)| {
            found(&text_of(message.get("content")))
                .map(|value| (value, self.messages.get(at + 1..).unwrap_or_default()))
        })
    }

    /// The newest turn; `None` when no person said anything.
    pub(super) fn turn(&self) -> Option<Turn<'a>> {
        let spoken = |message: &&Value| is(message, "user") && !said(message).is_empty();
        let at = self.messages.iter().rposition(|message| spoken(&message))?;
        Some(Turn {
            text: said(&self.messages[at]),
            ordinal: self.messages[..=at].iter().filter(spoken).count(),
            after: self.messages.get(at + 1..).unwrap_or_default(),
        })
    }

    /// The text of the first turn, which names the task.
    pub(super) fn first_text(&self) -> String {
        self.messages
            .iter()
            .filter(|message| is(message, "user"))
            .map(said)
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    }

    /// Every text that is not the model's own, oldest first, with the client's remarks: a message that came in the middle of
    /// a turn may stand in one.
    pub(super) fn told(&self) -> Vec<String> {
        let others = self.messages.iter().filter(|message| !is(message, "assistant"));
        others.map(|message| text_of(message.get("content"))).collect()
    }

    /// Every text of the model.
    pub(super) fn said_by_the_model(&self) -> Vec<String> {
        let own = self.messages.iter().filter(|message| is(message, "assistant"));
        own.map(|message| text_of(message.get("content"))).collect()
    }

    /// The ids of all tool calls, and how each went: `None` while no result is there.
    pub(super) fn tool_uses(&self) -> Vec<(String, Option<bool>)> {
        let blocks = || self.messages.iter().flat_map(|message| blocks_of(message.get("content")));
        let kind = |block: &Value, kind: &str| block.get("type").and_then(Value::as_str) == Some(kind);
        let calls = blocks().filter(|block| kind(block, "tool_use"));
        let called = calls.map(|call| {
            let result = blocks()
                .find(|block| kind(block, "tool_result") && block.get("tool_use_id") == call.get("id"));
            let failed =
                result.map(|result| result.get("is_error").and_then(Value::as_bool).unwrap_or(false));
            (call.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(), failed)
        });
        called.collect()
    }

    /// The working directory that the client states anywhere in its request.
    pub(super) fn working_directory(&self) -> Option<String> {
        let mut texts = vec![text_of(self.body.get("system"))];
        texts.extend(self.messages.iter().map(|message| text_of(message.get("content"))));
        ["Primary working directory:", "Working directory:", "cwd:"].iter().find_map(|label| {
            texts.iter().find_map(|text| {
                let (_, rest) = text.split_once(label)?;
                let path: String = rest.trim_start_matches([' ', '\t']).lines().next()?.trim().to_owned();
                (!path.is_empty()).then_some(path)
            })
        })
    }
}

/// How many assistant messages there are.
pub(super) fn assistant_count(messages: &[Value]) -> usize {
    messages.iter().filter(|message| is(message, "assistant")).count()
}

/// The tool calls in `messages` with how each went, oldest first.
pub(super) fn tool_calls(messages: &[Value]) -> Vec<ToolCall> {
    let blocks = || messages.iter().flat_map(|message| blocks_of(message.get("content")));
    let kind = |block: &Value, kind: &str| block.get("type").and_then(Value::as_str) == Some(kind);
    let calls = blocks().filter(|block| kind(block, "tool_use"));
    let called = calls.map(|call| {
        let result =
            blocks().find(|block| kind(block, "tool_result") && block.get("tool_use_id") == call.get("id"));
        ToolCall {
            name: call.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            failed: result.map(|result| result.get("is_error").and_then(Value::as_bool).unwrap_or(false)),
        }
    });
    called.collect()
}

fn is(message: &Value, role: &str) -> bool {
    message.get("role").and_then(Value::as_str) == Some(role)
}

fn blocks_of(content: Option<&Value>) -> &[Value] {
    content.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// All text of a content: a string, or the text blocks of a list.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        content => {
            let texts =
                blocks_of(content).iter().filter_map(|block| block.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
    }
}

/// What a person said in a message: its text without the client's remarks.
fn said(message: &Value) -> String {
    let text = text_of(message.get("content"));
    let mut kept = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("<system-reminder>") {
        kept.push_str(before);
        rest = after.split_once("</system-reminder>").map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn remarks_of_the_client_and_tool_results_are_not_what_a_person_said() {
        let body = json!({"messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "<system-reminder>\nbe good\n</system-reminder>"},
                {"type": "text", "text": "Fix it"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "text in a result"},
                {"type": "text", "text": "<system-reminder>unclosed"}]},
            {"role": "system", "content": "You are here"}]});
        let turn = Conversation::new(&body).turn().expect("a turn");
        assert_eq!((turn.text.as_str(), turn.ordinal), ("Fix it", 1));
        assert_eq!(assistant_count(turn.after), 1);
        assert_eq!(tool_calls(turn.after), [ToolCall { name: "Bash".into(), failed: Some(false) }]);
    }

    #[test]
    fn a_follow_up_begins_a_turn_of_its_own() {
        let body = json!({"messages": [
            {"role": "user", "content": "one"}, {"role": "assistant", "content": "done"},
            {"role": "user", "content": "two"}]});
        let turn = Conversation::new(&body).turn().expect("a turn");
        assert_eq!((turn.text.as_str(), turn.ordinal, turn.after.len()), ("two", 2, 0));
    }

    #[test]
    fn the_working_directory_is_found_in_system_text_and_may_hold_spaces() {
        let body =
            json!({"system": [{"type": "text", "text": "Env:\n - Primary working directory: /tmp/a b\nx"}]});
        assert_eq!(Conversation::new(&body).working_directory().as_deref(), Some("/tmp/a b"));
        assert_eq!(Conversation::new(&json!({"messages": "none"})).working_directory(), None);
    }
}
