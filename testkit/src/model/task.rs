//! Tasks that prompts carry: `<<TASKS [{"id": "A1", …}, …] TASKS>>`, each a step with an id.
//!
//! Unlike a script they are done one by one, however the conversation came to be what it is: the next answer is the first
//! task of all messages that the conversation does not show as done, and when all are done the last words name them. So a
//! run that was killed and resumed does what is left, and whoever looks on can tell each task apart.

use serde::Deserialize;

use super::conversation::Conversation;
use super::script::Step;

/// How often a task whose tool fails is tried.
const MOST_TRIES: usize = 3;

/// One task.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Task {
    /// Letters and digits.
    id: String,
    #[serde(flatten)]
    step: Step,
}

/// The next answer; `None` when no message carries tasks, `Some(Err)` when some cannot be read.
pub(super) fn step(conversation: &Conversation<'_>) -> Option<Result<Step, String>> {
    let (mut tasks, mut unreadable) = (Vec::<Task>::new(), None);
    for text in conversation.told() {
        for list in lists(&text) {
            match serde_json::from_str::<Vec<Task>>(list) {
                Ok(list) => {
                    let fresh = |task: &Task| !tasks.iter().any(|known| known.id == task.id);
                    let fresh: Vec<Task> = list.into_iter().filter(fresh).collect();
                    tasks.extend(fresh);
                }
                // A quotation of an earlier message may be cut.
                Err(error) => unreadable = Some(format!("a list of tasks cannot be read: {error}")),
            }
        }
    }
    let Some(last) = tasks.last().map(|task| task.step.delay_ms) else { return unreadable.map(Err) };
    let said = conversation.said_by_the_model();
    let uses = conversation.tool_uses();
    for task in &tasks {
        let prefix = format!("toolu_{}x", task.id);
        let tries: Vec<_> = uses.iter().filter(|(id, _)| id.starts_with(&prefix)).collect();
        let done = if task.step.tools.is_empty() {
            said.iter().any(|text| text.contains(&mark(&task.id)))
        } else {
            tries.iter().any(|(_, failed)| *failed == Some(false))
                || tries.len() >= MOST_TRIES * task.step.tools.len()
        };
        if !done {
            let mut step = task.step.clone();
            step.text = Some(format!("{} {}", mark(&task.id), step.text.as_deref().unwrap_or_default()));
            for (number, tool) in step.tools.iter_mut().enumerate() {
                tool.id = Some(format!("{prefix}{}", tries.len() + number));
            }
            return Some(Ok(step));
        }
    }
    let ids: Vec<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
    Some(Ok(Step { delay_ms: last, ..Step::saying(format!("All done: {}.", ids.join(" "))) }))
}

fn mark(id: &str) -> String {
    format!("[{id}]")
}

/// The JSON of each list in a text.
fn lists(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("<<TASKS") {
        let Some((list, behind)) = after.split_once("TASKS>>") else { break };
        found.push(list);
        rest = behind;
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn next(messages: Value) -> Step {
        let body = json!({"tools": [{"name": "Bash"}], "messages": messages});
        step(&Conversation::new(&body)).expect("tasks").expect("readable")
    }

    fn asked(list: &str) -> Value {
        json!({"role": "user", "content": format!("please <<TASKS {list} TASKS>>")})
    }

    const TWO: &str =
        r#"[{"id":"A1","tools":[{"name":"Bash","input":{"command":"true"}}]},{"id":"A2","text":"talk"}]"#;

    #[test]
    fn tasks_are_done_in_order_and_the_last_words_name_them_all() {
        let first = next(json!([asked(TWO)]));
        assert_eq!(
            (first.text.as_deref(), first.tools[0].id.as_deref()),
            (Some("[A1] "), Some("toolu_A1x0"))
        );
        let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_A1x0", "name": "Bash", "input": {}}]});
        let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_A1x0", "content": "x"}]});
        let second = next(json!([asked(TWO), call, result]));
        assert_eq!(second.text.as_deref(), Some("[A2] talk"));
        let said = json!({"role": "assistant", "content": "[A2] talk"});
        let last = next(json!([asked(TWO), call, result, said]));
        assert_eq!(last.text.as_deref(), Some("All done: A1 A2."));
        let more = next(json!([asked(TWO), call, result, said, asked(r#"[{"id":"F1","text":"more"}]"#)]));
        assert_eq!(more.text.as_deref(), Some("[F1] more"));
    }

    #[test]
    fn a_task_whose_tool_was_cut_off_is_tried_again_under_another_id() {
        let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_A1x0", "name": "Bash", "input": {}}]});
        let again = next(json!([asked(TWO), call, asked(TWO)]));
        assert_eq!(again.tools[0].id.as_deref(), Some("toolu_A1x1"));
    }

    #[test]
    fn text_without_tasks_has_none_and_broken_ones_are_told() {
        let of = |content: &str| {
            let body = json!({"messages": [{"role": "user", "content": content}]});
            step(&Conversation::new(&body))
        };
        assert_eq!(of("nothing"), None);
        assert!(of("<<TASKS [{] TASKS>>").is_some_and(|read| read.is_err()));
    }
}
