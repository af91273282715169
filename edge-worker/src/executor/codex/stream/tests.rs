//! Nasty lines first, then the words of errors.

use serde_json::json;

use super::super::super::outcome::RunErrorKind;
use super::*;

fn kinds(line: &Value) -> Vec<RunEventKind> {
    read(&Line::Whole(line.to_string().into())).events.into_iter().map(|event| event.kind).collect()
}

#[test]
fn wrong_types_and_missing_fields_never_fail() {
    let fillers =
        [json!(null), json!(1), json!("x"), json!([]), json!([[1]]), json!({}), json!(true), json!(-1.5)];
    for filler in &fillers {
        for name in [
            "thread.started",
            "turn.completed",
            "turn.failed",
            "item.completed",
            "item.started",
            "error",
            "x",
        ] {
            kinds(
                &json!({"type": name, "item": filler, "error": filler, "usage": filler, "thread_id": filler, "message": filler}),
            );
        }
        for name in
            ["agent_message", "command_execution", "file_change", "mcp_tool_call", "reasoning", "todo_list"]
        {
            let item = json!({"type": name, "id": filler, "text": filler, "summary": filler, "status": filler, "error": filler});
            kinds(&json!({"type": "item.completed", "item": item}));
        }
        for name in [
            "thread/started",
            "turn/started",
            "turn/completed",
            "item/completed",
            "error",
            "a/requestApproval",
        ] {
            let params = json!({"turn": filler, "thread": filler, "item": filler, "error": filler, "threadId": filler});
            kinds(&json!({"method": name, "id": filler, "params": params}));
            kinds(&json!({"method": name, "params": filler}));
        }
        kinds(&json!({"type": filler}));
        kinds(&json!({"method": filler}));
        kinds(filler);
    }
    assert!(matches!(kinds(&json!([])).as_slice(), [RunEventKind::Unreadable { .. }]));
    assert!(matches!(kinds(&json!({"type": "hologram"})).as_slice(), [RunEventKind::Unknown(_)]));
    assert!(matches!(kinds(&json!({"method": "hologram/on"})).as_slice(), [RunEventKind::Unknown(_)]));
}

#[test]
fn a_reconnection_is_a_retry_and_another_error_is_not() {
    let retry = kinds(&json!({"type": "error", "message": "Reconnecting... 2/5 (unexpected status 500 x)"}));
    assert!(
        matches!(retry.as_slice(), [RunEventKind::Retry { attempt: 2, max: Some(5), status: Some(500), .. }]),
        "{retry:?}"
    );
    let will = kinds(&json!({"method": "error", "params": {"error": {"message": "x"}, "willRetry": true}}));
    assert!(matches!(will.as_slice(), [RunEventKind::Retry { attempt: 1, max: None, .. }]), "{will:?}");
    let error = kinds(&json!({"type": "error", "message": "unexpected status 401 Unauthorized: bad key"}));
    assert!(matches!(error.as_slice(), [RunEventKind::ApiError { status: Some(401), .. }]), "{error:?}");
}

#[test]
fn the_kind_of_an_error_is_found_in_its_words() {
    for (word, message, kind) in [
        ("", "unexpected status 401 Unauthorized: bad key, url: http://x", RunErrorKind::Authentication),
        ("unauthorized", "x", RunErrorKind::Authentication),
        ("", "You've hit your usage limit. Try again at 5 PM.", RunErrorKind::UsageLimit),
        ("", "exceeded retry limit, last status: 429 Too Many Requests", RunErrorKind::RateLimited),
        ("", "Quota exceeded. Check your plan and billing details.", RunErrorKind::Billing),
        (
            "",
            "We’re currently experiencing high demand, which may cause temporary errors.",
            RunErrorKind::ServerError,
        ),
        ("serverOverloaded", "x", RunErrorKind::Overloaded),
        ("", "Selected model is at capacity. Please try a different model.", RunErrorKind::Overloaded),
        ("other", "stream disconnected before completion", RunErrorKind::ServerError),
        ("", "Codex ran out of room in the model's context window.", RunErrorKind::InvalidRequest),
        ("", "something else", RunErrorKind::Execution),
    ] {
        assert_eq!(error_kind(Some(word), message), kind, "{word} {message}");
    }
}

#[test]
fn a_question_of_the_app_server_waits_for_its_id() {
    let asked = kinds(
        &json!({"method": "item/commandExecution/requestApproval", "id": 7, "params": {"itemId": "i", "command": "rm x"}}),
    );
    let [RunEventKind::Question(question)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((question.id.as_str(), question.tool.as_str()), ("7", "commandExecution"));
    assert!(question.text().contains("rm x"));
}
