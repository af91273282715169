//! What recorded threads must mean.

use serde_json::json;

use super::*;
use crate::executor::outcome::RunErrorKind;

fn lines(values: &[Value]) -> Vec<u8> {
    values.iter().map(|value| format!("{value}\n")).collect::<String>().into_bytes()
}

fn usage(input: u64, output: u64) -> Value {
    json!({"type": "turn.completed", "usage": {"input_tokens": input, "cached_input_tokens": input / 3, "output_tokens": output}})
}

fn thread() -> Value {
    json!({"type": "thread.started", "thread_id": "t-1"})
}

fn says(words: &str) -> Value {
    json!({"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": words}})
}

#[test]
fn a_thread_ends_as_its_last_turn_does() {
    let begun = json!({"type": "turn.started"});
    let failed =
        json!({"type": "turn.failed", "error": {"message": "unexpected status 401 Unauthorized: x"}});
    for (values, outcome, turns, kind) in [
        (vec![thread(), begun.clone(), says("done"), usage(3, 1)], Verdict::Completed, 1, None),
        (vec![thread(), begun.clone(), failed], Verdict::Failed, 1, Some(RunErrorKind::Authentication)),
        (vec![thread(), begun.clone(), says("cut")], Verdict::NoResult, 0, Some(RunErrorKind::NoResult)),
        (
            vec![thread(), begun.clone(), usage(3, 1), begun],
            Verdict::NoResult,
            1,
            Some(RunErrorKind::NoResult),
        ),
        (vec![], Verdict::NoResult, 0, Some(RunErrorKind::NoResult)),
    ] {
        let told = Files::default().judge(&lines(&values));
        let error = told.error.as_ref().map(|error| error.kind);
        assert_eq!(
            (told.outcome, told.turns, error, told.unknown_lines),
            (outcome, turns, kind, 0),
            "{told:?}"
        );
        assert_eq!(told.cost_micro_usd, None);
    }
}

#[test]
fn a_resumed_thread_counts_its_own_tokens() {
    let first = replay(&lines(&[thread(), usage(240, 60)]), Tokens::default());
    let second = replay(&lines(&[thread(), usage(360, 90)]), first.thread_tokens.unwrap());
    assert_eq!((first.outcome.tokens.input, first.outcome.tokens.cache_read), (160, 80));
    assert_eq!((second.outcome.tokens.input, second.outcome.tokens.output), (80, 30));
}

#[test]
fn the_app_server_tells_interrupts_and_questions() {
    let turn = |status: &str| json!({"method": "turn/completed", "params": {"turn": {"status": status, "error": {"message": "boom"}}}});
    let start = json!({"dir": "in", "line": {"method": "turn/start", "id": 4, "params": {}}});
    let ask =
        json!({"dir": "out", "line": {"method": "item/fileChange/requestApproval", "id": 9, "params": {}}});
    let answer = json!({"dir": "in", "line": {"id": 9, "result": {"decision": "accept"}}});
    for (values, outcome) in [
        (vec![turn("completed")], Verdict::Completed),
        (vec![turn("completed"), turn("interrupted")], Verdict::Stopped),
        (vec![turn("failed")], Verdict::Failed),
        (vec![turn("completed"), start.clone()], Verdict::NoResult),
        (vec![start.clone(), ask.clone()], Verdict::AwaitingInput),
        (vec![start, ask, answer], Verdict::NoResult),
    ] {
        let told = Files::default().judge(&lines(&values));
        assert_eq!(told.outcome, outcome, "{values:?}");
    }
}
