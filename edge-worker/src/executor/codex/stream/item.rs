//! Reads Codex's items: messages, commands, file changes, tool calls; in the spelling of `exec` and of the app server.
//! Neighbours: `stream` hands them in.
//! It must never tell an item twice: a call is told when it starts, its answer when it is completed.

use serde_json::{Value, json};

use super::super::super::event::RunEventKind;
use super::super::super::fields::{list, optional_text, text};
use super::super::super::question::Question;

/// The events of an item that was started or updated, or is completed.
pub(super) fn read(item: &Value, completed: bool) -> Vec<RunEventKind> {
    let words = || optional_text(item, "text");
    match text(item, "type") {
        "agent_message" | "agentMessage" if completed => {
            words().map(RunEventKind::Text).into_iter().collect()
        }
        "reasoning" if completed => {
            let lines = list(item, "summary").iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
            words()
                .or(Some(lines).filter(|lines| !lines.is_empty()))
                .map(RunEventKind::Thinking)
                .into_iter()
                .collect()
        }
        "agent_message" | "agentMessage" | "reasoning" => Vec::new(),
        "command_execution" | "commandExecution" => call(item, completed, "command", &["command"]),
        "file_change" | "fileChange" => call(item, completed, "file_change", &["changes"]),
        "mcp_tool_call" | "mcpToolCall" => {
            let name = format!("{}.{}", text(item, "server"), text(item, "tool"));
            call(item, completed, &name, &["arguments"])
        }
        "web_search" | "webSearch" => call(item, completed, "web_search", &["query"]),
        "error" => vec![RunEventKind::Notice { name: "error".to_owned(), raw: item.clone() }],
        "todo_list"
        | "userMessage"
        | "plan"
        | "hookPrompt"
        | "contextCompaction"
        | "imageView"
        | "enteredReviewMode"
        | "exitedReviewMode"
        | "collabAgentToolCall"
        | "dynamicToolCall"
        | "imageGeneration"
        | "sleep" => vec![RunEventKind::Notice { name: text(item, "type").to_owned(), raw: item.clone() }],
        _ => vec![RunEventKind::Unknown(item.clone())],
    }
}

fn call(item: &Value, completed: bool, name: &str, arguments: &[&str]) -> Vec<RunEventKind> {
    let id = text(item, "id").to_owned();
    if !completed {
        let input = arguments.iter().filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone())));
        return vec![RunEventKind::ToolUse {
            id,
            name: name.to_owned(),
            input: Value::Object(input.collect()),
        }];
    }
    let code = item.get("exit_code").or_else(|| item.get("exitCode")).and_then(Value::as_i64);
    let ok = matches!(text(item, "status"), "completed" | "") && code.unwrap_or(0) == 0;
    let output = ["aggregated_output", "aggregatedOutput"].iter().find_map(|name| optional_text(item, name));
    let answer = output.unwrap_or_else(|| match item.get("error").or_else(|| item.get("result")) {
        None | Some(Value::Null) => text(item, "status").to_owned(),
        Some(value) => value.to_string(),
    });
    vec![RunEventKind::ToolResult { tool_use_id: id, ok, text: answer }]
}

/// A request of the app server that waits for an answer.
pub(super) fn question(line: &Value, method: &str, params: &Value) -> RunEventKind {
    let Some(id) = super::id(line, "id") else { return RunEventKind::Unknown(line.clone()) };
    let tool = method.split('/').nth(1).unwrap_or(method).to_owned();
    let input = match optional_text(params, "command") {
        Some(command) => json!({ "command": command }),
        None => params.clone(),
    };
    let tool_use_id = optional_text(params, "itemId");
    RunEventKind::Question(Question { tool_use_id, ..Question::permission(id, tool, input) })
}
