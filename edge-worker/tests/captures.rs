//! Recorded output of real agents, and what each recording must mean: those of this repository, and others where
//! there are some, in the folder that `CYRUS_CAPTURES` names or in `../shared/contracts/captures` beside the repository.
//!
//! Then what no program writes and a disk can hold: very long lines, binary ones, anything at all.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says by a panic what does not hold")]

use std::path::{Path, PathBuf};

use edge_worker::executor::RunErrorKind::{
    Authentication, InvalidRequest, MaxBudget, MaxTurns, NoResult, Overloaded, ServerError,
    UnknownConversation, UsageLimit,
};
use edge_worker::executor::replayed::Replayed;
use edge_worker::executor::replayed::Verdict::{self, Completed, Failed, Stopped};
use edge_worker::executor::{RunErrorKind, claude, codex};
use proptest::prelude::*;

/// A file's name, outcome, kind of error, turns and cost in millionths of a US dollar.
type Row = (&'static str, Verdict, Option<RunErrorKind>, u64, u64);

/// Recordings of this repository.
const OWN: &[Row] = &[
    ("background", Completed, None, 3, 153_680),
    ("denied", Completed, None, 2, 107_336),
    ("edit", Completed, None, 3, 161_992),
    ("error-401", Failed, Some(Authentication), 1, 0),
    ("error-529", Failed, Some(Overloaded), 1, 0),
    ("error-529-then-fine", Completed, None, 2, 106_432),
    ("interrupt", Stopped, None, 3, 53_192),
    ("interrupt-then-follow-up", Completed, None, 4, 107_432),
    ("json-array-forked", Completed, None, 1, 50_756),
    ("json-resumed", Completed, None, 1, 50_484),
    ("max-turns", Failed, Some(MaxTurns), 2, 53_136),
    ("question", Completed, None, 2, 110_856),
    ("question-open", Verdict::AwaitingInput, None, 0, 0),
    ("resume-unknown", Failed, Some(UnknownConversation), 0, 0),
    ("resumed", Completed, None, 1, 54_812),
    ("sigterm", Verdict::NoResult, Some(NoResult), 0, 0),
    ("steered", Completed, None, 2, 107_052),
    ("two-turns", Completed, None, 2, 106_252),
    ("usage-limit", Failed, Some(UsageLimit), 1, 0),
];

/// Recordings of `claude` 2.1.330 that lie elsewhere.
const CLAUDE: &[Row] = &[
    ("api-timeout", Failed, Some(ServerError), 1, 0),
    ("basic", Completed, None, 3, 152_568),
    ("bg-agent-disabled", Completed, None, 2, 202_792),
    ("bg-bash-default", Completed, None, 3, 154_228),
    ("bg-bash-disabled", Completed, None, 2, 99_064),
    ("continue", Completed, None, 1, 50_708),
    ("denied", Completed, None, 3, 153_564),
    ("edit", Completed, None, 4, 205_916),
    ("err400", Failed, Some(InvalidRequest), 1, 0),
    ("err401", Failed, Some(Authentication), 0, 0),
    ("err500", Failed, Some(ServerError), 1, 0),
    ("err529", Failed, Some(Overloaded), 1, 0),
    ("fork", Completed, None, 1, 50_848),
    ("input-control", Verdict::NoResult, Some(NoResult), 0, 0),
    ("input-interrupt", Completed, None, 3, 102_788),
    ("input-interrupt-bash", Stopped, None, 3, 50_540),
    ("input-multi", Completed, None, 4, 203_616),
    ("input-permission", Completed, None, 3, 166_856),
    ("json-output", Completed, None, 1, 50_424),
    ("max-budget", Failed, Some(MaxBudget), 3, 152_868),
    ("max-turns", Failed, Some(MaxTurns), 3, 101_336),
    ("mcp", Completed, None, 2, 102_588),
    ("nokey", Failed, Some(Authentication), 1, 0),
    ("partial", Completed, None, 2, 101_900),
    ("permission-mcp", Completed, None, 3, 168_716),
    ("resume", Completed, None, 1, 50_568),
    ("sessionid", Completed, None, 1, 50_428),
    ("sigint", Stopped, None, 3, 50_560),
    ("sigkill", Verdict::NoResult, Some(NoResult), 0, 0),
    ("sigterm", Verdict::NoResult, Some(NoResult), 0, 0),
    ("stdin-close", Completed, None, 2, 101_352),
    ("subagent", Completed, None, 3, 250_096),
];

/// Recordings of `codex` 0.169.0 that lie elsewhere.
const CODEX: &[Row] = &[
    ("codex-appserver", Stopped, None, 2, 0),
    ("codex-stream-basic", Completed, None, 1, 0),
    ("codex-stream-err401", Failed, Some(Authentication), 1, 0),
    ("codex-stream-err500", Failed, Some(ServerError), 1, 0),
    ("codex-stream-patch", Completed, None, 1, 0),
    ("codex-stream-readonly", Completed, None, 1, 0),
    ("codex-stream-resume", Completed, None, 1, 0),
    ("codex-stream-sandbox", Completed, None, 1, 0),
];

fn elsewhere() -> Option<PathBuf> {
    let named = std::env::var_os("CYRUS_CAPTURES").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/contracts/captures");
    let folder = named.unwrap_or(beside);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no recordings at {}; CYRUS_CAPTURES names another folder", folder.display());
    None
}

fn check(row: &Row, told: &Replayed) {
    let (name, outcome, error, turns, _) = *row;
    let kind = told.error.as_ref().map(|error| error.kind);
    assert_eq!((told.outcome, kind, told.turns), (outcome, error, turns), "{name}: {told:?}");
    assert_eq!(told.unknown_lines, 0, "{name}");
    assert!(told.session_id.is_some(), "{name}");
}

/// The files of a folder that begin so and are in no row.
fn strangers(folder: &Path, begin: &str, rows: &[Row]) -> Vec<String> {
    let files =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let stem = |name: &String| name.trim_start_matches(begin).trim_end_matches(".ndjson").to_owned();
    files
        .filter(|name| {
            name.starts_with(begin)
                && !rows.iter().any(|row| row.0 == stem(name) || row.0 == name.trim_end_matches(".ndjson"))
        })
        .collect()
}

#[test]
fn recordings_of_this_repository_end_as_they_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude/2.1.330");
    for row in OWN {
        let told = claude::replay::Files::default()
            .judge(&std::fs::read(folder.join(format!("{}.ndjson", row.0))).unwrap());
        check(row, &told);
        assert_eq!(told.cost_micro_usd, Some(row.4), "{}", row.0);
    }
    assert_eq!(strangers(&folder, "", OWN), Vec::<String>::new(), "recordings without a row");
}

#[test]
fn recordings_of_claude_that_lie_elsewhere_end_as_they_did() {
    let Some(folder) = elsewhere() else { return };
    let mut files = claude::replay::Files::default();
    for row in CLAUDE {
        let bytes = std::fs::read(folder.join(format!("claude-stream-{}.ndjson", row.0))).unwrap();
        for told in [claude::replay::Files::default().judge(&bytes), files.judge(&bytes)] {
            check(row, &told);
            assert_eq!(told.cost_micro_usd, Some(row.4), "{}", row.0);
        }
    }
    for name in strangers(&folder, "claude-stream-", CLAUDE) {
        let told = claude::replay::Files::default().judge(&std::fs::read(folder.join(&name)).unwrap());
        println!("no row for {name}: {told:?}");
    }
}

#[test]
fn recordings_of_codex_that_lie_elsewhere_end_as_they_did() {
    let Some(folder) = elsewhere() else { return };
    for row in CODEX {
        let told = codex::replay::Files::default()
            .judge(&std::fs::read(folder.join(format!("{}.ndjson", row.0))).unwrap());
        check(row, &told);
        assert_eq!(told.cost_micro_usd, None, "{}", row.0);
    }
}

const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s-1","model":"m"}"#;
const GOOD: &str = r#"{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":1,"total_cost_usd":0.5,"session_id":"s-1"}"#;

fn judged(text: impl AsRef<[u8]>) -> Replayed {
    claude::replay::Files::default().judge(text.as_ref())
}

#[test]
fn very_long_and_binary_lines_are_survived_and_the_next_line_is_read() {
    let long = format!(
        r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","tool_use_id":"t","content":"{}"}}]}}}}"#,
        "x".repeat(20_000_000)
    );
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).filter(|byte| *byte != b'\n').collect();
    let stream = [INIT.as_bytes(), long.as_bytes(), &binary, GOOD.as_bytes(), b""].join(&b'\n');
    let told = judged(stream);
    assert_eq!((told.outcome, told.turns, told.unknown_lines), (Completed, 1, 2), "{told:?}");
}

#[test]
fn unknown_kinds_pass_and_are_counted_a_line_each() {
    let strange = concat!(
        r#"{"type":"hologram","is_error":true}"#,
        "\n",
        r#"{"type":"system","subtype":"hologram"}"#,
        "\n",
        r#"{"type":"assistant","message":{"content":[{"type":"hologram"},{"type":"text","text":"x"},{"type":"beam"}]}}"#,
    );
    let told = judged(format!("{INIT}\n{strange}\n{GOOD}\n"));
    assert_eq!((told.outcome, told.unknown_lines), (Completed, 3));
}

#[test]
fn the_last_turn_decides_and_an_open_one_is_no_result() {
    let bad = r#"{"type":"result","subtype":"success","is_error":true,"result":"API Error: 500","num_turns":1,"api_error_status":500}"#;
    let more = GOOD.replace("\"num_turns\":1", "\"num_turns\":1,\"queued_turn_count\":1");
    let prompt = r#"{"dir":"in","line":{"type":"user","message":{"role":"user","content":"x"}}}"#;
    let ask = r#"{"type":"control_request","request_id":"q","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"x"},"tool_use_id":"t"}}"#;
    let reply = r#"{"dir":"in","line":{"type":"control_response","response":{"subtype":"success","request_id":"q","response":{"behavior":"allow"}}}}"#;
    let answer =
        r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":"x"}]}}"#;
    let waits = r#"{"type":"system","subtype":"session_state_changed","state":"requires_action"}"#;
    let cancel = r#"{"type":"control_cancel_request","request_id":"q"}"#;
    for (lines, outcome) in [
        (vec![INIT, GOOD, INIT, bad], Failed),
        (vec![INIT, bad, INIT, GOOD], Completed),
        (vec![INIT, GOOD, INIT], Verdict::NoResult),
        (vec![INIT, GOOD, prompt], Verdict::NoResult),
        (vec![INIT, more.as_str()], Verdict::NoResult),
        (vec![INIT, more.as_str(), INIT, GOOD], Completed),
        (vec![INIT, ask], Verdict::AwaitingInput),
        (vec![INIT, ask, reply], Verdict::NoResult),
        (vec![INIT, ask, answer], Verdict::NoResult),
        (vec![INIT, ask, cancel], Verdict::NoResult),
        (vec![INIT, ask, answer, GOOD], Completed),
        (vec![INIT, waits], Verdict::AwaitingInput),
        (vec![INIT, waits, answer], Verdict::NoResult),
        (vec![INIT, waits, GOOD], Completed),
        (vec![], Verdict::NoResult),
        (vec![GOOD], Completed),
    ] {
        let told = judged(lines.join("\n"));
        assert_eq!(told.outcome, outcome, "{lines:#?}: {told:?}");
    }
}

#[test]
fn one_object_one_array_and_a_cut_array_are_read_as_messages() {
    let pretty =
        serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(GOOD).unwrap()).unwrap();
    for text in [GOOD.to_owned(), pretty, format!("[{INIT},{GOOD}]"), format!("[\n{INIT},\n{GOOD}\n]\n")] {
        assert_eq!(
            (judged(&text).outcome, judged(&text).cost_micro_usd),
            (Completed, Some(500_000)),
            "{text}"
        );
    }
    let cut = format!("[{INIT},{}", GOOD.get(..60).unwrap());
    assert_eq!((judged(&cut).outcome, judged(&cut).unknown_lines), (Verdict::NoResult, 1));
}

#[test]
fn a_sum_without_a_difference_is_taken_apart_by_the_files_before() {
    let mut files = claude::replay::Files::default();
    let resumed = GOOD.replace("0.5", "0.75");
    assert_eq!(files.judge(GOOD.as_bytes()).cost_micro_usd, Some(500_000));
    assert_eq!(files.judge(resumed.as_bytes()).cost_micro_usd, Some(250_000));
    let other = resumed.replace("s-1", "s-2");
    assert_eq!(files.judge(other.as_bytes()).cost_micro_usd, Some(750_000));
}

#[test]
fn a_sum_alone_is_taken_apart_by_tokens() {
    let result = |total: f64, tokens: (u64, u64), own: (u64, u64), more: &str| {
        format!(
            r#"{{"type":"result","is_error":false,"total_cost_usd":{total},"session_id":"s","usage":{{"input_tokens":{},"output_tokens":{}}},"modelUsage":{{"m":{{"inputTokens":{},"outputTokens":{},"costUSD":{total}}}{more}}}}}"#,
            own.0, own.1, tokens.0, tokens.1
        )
    };
    for (text, cost) in [
        (result(0.050_352, (12_463, 25), (12_463, 25), ""), 50_352),
        (result(0.100_836, (24_959, 50), (12_496, 25), ""), 50_484),
        (result(0.151_456, (37_489, 75), (12_530, 25), ""), 50_620),
        // Of two models nobody can tell whose the turn's tokens are.
        (result(0.1, (24_959, 50), (12_496, 25), r#","n":{}"#), 100_000),
    ] {
        assert_eq!(judged(&text).cost_micro_usd, Some(cost), "{text}");
        assert_eq!(judged(format!("[{INIT},{text}]")).cost_micro_usd, Some(cost), "{text}");
    }
}

#[test]
fn a_killed_run_costs_what_it_said_last() {
    let usage = r#"{"type":"control_response","response":{"subtype":"success","request_id":"u","response":{"session":{"total_cost_usd":0.8}}}}"#;
    let told = judged(format!("{INIT}\n{GOOD}\n{INIT}\n{usage}\n"));
    assert_eq!((told.outcome, told.cost_micro_usd), (Verdict::NoResult, Some(800_000)));
}

/// Lines that look like what an agent writes, with anything in the fields.
fn almost() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "system",
        "assistant",
        "user",
        "result",
        "stream_event",
        "control_request",
        "control_response",
        "rate_limit_event",
        "command_lifecycle",
        "turn.completed",
        "item.completed",
        "thread.started",
        "error",
        "init",
        "can_use_tool",
        "turn/completed",
        "item/completed",
        "",
        "x",
    ]);
    let filler = prop::sample::select(vec![
        "null",
        "0",
        "-1",
        "1e300",
        "\"\"",
        "\"AskUserQuestion\"",
        "[]",
        "[1,{}]",
        "{}",
        "true",
        "{\"content\":[{\"type\":\"text\"}]}",
        "{\"subtype\":\"can_use_tool\",\"tool_name\":\"x\"}",
        "{\"id\":1,\"type\":\"reasoning\"}",
    ]);
    let name = prop::sample::select(vec![
        "subtype",
        "message",
        "request",
        "response",
        "event",
        "rate_limit_info",
        "item",
        "error",
        "params",
        "usage",
        "session_id",
        "total_cost_usd",
        "num_turns",
        "result_index",
        "queued_turn_count",
        "request_id",
        "dir",
        "line",
    ]);
    let kind = prop::sample::select(vec!["type", "method"]);
    (kind, word, prop::collection::vec((name, filler), 0..5)).prop_map(|(kind, word, fields)| {
        let fields: String = fields.iter().map(|(name, filler)| format!(",\"{name}\":{filler}")).collect();
        format!("{{\"{kind}\":\"{word}\"{fields}}}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let told = judged(&bytes);
        prop_assert_ne!(told.outcome, Completed);
        codex::replay::Files::default().judge(&bytes);
    }

    #[test]
    fn almost_right_lines_are_judged(lines in prop::collection::vec(almost(), 0..20), cut in 0_usize..400) {
        let text = lines.join("\n");
        let text = text.get(..text.len().saturating_sub(cut)).unwrap_or(&text);
        for bytes in [text.to_owned(), format!("[{}]", lines.join(","))] {
            let told = judged(&bytes);
            // A run that says nothing good has not succeeded.
            prop_assert!(told.outcome != Completed || bytes.contains("\"result\""), "{:?}", told);
            codex::replay::Files::default().judge(bytes.as_bytes());
        }
    }
}
