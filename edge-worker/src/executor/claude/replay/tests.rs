//! Output recorded from the real program against a scripted model, with ids and paths replaced, and what each must mean.

use super::*;
use crate::executor::event::RunEventKind;
use crate::executor::outcome::{RunEnd, RunErrorKind};

fn recorded(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/claude/2.1.330/{name}.ndjson", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

fn judged(name: &str, exit: i32) -> RunOutcome {
    let outcome = replay(&recorded(name), Some(Exit::Code(exit)), 0).outcome;
    assert_eq!(outcome.unknown_lines, 0, "{name}");
    outcome
}

#[test]
fn recorded_runs_end_as_they_did() {
    let runs: &[(&str, i32, RunEnd, Option<RunErrorKind>)] = &[
        ("edit", 0, RunEnd::Completed, None),
        ("resumed", 0, RunEnd::Completed, None),
        ("two-turns", 0, RunEnd::Completed, None),
        ("steered", 0, RunEnd::Completed, None),
        ("denied", 0, RunEnd::Completed, None),
        ("error-529-then-fine", 0, RunEnd::Completed, None),
        ("interrupt-then-follow-up", 0, RunEnd::Completed, None),
        ("interrupt", 1, RunEnd::Stopped, None),
        ("error-401", 1, RunEnd::Failed, Some(RunErrorKind::Authentication)),
        ("error-529", 1, RunEnd::Failed, Some(RunErrorKind::Overloaded)),
        ("max-turns", 1, RunEnd::Failed, Some(RunErrorKind::MaxTurns)),
        ("resume-unknown", 1, RunEnd::Failed, Some(RunErrorKind::UnknownConversation)),
        ("sigterm", 143, RunEnd::Failed, Some(RunErrorKind::NoResult)),
    ];
    for (name, exit, end, error) in runs {
        let outcome = judged(name, *exit);
        assert_eq!(
            (outcome.end, outcome.error.as_ref().map(|error| error.kind)),
            (*end, *error),
            "{name}: {outcome:?}"
        );
    }
}

#[test]
fn an_edit_tells_its_words_tools_tokens_and_cost() {
    let replay = replay(&recorded("edit"), Some(Exit::Code(0)), 0);
    let outcome = replay.outcome;
    assert_eq!(outcome.result_text.as_deref(), Some("Done: hello.txt is committed."));
    assert_eq!((outcome.turns, outcome.version.as_deref()), (3, Some("2.1.330")));
    assert!(outcome.cost_micro_usd.unwrap() > 0 && outcome.tokens.output == 75);
    assert_eq!(outcome.unpriced_tokens, crate::executor::Tokens::default());
    let live: u64 = replay
        .events
        .iter()
        .map(|event| if let RunEventKind::Usage(tokens) = &event.kind { tokens.output } else { 0 })
        .sum();
    assert_eq!(live, 75);
    let tools: Vec<&str> = replay
        .events
        .iter()
        .filter_map(|event| {
            if let RunEventKind::ToolUse { name, .. } = &event.kind { Some(name.as_str()) } else { None }
        })
        .collect();
    assert_eq!(tools, ["Write", "Bash"]);
    assert!(
        replay.events.iter().any(|event| event.kind == RunEventKind::Thinking("A file is wanted.".into()))
    );
    assert!(
        !replay.events.iter().any(|event| matches!(event.kind, RunEventKind::ToolResult { ok: false, .. }))
    );
}

#[test]
fn a_resumed_run_costs_only_its_own_part() {
    let first = judged("edit", 0);
    let resumed = judged("resumed", 0);
    assert_eq!(first.executor_session_id.is_some(), resumed.executor_session_id.is_some());
    assert!(resumed.cost_micro_usd.unwrap() < first.cost_micro_usd.unwrap());
}

#[test]
fn two_turns_are_added_up() {
    let outcome = judged("two-turns", 0);
    assert_eq!((outcome.results, outcome.turns, outcome.tokens.output), (2, 2, 50));
    assert_eq!(outcome.result_text.as_deref(), Some("Two."));
}

#[test]
fn a_refused_tool_is_told_and_counted() {
    let replay = replay(&recorded("denied"), Some(Exit::Code(0)), 0);
    assert_eq!(replay.outcome.denials, 1);
    assert!(
        replay
            .events
            .iter()
            .any(|event| matches!(&event.kind, RunEventKind::Denied { tool, .. } if tool == "WebFetch"))
    );
}

#[test]
fn output_cut_anywhere_is_never_a_success() {
    let whole = recorded("edit");
    let last_line = whole.iter().rposition(|byte| *byte == b'}').unwrap();
    let result_end = String::from_utf8_lossy(&whole).find("\"type\":\"result\"").unwrap();
    for cut in (0..result_end).step_by(97) {
        let outcome = replay(&whole[..cut], Some(Exit::Code(0)), 0).outcome;
        assert_eq!(outcome.end, RunEnd::Failed, "cut at {cut}");
    }
    assert_eq!(replay(&whole[..=last_line], Some(Exit::Code(0)), 0).outcome.end, RunEnd::Completed);
}

#[test]
fn nasty_lines_between_the_good_ones_change_nothing() {
    let mut noisy = Vec::new();
    for line in recorded("edit").split(|byte| *byte == b'\n') {
        noisy.extend_from_slice(line);
        noisy.extend_from_slice(
            b"\n\xff\xfe not utf-8\n{\"type\":\"from_the_future\",\"a\":[{}]}\n[[[[\n{}\n\n",
        );
    }
    let quiet = judged("edit", 0);
    let mut heard = replay(&noisy, Some(Exit::Code(0)), 0).outcome;
    assert!(heard.unknown_lines > 100);
    heard.unknown_lines = 0;
    assert_eq!(heard, quiet);
}
