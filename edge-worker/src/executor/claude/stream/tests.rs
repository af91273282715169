//! Nasty lines first, then what each known line becomes.

use serde_json::json;

use super::*;

fn read_text(line: impl AsRef<[u8]>) -> Vec<RunEventKind> {
    let line = Line::Whole(line.as_ref().to_vec().into());
    read(&line).into_iter().map(|event| event.kind).collect()
}

fn read_value(value: Value) -> Vec<RunEventKind> {
    read_text(value.to_string())
}

#[test]
fn lines_that_are_no_json_object_become_unreadable_events() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    let lines: [&[u8]; 11] = [
        b"not json",
        b"{\"type\":\"result\"",
        b"[]",
        b"null",
        b"\"text\"",
        b"1e400",
        b"{\"type\":\"result\",\"total_cost_usd\":1e400}",
        b"\0\0\0",
        b"\xff\xfe\xfd",
        deep.as_bytes(),
        deep_object.as_bytes(),
    ];
    for line in lines {
        let events = read_text(line);
        let shown = String::from_utf8_lossy(line.get(..40.min(line.len())).unwrap()).into_owned();
        assert!(matches!(events.as_slice(), [RunEventKind::Unreadable { .. }]), "{shown}: {events:?}");
    }
}

#[test]
fn an_over_long_line_says_so() {
    let events = read(&Line::TooLong { limit: 7 });
    let [RunEvent { kind: RunEventKind::Unreadable { reason, .. }, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(reason, "longer than 7 bytes");
}

#[test]
fn a_broken_character_does_not_cost_the_line() {
    let line =
        b"{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\xffb\"}]}}";
    assert_eq!(read_text(line), [RunEventKind::Text("a\u{fffd}b".into())]);
}

#[test]
fn an_unknown_type_keeps_the_whole_line() {
    let value = json!({"type": "hologram", "x": [1, {"y": null}]});
    assert_eq!(read_value(value.clone()), [RunEventKind::Unknown(value)]);
    let untyped = json!({"x": 1});
    assert_eq!(read_value(untyped.clone()), [RunEventKind::Unknown(untyped)]);
}

#[test]
fn an_unknown_block_keeps_the_block_and_its_neighbours() {
    let strange = json!({"type": "hologram", "beam": 3});
    let line =
        json!({"type": "assistant", "message": {"content": [strange, {"type": "text", "text": "hi"}]}});
    assert_eq!(read_value(line), [RunEventKind::Unknown(strange), RunEventKind::Text("hi".into())]);
}

#[test]
fn wrong_types_and_missing_fields_never_fail() {
    for name in
        ["system", "assistant", "user", "result", "stream_event", "command_lifecycle", "control_response"]
    {
        for filler in
            [json!(null), json!(1), json!("x"), json!([]), json!([[1]]), json!({}), json!(true), json!(-1.5)]
        {
            let line = json!({
                "type": name, "subtype": filler, "message": filler, "event": filler, "content": filler, "tools": filler,
                "mcp_servers": filler, "is_error": filler, "errors": filler, "usage": filler, "total_cost_usd": filler,
                "model_usage_since_last_result": filler, "num_turns": filler, "command_uuid": filler,
                "parent_tool_use_id": filler, "session_id": filler, "error": filler,
            });
            let nested = json!({"type": name, "message": {"content": filler}, "event": {"type": "message_delta", "usage": filler}});
            read_value(line);
            read_value(nested);
        }
        assert!(!read_value(json!({"type": name})).is_empty(), "{name}");
    }
}

#[test]
fn a_result_without_a_verdict_is_not_ok() {
    for verdict in
        [json!({}), json!({"is_error": null}), json!({"is_error": "false"}), json!({"is_error": 0})]
    {
        let mut line = verdict;
        line["type"] = json!("result");
        line["subtype"] = json!("success");
        let events = read_value(line);
        assert!(matches!(events.as_slice(), [RunEventKind::Result(result)] if !result.ok), "{events:?}");
    }
}

#[test]
fn a_line_of_a_megabyte_is_read() {
    let words = "x".repeat(1_000_000);
    let line = json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t", "content": words}]}});
    let events = read_value(line);
    assert!(
        matches!(events.as_slice(), [RunEventKind::ToolResult { text, ok: true, .. }] if text.len() == 1_000_000)
    );
}

#[test]
fn a_tool_answer_may_be_a_list_of_blocks() {
    let content =
        json!([{"type": "text", "text": "one"}, {"type": "image"}, {"type": "text", "text": "two"}]);
    let block = json!({"type": "tool_result", "tool_use_id": "t", "is_error": true, "content": content});
    let line = json!({"type": "user", "parent_tool_use_id": "toolu_9", "message": {"content": [block]}});
    let events = read(&Line::Whole(line.to_string().into()));
    assert_eq!(events[0].parent_tool_use_id.as_deref(), Some("toolu_9"));
    assert_eq!(
        events[0].kind,
        RunEventKind::ToolResult { tool_use_id: "t".into(), ok: false, text: "one\n[image]\ntwo".into() }
    );
}

#[test]
fn money_is_counted_in_whole_millionths_over_all_models() {
    let models = json!({"a": {"costUSD": 0.0504319, "inputTokens": 3}, "b": {"costUSD": 0.1, "outputTokens": 4.0}, "c": 7, "d": {"costUSD": -1}});
    let line = json!({"type": "result", "is_error": false, "model_usage_since_last_result": models, "total_cost_usd": 0.3});
    let events = read_value(line);
    let [RunEventKind::Result(result)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(result.cost_micro_usd, Some(150_432));
    assert_eq!(result.total_cost_micro_usd, Some(300_000));
    assert_eq!(result.tokens, Some(Tokens { input: 3, output: 4, ..Tokens::default() }));
}

#[test]
fn partial_messages_give_token_counts_only() {
    let delta =
        json!({"type": "stream_event", "event": {"type": "content_block_delta", "delta": {"text": "x"}}});
    assert_eq!(read_value(delta), []);
    let end = json!({"type": "stream_event", "event": {"type": "message_delta", "usage": {"input_tokens": 5, "output_tokens": 6, "cache_read_input_tokens": 7}}});
    assert_eq!(
        read_value(end),
        [RunEventKind::Usage(Tokens { input: 5, output: 6, cache_read: 7, cache_write: 0 })]
    );
}

#[test]
fn a_result_that_was_cut_inside_an_emoji_is_still_a_result() {
    let events =
        read_text(r#"{"type":"result","subtype":"success","is_error":false,"result":"done \ud83d"}"#);
    assert!(
        matches!(events.as_slice(), [RunEventKind::Result(result)] if result.ok && result.text.as_deref() == Some("done \u{fffd}")),
        "{events:?}"
    );
}
