//! The agent's own list of what is to be done, as the plan that Linear shows. Pure.
//!
//! Older programs write the whole list each time (`TodoWrite`); newer ones make tasks one by one (`TaskCreate`), number
//! them from 1, and change them by number (`TaskUpdate`). A change of a task that is not known here says nothing.

use serde_json::Value;
use shared::linear::session::{PlanStep, PlanStepStatus};

/// More steps than people read; the last ones are not shown.
const MOST: usize = 50;
/// The longest text of a step, in letters.
const LONGEST: usize = 200;

/// The tools whose use is the plan itself, and so nothing else to tell.
pub fn is_of_plan(tool: &str) -> bool {
    matches!(tool, "TodoWrite" | "TodoRead" | "TaskCreate" | "TaskUpdate" | "TaskList" | "TaskGet")
}

/// What an agent has written down so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    tasks: Vec<PlanStep>,
}

impl Plan {
    /// Reads one use of a tool; the whole plan if it changed.
    pub fn read(&mut self, tool: &str, input: &Value) -> Option<Vec<PlanStep>> {
        let before = self.tasks.clone();
        match tool {
            "TodoWrite" => self.tasks = input.get("todos")?.as_array()?.iter().filter_map(todo).collect(),
            "TaskCreate" => {
                let content = line(input.get("subject").or_else(|| input.get("description"))?.as_str()?)?;
                self.tasks.push(PlanStep { content, status: PlanStepStatus::Pending });
            }
            "TaskUpdate" => self.change(input)?,
            _ => return None,
        }
        (self.tasks != before).then(|| self.tasks.iter().take(MOST).cloned().collect())
    }

    fn change(&mut self, input: &Value) -> Option<()> {
        let number = match input.get("taskId")? {
            Value::String(text) => text.trim_start_matches('#').parse::<usize>().ok()?,
            number => usize::try_from(number.as_u64()?).ok()?,
        };
        let task = self.tasks.get_mut(number.checked_sub(1)?)?;
        if let Some(content) = input.get("subject").and_then(Value::as_str).and_then(line) {
            task.content = content;
        }
        if let Some(word) = input.get("status").and_then(Value::as_str) {
            task.status = status(word);
        }
        Some(())
    }
}

fn todo(todo: &Value) -> Option<PlanStep> {
    let content = line(todo.get("content").or_else(|| todo.get("text"))?.as_str()?)?;
    Some(PlanStep { content, status: status(todo.get("status").and_then(Value::as_str).unwrap_or_default()) })
}

fn status(word: &str) -> PlanStepStatus {
    match word {
        "in_progress" | "inProgress" => PlanStepStatus::InProgress,
        "completed" => PlanStepStatus::Completed,
        "cancelled" | "canceled" | "deleted" => PlanStepStatus::Canceled,
        _ => PlanStepStatus::Pending,
    }
}

/// One line of a step; `None` when nothing is left of it.
fn line(text: &str) -> Option<String> {
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    let line = words.join(" ");
    let short: String = line.chars().take(LONGEST).collect();
    (!short.is_empty()).then(|| if short.len() < line.len() { format!("{short}…") } else { short })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn short(steps: Option<Vec<PlanStep>>) -> Vec<String> {
        let mark = |status| match status {
            PlanStepStatus::Pending => ' ',
            PlanStepStatus::InProgress => '>',
            PlanStepStatus::Completed => 'x',
            PlanStepStatus::Canceled => '-',
            PlanStepStatus::Unknown => '?',
        };
        steps.into_iter().flatten().map(|step| format!("{}{}", mark(step.status), step.content)).collect()
    }

    #[test]
    fn a_whole_list_is_the_plan_and_the_same_list_again_says_nothing() {
        let mut plan = Plan::default();
        let list = json!({"todos": [
            {"content": "Read", "status": "completed", "activeForm": "Reading"},
            {"content": "Write\n\u{7}it", "status": "in_progress"},
            {"content": "Check", "status": "pending"}, {"content": " "}, 3, {"status": "pending"},
        ]});
        assert_eq!(short(plan.read("TodoWrite", &list)), ["xRead", ">Write it", " Check"]);
        assert_eq!(plan.read("TodoWrite", &list), None);
        assert_eq!(short(plan.read("TodoWrite", &json!({"todos": []}))), Vec::<String>::new());
    }

    #[test]
    fn tasks_are_made_one_by_one_and_changed_by_number() {
        let mut plan = Plan::default();
        assert_eq!(
            short(plan.read("TaskCreate", &json!({"subject": "Read", "description": "all"}))),
            [" Read"]
        );
        assert_eq!(short(plan.read("TaskCreate", &json!({"description": "Write"}))), [" Read", " Write"]);
        let begun = json!({"taskId": "1", "status": "in_progress"});
        assert_eq!(short(plan.read("TaskUpdate", &begun)), [">Read", " Write"]);
        assert_eq!(plan.read("TaskUpdate", &begun), None);
        let renamed = json!({"taskId": 2, "status": "deleted", "subject": "Write more"});
        assert_eq!(short(plan.read("TaskUpdate", &renamed)), [">Read", "-Write more"]);
        for odd in
            [json!({"taskId": "0"}), json!({"taskId": "9"}), json!({"taskId": "x"}), json!({}), json!(3)]
        {
            assert_eq!(plan.read("TaskUpdate", &odd), None, "{odd}");
        }
    }

    #[test]
    fn other_tools_and_broken_input_say_nothing_and_long_plans_are_cut() {
        let mut plan = Plan::default();
        for (tool, input) in [
            ("Bash", json!({"todos": [{"content": "x"}]})),
            ("TodoWrite", json!({"todos": "x"})),
            ("TodoWrite", json!(null)),
            ("TaskCreate", json!({"subject": 3})),
        ] {
            assert_eq!(plan.read(tool, &input), None, "{tool} {input}");
        }
        let many: Vec<Value> = (0..500).map(|_| json!({"content": "é".repeat(900)})).collect();
        let steps = plan.read("TodoWrite", &json!({"todos": many})).unwrap();
        assert_eq!(steps.len(), MOST);
        assert_eq!(steps[0].content.chars().count(), LONGEST + 1);
    }
}
