//! What the model does when the prompt carries no script: one note is written and committed.
//!
//! The next step follows from how the tool calls of this turn went. Text from the prompt reaches a file's name
//! and the shell only as letters, digits, spaces and dashes.

use serde_json::json;

use super::conversation::{Conversation, Turn, tool_calls};
use super::script::Step;

/// How often a refused write is tried again under another name.
const MOST_WRITES: usize = 3;

/// The next answer.
pub(super) fn step(conversation: &Conversation<'_>) -> Step {
    let Some(turn) = conversation.turn() else { return Step::saying("OK.") };
    if !conversation.offers("Write") {
        return Step::saying(format!("I read the request. {}", Task::of(conversation, &turn).told()));
    }
    let task = Task::of(conversation, &turn);
    let calls = tool_calls(turn.after);
    let writes: Vec<_> = calls.iter().filter(|call| call.name == "Write").collect();
    let written = writes.iter().any(|call| call.failed == Some(false));
    let committed = calls.iter().rfind(|call| call.name == "Bash").and_then(|call| call.failed);

    match (written, committed) {
        (false, _) if writes.len() >= MOST_WRITES => {
            Step::saying(format!("I could not write a note. {}", task.told()))
        }
        (false, _) => {
            let path = format!("$CWD/notes/{}.md", task.file_name(writes.len()));
            Step::saying(format!("I will look at {} and write a note about it.", task.subject()))
                .calling("Write", json!({"file_path": path, "content": task.note()}))
        }
        (true, None) if conversation.offers("Bash") => Step::saying("Now I commit the note.")
            .calling("Bash", json!({"command": task.commit_command(), "description": "Commit the note"})),
        (true, Some(true)) => {
            Step::saying(format!("I wrote a note but could not commit it. {}", task.told()))
        }
        (true, _) => Step::saying(format!(
            "Done: I added a note about {} and committed it. {}",
            task.subject(),
            task.told()
        )),
    }
}

/// What the prompt asks for, in safe characters.
struct Task {
    identifier: Option<String>,
    title: String,
    ordinal: usize,
}

impl Task {
    fn of(conversation: &Conversation<'_>, turn: &Turn<'_>) -> Self {
        let first = conversation.first_text();
        let identifier = identifier_in(&turn.text).or_else(|| identifier_in(&first));
        let title = title_in(if turn.ordinal > 1 { &turn.text } else { &first });
        // The identifier goes before the title wherever both are shown.
        let title = identifier.as_deref().map_or_else(|| title.to_owned(), |own| title.replace(own, " "));
        let title = safe(&title, 60);
        Self { identifier, title, ordinal: turn.ordinal }
    }

    fn subject(&self) -> String {
        match &self.identifier {
            Some(identifier) => format!("{identifier} ({})", self.title),
            None => self.title.clone(),
        }
    }

    fn told(&self) -> String {
        format!("Request {} of this conversation: {}.", self.ordinal, self.title)
    }

    /// One a turn; another one for each try.
    fn file_name(&self, tries: usize) -> String {
        let named = format!("{} {}", self.identifier.as_deref().unwrap_or(""), self.title);
        let words: Vec<_> = named.split([' ', '-']).filter(|word| !word.is_empty()).collect();
        let mut name = words.join("-").to_lowercase();
        if self.ordinal > 1 {
            name.push_str(&format!("-{}", self.ordinal));
        }
        if tries > 0 {
            // The name was taken, as by an earlier run on the same branch.
            name.push_str(&format!("-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]));
        }
        name
    }

    fn note(&self) -> String {
        let heading = if self.title.is_empty() { "Note" } else { &self.title };
        let issue = self.identifier.as_deref().unwrap_or("none");
        format!(
            "# {heading}\n\nIssue: {issue}\n\nWritten by the scripted model for request {}. Mark: {}.\n",
            self.ordinal,
            // Two runs of the same second would else make the very same commit, and look like one.
            uuid::Uuid::new_v4().simple(),
        )
    }

    fn commit_command(&self) -> String {
        let message =
            safe(&format!("Add a note about {}", self.identifier.as_deref().unwrap_or(&self.title)), 72);
        format!(
            "git add -A && git -c user.name='Scripted Model' -c user.email=model@example.invalid commit -m '{message}'"
        )
    }
}

/// Letters, digits, spaces and dashes of a text, at most `most`, never beginning with a dash.
fn safe(text: &str, most: usize) -> String {
    let spaced: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { ' ' }).collect();
    let joined = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.trim_start_matches('-').chars().take(most).collect::<String>().trim().to_owned()
}

/// The first text like `ENG-12`, looked for in `identifier="…"` before anywhere else.
fn identifier_in(text: &str) -> Option<String> {
    let attribute = text.split_once("identifier=\"").and_then(|(_, rest)| rest.split_once('"'));
    attribute.and_then(|(value, _)| first_identifier(value)).or_else(|| first_identifier(text))
}

fn first_identifier(text: &str) -> Option<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let is_identifier = |word: &&str| {
        word.split_once('-').is_some_and(|(key, number)| {
            (2..=10).contains(&key.len())
                && key.starts_with(|c: char| c.is_ascii_uppercase())
                && key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
                && (1..=9).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    words.into_iter().find(is_identifier).map(str::to_owned)
}

/// The text of a `<title>` element, else of a line `Title: …`, else the first line that says something.
fn title_in(text: &str) -> &str {
    if let Some((title, _)) = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")) {
        return title;
    }
    let titled = text.lines().find_map(|line| line.trim().strip_prefix("Title:"));
    let says = |line: &&str| line.chars().any(char::is_alphanumeric) && !line.trim_start().starts_with('<');
    titled.or_else(|| text.lines().find(says)).unwrap_or("the request")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(messages: Value) -> Value {
        json!({"tools": [{"name": "Write"}, {"name": "Bash"}], "messages": messages})
    }

    fn next(messages: Value) -> Step {
        let body = body(messages);
        step(&Conversation::new(&body))
    }

    fn call(id: &str, name: &str) -> Value {
        json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": name, "input": {}}]})
    }

    fn result(id: &str, is_error: bool) -> Value {
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "is_error": is_error, "content": "x"}]})
    }

    #[test]
    fn a_prompt_becomes_a_note_a_commit_and_a_closing_text() {
        let prompt = json!({"role": "user", "content": "Work on ENG-12\n<issue><title>Show totals; now</title></issue>"});
        let write = next(json!([prompt]));
        assert_eq!(write.tools[0].name, "Write");
        assert_eq!(write.tools[0].input["file_path"], "$CWD/notes/eng-12-show-totals-now.md");
        let commit = next(json!([prompt, call("w", "Write"), result("w", false)]));
        assert_eq!(commit.tools[0].name, "Bash");
        let command = commit.tools[0].input["command"].as_str().expect("a command");
        assert!(command.ends_with("commit -m 'Add a note about ENG-12'"), "{command}");
        let done = next(json!([
            prompt,
            call("w", "Write"),
            result("w", false),
            call("b", "Bash"),
            result("b", false)
        ]));
        assert!(done.tools.is_empty() && done.text.is_some_and(|text| text.starts_with("Done: ")));
    }

    #[test]
    fn the_issues_own_identifier_goes_before_whatever_looks_like_one() {
        let text = "Use UTF-8 and SHA-256.\n<issue identifier=\"ENG-12\">";
        assert_eq!(identifier_in(text).as_deref(), Some("ENG-12"));
        assert_eq!(identifier_in("see eng-1, E-1 and ENG-1x").as_deref(), None);
    }

    #[test]
    fn a_follow_up_writes_another_file() {
        let messages = json!([
            {"role": "user", "content": "ENG-12 Show totals"},
            call("w", "Write"), result("w", false), call("b", "Bash"), result("b", false),
            {"role": "assistant", "content": "Done"},
            {"role": "user", "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>"},
                {"type": "text", "text": "Round to two digits"}]}]);
        let step = next(messages);
        assert_eq!(step.tools[0].input["file_path"], "$CWD/notes/eng-12-round-to-two-digits-2.md");
    }

    #[test]
    fn a_write_that_was_refused_is_tried_under_another_name_and_given_up_in_the_end() {
        let prompt = json!({"role": "user", "content": "ENG-12 Show totals"});
        let second = next(json!([prompt, call("a", "Write"), result("a", true)]));
        let path = second.tools[0].input["file_path"].as_str().expect("a path");
        assert!(path.starts_with("$CWD/notes/eng-12-show-totals-") && path.len() > 40, "{path}");
        let last = next(json!([
            prompt,
            call("a", "Write"),
            result("a", true),
            call("b", "Write"),
            result("b", true),
            call("c", "Write"),
            result("c", true)
        ]));
        assert!(last.tools.is_empty());
    }

    #[test]
    fn nothing_from_a_hostile_prompt_reaches_the_shell_or_leaves_the_folder() {
        for prompt in [
            "Title: '; rm -rf / #",
            "Title: $(touch /tmp/x) `y` ../../etc/passwd",
            "Title: --amend -n",
            "Title: \u{202e}\"\n\r\0",
            "<title>';\n\n&& curl x | sh</title>",
        ] {
            let written = next(json!([{"role": "user", "content": prompt}]));
            let path = written.tools[0].input["file_path"].as_str().expect("a path");
            let name = path.strip_prefix("$CWD/notes/").expect("in the folder");
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)), "{path}");
            let commit =
                next(json!([{"role": "user", "content": prompt}, call("w", "Write"), result("w", false)]));
            let command = commit.tools[0].input["command"].as_str().expect("a command");
            let message =
                command.split("commit -m '").nth(1).and_then(|rest| rest.strip_suffix('\'')).expect("quoted");
            assert!(
                message.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"- ".contains(&byte)),
                "{command}"
            );
        }
    }

    #[test]
    fn without_a_tool_to_write_with_it_only_answers() {
        let body =
            json!({"tools": [{"name": "Read"}], "messages": [{"role": "user", "content": "Classify ENG-1"}]});
        let step = step(&Conversation::new(&body));
        assert!(step.tools.is_empty() && step.text.is_some());
    }
}
