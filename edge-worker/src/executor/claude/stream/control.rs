//! Reads control lines: questions, their withdrawal, live cost; and the account's limits.
//! Neighbours: `control` answers what is asked here.
//! It must never take a shape it does not know for a question: such lines stay notices.

use serde_json::Value;
use shared::time::Timestamp;

use crate::executor::event::RunEventKind;
use crate::executor::fields::{list, micro_usd, number, optional_text, text};
use crate::executor::question::{Question, QuestionKind, QuestionOption, QuestionPart};

/// The tool by which the agent asks a person.
const ASKING_TOOL: &str = "AskUserQuestion";
/// Seconds of the year 5138: greater numbers of a time are milliseconds.
const MOST_SECONDS: u64 = 100_000_000_000;

/// The event of a control line; `None` when it says little.
pub(super) fn read(line: &Value) -> Option<RunEventKind> {
    match text(line, "type") {
        "control_request" => {
            let request = line.get("request")?;
            (text(request, "subtype") == "can_use_tool").then(|| question(line, request)).flatten()
        }
        "control_cancel_request" => Some(RunEventKind::Withdrawn { id: optional_text(line, "request_id")? }),
        "control_response" => {
            let reply = line.get("response")?.get("response")?.get("session")?;
            Some(RunEventKind::Spent { total_micro_usd: micro_usd(reply, "total_cost_usd")? })
        }
        "rate_limit_event" => limit(line.get("rate_limit_info")?),
        _ => None,
    }
}

fn question(line: &Value, request: &Value) -> Option<RunEventKind> {
    let id = optional_text(line, "request_id")?;
    let tool = optional_text(request, "tool_name")?;
    let input = request.get("input").cloned().unwrap_or_default();
    let parts = if tool == ASKING_TOOL { choices(&input) } else { Vec::new() };
    let tool_use_id = optional_text(request, "tool_use_id");
    let question = if parts.is_empty() {
        let rules = list(request, "permission_suggestions").to_vec();
        Question { tool_use_id, rules, ..Question::permission(id, tool, input) }
    } else {
        Question { id, kind: QuestionKind::Choice, tool_use_id, tool, input, parts, rules: Vec::new() }
    };
    Some(RunEventKind::Question(question))
}

fn choices(input: &Value) -> Vec<QuestionPart> {
    let option = |option: &Value| QuestionOption {
        label: text(option, "label").to_owned(),
        description: optional_text(option, "description"),
    };
    let part = |part: &Value| {
        Some(QuestionPart {
            text: optional_text(part, "question")?,
            options: list(part, "options")
                .iter()
                .map(option)
                .filter(|option| !option.label.is_empty())
                .collect(),
            multiple: part.get("multiSelect").and_then(Value::as_bool) == Some(true),
        })
    };
    list(input, "questions").iter().filter_map(part).collect()
}

fn limit(info: &Value) -> Option<RunEventKind> {
    if text(info, "status") != "rejected" {
        return None;
    }
    let resets_at = number(info, "resetsAt").filter(|at| *at > 0).and_then(|at| {
        let millis = if at < MOST_SECONDS { at.saturating_mul(1000) } else { at };
        i64::try_from(millis).ok().map(Timestamp::from_millis)
    });
    let kind = optional_text(info, "rateLimitType").unwrap_or_else(|| "unknown".to_owned());
    Some(RunEventKind::LimitReached { kind, resets_at })
}
