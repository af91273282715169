//! Nasty behaviour, from a stand-in for the program.

use super::*;
use crate::executor::spec::Ask;

pub(super) fn stand_in() -> Claude {
    let path = format!("{}/tests/fixtures/claude/programs/stand-in.sh", env!("CARGO_MANIFEST_DIR"));
    Claude::new(ClaudeConfig { binary: Some(path.into()), ..ClaudeConfig::default() })
}

pub(super) fn spec(scene: &Scene, behaviour: &str) -> RunSpec {
    let mut spec = scene.spec("go");
    spec.env = spec.env.with("STAND_IN", behaviour);
    spec
}

async fn start(scene: &Scene, behaviour: &str) -> Run {
    stand_in().start(spec(scene, behaviour)).await.unwrap()
}

fn kind(outcome: &RunOutcome) -> RunErrorKind {
    outcome.error.as_ref().unwrap().kind
}

fn left_pid(scene: &Scene) -> Option<i32> {
    std::fs::read_to_string(scene.path("repo/left.pid")).ok()?.trim().parse().ok()
}

fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_good_run_tells_all_and_sees_only_its_environment() {
    let scene = Scene::new();
    let mut spec = spec(&scene, "good");
    spec.prompt = "/clear\nand \"more\"".into();
    let (events, outcome) = all(stand_in().start(spec).await.unwrap()).await;
    assert_eq!((outcome.end, outcome.exit), (RunEnd::Completed, Some(Exit::Code(0))), "{outcome:?}");
    assert_eq!((outcome.result_text.as_deref(), outcome.cost_micro_usd), (Some("done"), Some(500_000)));
    assert_eq!(
        (outcome.executor_session_id.as_deref(), outcome.model.as_deref()),
        (Some("s-1"), Some("stand-in"))
    );
    assert!(events.contains(&RunEventKind::Stderr("a warning".into())));
    let prompt = std::fs::read_to_string(scene.path("repo/prompt.json")).unwrap();
    assert!(prompt.contains(r#"" /clear\nand \"more\"""#), "{prompt}");
    let env = std::fs::read_to_string(scene.path("repo/env.txt")).unwrap();
    assert!(env.contains("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS=1") && !env.contains("CARGO"), "{env}");
}

#[tokio::test]
async fn what_the_run_file_held_before_is_not_told_again() {
    let scene = Scene::new();
    let spec = spec(&scene, "good");
    std::fs::create_dir_all(scene.path("runs")).unwrap();
    std::fs::write(&spec.run_file, "{\"type\":\"from_before\"}\n").unwrap();
    let run_file = spec.run_file.clone();
    let (events, outcome) = all(stand_in().start(spec).await.unwrap()).await;
    assert_eq!((outcome.end, outcome.unknown_lines), (RunEnd::Completed, 0));
    assert!(!events.iter().any(|event| matches!(event, RunEventKind::Unknown(_))));
    assert!(std::fs::read_to_string(run_file).unwrap().starts_with("{\"type\":\"from_before\"}\n{"));
}

#[tokio::test]
async fn a_program_that_ends_in_the_middle_of_a_line_has_failed() {
    let scene = Scene::new();
    let outcome = start(&scene, "cut").await.wait().await;
    assert_eq!(
        (outcome.end, kind(&outcome), outcome.unknown_lines),
        (RunEnd::Failed, RunErrorKind::NoResult, 1)
    );
}

#[tokio::test]
async fn a_program_that_refuses_is_quoted() {
    let scene = Scene::new();
    let outcome = start(&scene, "refuses").await.wait().await;
    let message = outcome.error.unwrap().message;
    assert!(message.contains("exit code 1") && message.contains("Error: no such thing"), "{message}");
}

#[tokio::test]
async fn every_event_arrives_though_the_reader_is_slow() {
    let scene = Scene::new();
    let mut run = start(&scene, "flood").await;
    eventually("the whole output to be written", || {
        std::fs::read_to_string(scene.path("runs/run.ndjson")).unwrap_or_default().contains("\"result\"")
    })
    .await;
    let mut words = 0;
    while let Some(event) = run.next_event().await {
        words += usize::from(event.kind == RunEventKind::Text("word".into()));
    }
    assert_eq!(words, 5000);
    assert_eq!(run.wait().await.end, RunEnd::Completed);
}

#[tokio::test]
async fn a_run_whose_events_nobody_reads_can_be_stopped() {
    let scene = Scene::new();
    let run = start(&scene, "chatty").await;
    tokio::time::timeout(Duration::from_secs(20), run.control().stop()).await.unwrap();
    let outcome = run.wait().await;
    assert_eq!((outcome.end, outcome.error), (RunEnd::Stopped, None));
}

#[tokio::test]
async fn a_message_larger_than_a_pipe_holds_up_nothing() {
    let scene = Scene::new();
    let mut spec = spec(&scene, "silent");
    spec.prompt = "x".repeat(2_000_000);
    let run = stand_in().start(spec).await.unwrap();
    run.control().send("more").await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), run.control().stop()).await.unwrap();
    assert_eq!(run.wait().await.end, RunEnd::Stopped);
}

#[tokio::test]
async fn a_refused_sign_in_ends_the_run_at_once() {
    let scene = Scene::new();
    let outcome = start(&scene, "retries").await.wait().await;
    assert_eq!((outcome.end, kind(&outcome)), (RunEnd::Failed, RunErrorKind::Authentication));
    assert!(outcome.duration < Duration::from_secs(20));
}

#[tokio::test]
async fn a_silent_run_is_stopped_and_says_why() {
    let scene = Scene::new();
    let mut spec = spec(&scene, "silent");
    spec.limits.no_output = Duration::from_millis(300);
    let (events, outcome) = all(stand_in().start(spec).await.unwrap()).await;
    assert_eq!((outcome.end, kind(&outcome)), (RunEnd::Failed, RunErrorKind::NoOutput));
    assert!(
        events
            .iter()
            .any(|event| matches!(event, RunEventKind::Stopping(why) if why.contains("wrote nothing")))
    );
}

#[tokio::test]
async fn waiting_for_a_person_is_no_silence_and_the_answer_reaches_the_program() {
    let scene = Scene::new();
    let mut spec = spec(&scene, "asks");
    spec.permissions.ask = Ask::Questions;
    spec.limits.no_output = Duration::from_millis(400);
    let mut run = stand_in().start(spec).await.unwrap();
    let asked = asking::question(&mut run).await;
    // Three times the limit of silence.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    run.control().answer(&asked.id, asked.decide("blue")).await.unwrap();
    assert_eq!(run.wait().await.end, RunEnd::Completed);
    let reply = std::fs::read_to_string(scene.path("repo/reply.json")).unwrap();
    assert!(reply.contains(r#""answers":{"Which?":"blue"}"#), "{reply}");
}

#[tokio::test]
async fn a_run_that_talks_for_ever_is_stopped_by_the_clock() {
    let scene = Scene::new();
    let mut spec = spec(&scene, "chatty");
    spec.limits.wall_clock = Duration::from_secs(2);
    spec.limits.no_output = Duration::from_millis(1500);
    let outcome = stand_in().start(spec).await.unwrap().wait().await;
    assert_eq!((outcome.end, kind(&outcome)), (RunEnd::Failed, RunErrorKind::WallClock));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_stop_reaches_processes_that_ignore_signals_and_left_the_session() {
    let scene = Scene::new();
    let run = start(&scene, "stubborn").await;
    eventually("the process to leave", || left_pid(&scene).is_some_and(is_alive)).await;
    let left = left_pid(&scene).unwrap();
    run.control().stop().await;
    let outcome = run.wait().await;
    assert_eq!((outcome.end, outcome.exit), (RunEnd::Stopped, Some(Exit::Signal(9))));
    assert!(!is_alive(left));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn what_a_completed_run_left_running_is_ended_with_it() {
    let scene = Scene::new();
    let outcome = start(&scene, "leaves").await.wait().await;
    assert_eq!(outcome.end, RunEnd::Completed);
    assert!(!is_alive(left_pid(&scene).unwrap()));
}

#[tokio::test]
async fn an_ended_run_takes_no_more_messages() {
    let scene = Scene::new();
    let run = start(&scene, "good").await;
    let control = run.control();
    assert_eq!(run.wait().await.end, RunEnd::Completed);
    assert!(matches!(control.send("late").await, Err(ExecutorError::InputClosed)));
    assert!(matches!(control.interrupt().await, Err(ExecutorError::InputClosed)));
    control.stop().await;
}

#[tokio::test]
async fn a_run_that_cannot_start_says_what_is_missing() {
    let scene = Scene::new();
    let mut spec = scene.spec("go");
    spec.cwd = scene.path("none");
    assert!(matches!(stand_in().start(spec).await, Err(ExecutorError::NoDirectory(_))));
    let missing = Claude::new(ClaudeConfig { binary: Some(scene.path("claude")), ..ClaudeConfig::default() });
    let error = missing.start(scene.spec("go")).await.unwrap_err();
    assert!(error.to_string().contains("install it, or set its path"), "{error}");
    let mut spec = scene.spec("go");
    std::fs::write(scene.path("file"), "").unwrap();
    spec.run_file = scene.path("file/run.ndjson");
    assert!(matches!(stand_in().start(spec).await, Err(ExecutorError::RunFile { .. })));
}
