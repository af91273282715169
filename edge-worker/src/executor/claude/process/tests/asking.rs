//! What the real program asks and is told: questions, leave for tools, tool servers, the cost in the middle of a turn.

use serde_json::{Value, json};

use super::real::{Real, bash};
use super::*;
use crate::executor::question::{Decision, Question, QuestionKind};
use crate::executor::spec::Ask;

/// The next question, at most 20 s from now.
pub(super) async fn question(run: &mut Run) -> Question {
    let search = async {
        while let Some(event) = run.next_event().await {
            if let RunEventKind::Question(question) = event.kind {
                return Some(question);
            }
        }
        None
    };
    tokio::time::timeout(Duration::from_secs(20), search).await.unwrap().expect("the run asks")
}

fn asks() -> Value {
    let options = json!([{"label": "Postgres", "description": "a server"}, {"label": "SQLite", "description": "a file"}]);
    let questions =
        json!([{"question": "Which store?", "header": "Store", "options": options, "multiSelect": false}]);
    json!({"tools": [{"name": "AskUserQuestion", "input": {"questions": questions}}]})
}

fn results(events: &[RunEventKind]) -> Vec<(bool, &str)> {
    let result = |event| match event {
        &RunEventKind::ToolResult { ok, ref text, .. } => Some((ok, text.as_str())),
        _ => None,
    };
    events.iter().filter_map(result).collect()
}

#[tokio::test]
async fn a_question_of_the_real_program_waits_for_its_answer() {
    let Some(real) = Real::new().await else { return };
    let mut spec = real.spec("Ask.", &json!([asks(), {"text": "fin"}]));
    spec.permissions.ask = Ask::Questions;
    let mut run = real.start(spec).await;
    let asked = question(&mut run).await;
    assert_eq!(
        (asked.kind, asked.choices()),
        (QuestionKind::Choice, vec!["Postgres".into(), "SQLite".into()])
    );
    assert!(asked.text().starts_with("Which store?\n1. Postgres: a server"), "{}", asked.text());
    let control = run.control();
    control.answer(&asked.id, asked.decide("2")).await.unwrap();
    assert!(matches!(control.answer(&asked.id, Decision::Allow).await, Err(ExecutorError::NoQuestion)));
    let (events, outcome) = all(run).await;
    assert_eq!(outcome.end, RunEnd::Completed, "{outcome:?}");
    let told = results(&events);
    assert!(told.iter().any(|(ok, text)| *ok && text.contains("SQLite")), "{told:?}");
}

#[tokio::test]
async fn leave_is_asked_for_given_once_given_for_the_run_and_refused_with_words() {
    let Some(real) = Real::new().await else { return };
    let touch = || bash("touch one");
    let mut spec =
        real.spec("Work.", &json!([touch(), touch(), touch(), bash("touch two"), {"text": "fin"}]));
    spec.permissions = Permissions { allow: vec!["Read".into()], deny: Vec::new(), ask: Ask::Everything };
    let mut run = real.start(spec).await;
    let control = run.control();
    let first = question(&mut run).await;
    assert_eq!((first.kind, first.tool.as_str()), (QuestionKind::Permission, "Bash"));
    assert!(first.text().contains("touch one"), "{}", first.text());
    assert!(!real.scene.path("repo/one").exists());
    control.answer(&first.id, first.decide("yes")).await.unwrap();
    let second = question(&mut run).await;
    assert_eq!((first.key() == second.key(), real.scene.path("repo/one").exists()), (true, true));
    control.answer(&second.id, Decision::AllowAlways).await.unwrap();
    let last = question(&mut run).await;
    assert!(last.text().contains("touch two"), "the same again is not asked: {}", last.text());
    control.answer(&last.id, last.decide("not that one")).await.unwrap();
    let (events, outcome) = all(run).await;
    assert_eq!(outcome.end, RunEnd::Completed, "{outcome:?}");
    let told = results(&events);
    assert!(told.iter().any(|(ok, text)| !ok && text.contains("not that one")), "{told:?}");
    assert!(!real.scene.path("repo/two").exists());
    assert!(!real.scene.path("repo/.claude").exists(), "no settings are written");
}

#[tokio::test]
async fn what_nobody_is_asked_is_refused_and_the_run_goes_on() {
    let Some(real) = Real::new().await else { return };
    let mut spec = real.spec("Work.", &json!([bash("touch one"), asks(), {"text": "fin"}]));
    spec.permissions.allow = vec!["Read".into()];
    let (events, outcome) = all(real.start(spec).await).await;
    assert_eq!(
        (outcome.end, outcome.result_text.as_deref()),
        (RunEnd::Completed, Some("fin")),
        "{outcome:?}"
    );
    let denied = events.iter().filter(|event| matches!(event, RunEventKind::Denied { .. })).count();
    assert_eq!((denied, real.scene.path("repo/one").exists()), (2, false), "{events:?}");
    let told = results(&events);
    assert!(told.iter().any(|(_, text)| text.contains("allowedTools")), "{told:?}");
    assert!(told.iter().any(|(_, text)| text.contains("Decide yourself")), "{told:?}");
}

#[tokio::test]
async fn a_run_can_be_stopped_while_it_asks() {
    let Some(real) = Real::new().await else { return };
    let mut spec = real.spec("Ask.", &json!([asks(), {"text": "fin"}]));
    spec.permissions.ask = Ask::Questions;
    let mut run = real.start(spec).await;
    let asked = question(&mut run).await;
    let control = run.control();
    control.stop().await;
    assert!(matches!(control.answer(&asked.id, Decision::Allow).await, Err(ExecutorError::InputClosed)));
    assert_eq!(run.wait().await.end, RunEnd::Stopped);
}

#[tokio::test]
async fn tools_of_a_configured_server_are_used_and_its_file_goes_with_the_run() {
    let Some(real) = Real::new().await else { return };
    let script = format!("{}/tests/fixtures/claude/programs/mcp-server.py", env!("CARGO_MANIFEST_DIR"));
    let text = json!({"mcpServers": {"pets": {"command": "python3", "args": [script], "env": {"PET": "${PET:-none}"}}}});
    let variable = |name: &str| (name == "PET").then(|| "a heron".to_owned());
    let call = json!({"tools": [{"name": "mcp__pets__name", "input": {}}]});
    let mut spec = real.spec("Ask the server.", &json!([call, {"text": "fin"}]));
    spec.mcp = McpServers::parse(&text.to_string(), Path::new("servers.json"), &variable).unwrap();
    let file = command::mcp_file(&spec.run_file);
    let (events, outcome) = all(real.start(spec).await).await;
    assert_eq!(outcome.end, RunEnd::Completed, "{outcome:?}");
    assert!(results(&events).iter().any(|(ok, text)| *ok && text.contains("a heron")), "{events:?}");
    assert!(!file.exists());
}

#[tokio::test]
async fn a_run_that_is_killed_has_told_its_cost() {
    let Some(real) = Real::new().await else { return };
    let wait = bash("python3 -c 'import time; time.sleep(97)'");
    let mut spec = real.spec("Wait.", &json!([wait, {"text": "fin"}]));
    spec.limits.usage_every = Duration::from_millis(200);
    let mut run = real.start(spec).await;
    let mut spent = 0;
    event(&mut run, "the cost", |event| {
        if let RunEventKind::Spent { total_micro_usd } = event {
            spent = *total_micro_usd;
        }
        spent > 0
    })
    .await;
    process_tree::signal_group(run.control().pid().unwrap(), Signal::SIGKILL);
    let outcome = run.wait().await;
    let kind = outcome.error.as_ref().map(|error| error.kind);
    assert_eq!((kind, outcome.cost_micro_usd), (Some(RunErrorKind::NoResult), Some(spent)), "{outcome:?}");
}
