//! The scripted model over HTTP: scripts, errors, streams, counts.

use serde_json::{Value, json};
use testkit::model::{ModelHandle, ScriptedModel};

use crate::http;

async fn start() -> ModelHandle {
    ScriptedModel::start(0).await.expect("a free port")
}

async fn send(model: &ModelHandle, body: &Value) -> reqwest::Response {
    http()
        .post(format!("{}/v1/messages?beta=true", model.url()))
        .header("x-claude-code-session-id", "one")
        .json(body)
        .send()
        .await
        .expect("an answer")
}

fn prompt(script: &Value, answered: usize) -> Value {
    let mut messages = vec![json!({"role": "user", "content": format!("Do it. <<SCRIPT {script} SCRIPT>>")})];
    for _ in 0..answered {
        messages.push(json!({"role": "assistant", "content": [{"type": "text", "text": "…"}]}));
        messages.push(
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}),
        );
    }
    json!({"model": "m", "system": "Working directory: /w", "tools": [{"name": "Write"}], "messages": messages})
}

#[tokio::test]
async fn a_script_is_followed_step_by_step_and_its_last_step_repeats() {
    let model = start().await;
    let script = json!([
        {"text": "a", "tools": [{"name": "Write", "input": {"file_path": "$CWD/a"}}], "usage": {"output_tokens": 7}},
        {"text": "b", "stop_reason": "max_tokens"}]);
    let first: Value = send(&model, &prompt(&script, 0)).await.json().await.expect("JSON");
    assert_eq!(first["content"][1]["input"], json!({"file_path": "/w/a"}));
    assert_eq!((&first["stop_reason"], &first["usage"]["output_tokens"]), (&json!("tool_use"), &json!(7)));
    for answered in [1, 5] {
        let later: Value = send(&model, &prompt(&script, answered)).await.json().await.expect("JSON");
        assert_eq!(
            (&later["content"][0]["text"], &later["stop_reason"]),
            (&json!("b"), &json!("max_tokens"))
        );
    }
    let counts: Value = http()
        .get(format!("{}/_test/requests", model.url()))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(counts, json!({"requests": 3, "runs": 1, "bySession": {"one": 3}}));
}

#[tokio::test]
async fn a_scripted_error_is_served_so_many_times_and_then_the_step() {
    let model = start().await;
    let script =
        json!([{"text": "ok", "http": 529, "error_type": "overloaded_error", "retry_after": 1, "times": 2}]);
    for _ in 0..2 {
        let refused = send(&model, &prompt(&script, 0)).await;
        assert_eq!(
            (refused.status().as_u16(), refused.headers()["retry-after"].to_str().ok()),
            (529, Some("1"))
        );
        assert_eq!(refused.json::<Value>().await.expect("JSON")["error"]["type"], "overloaded_error");
    }
    assert!(send(&model, &prompt(&script, 0)).await.status().is_success());
}

#[tokio::test]
async fn a_stream_ends_with_message_stop_and_a_dropped_one_breaks() {
    let model = start().await;
    let mut whole = prompt(&json!([{"text": "hello"}]), 0);
    whole["stream"] = true.into();
    let answer = send(&model, &whole).await;
    assert!(
        answer.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/event-stream"))
    );
    let text = answer.text().await.expect("a whole stream");
    assert!(
        text.starts_with("event: message_start\ndata: {") && text.contains("event: message_stop\n"),
        "{text}"
    );
    let mut dropped = prompt(&json!([{"text": "hello", "drop": true}]), 0);
    dropped["stream"] = true.into();
    assert!(send(&model, &dropped).await.text().await.is_err());
}

#[tokio::test]
async fn requests_without_tools_and_side_paths_are_answered() {
    let model = start().await;
    let title = json!({"model": "m", "messages": [{"role": "user", "content": "A title for: ENG-1"}]});
    let answer: Value = send(&model, &title).await.json().await.expect("JSON");
    assert_eq!(answer["content"], json!([{"type": "text", "text": "OK."}]));
    let count: Value = http()
        .post(format!("{}/v1/messages/count_tokens", model.url()))
        .json(&title)
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert!(count["input_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
    assert!(
        http()
            .get(format!("{}/v1/models", model.url()))
            .send()
            .await
            .expect("an answer")
            .status()
            .is_success()
    );
    assert!(http().head(model.url()).send().await.expect("an answer").status().is_success());
    let unknown = http().get(format!("{}/v1/nothing", model.url())).send().await.expect("an answer");
    assert_eq!(unknown.status(), 404);
}

#[tokio::test]
async fn broken_requests_are_refused_and_the_stand_in_lives_on() {
    let model = start().await;
    let bad_script = prompt(&json!("no steps"), 0);
    for body in [bad_script.to_string(), "{".to_owned(), "\u{0}".to_owned()] {
        let answer =
            http().post(format!("{}/v1/messages", model.url())).body(body).send().await.expect("an answer");
        assert_eq!(answer.status(), 400);
    }
    for odd in
        [json!(null), json!({"messages": 3, "tools": "x"}), json!({"messages": [null, {"role": "user"}]})]
    {
        assert!(send(&model, &odd).await.status().is_success(), "{odd}");
    }
}
