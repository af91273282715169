//! Each way in which a run goes wrong: the kind of error, and that the words tell what to do.

use serde_json::{Value, json};

use super::real::Real;
use super::stand_in;
use super::*;
use crate::executor::claude::ClaudeConfig;
use crate::executor::trouble;

fn check(outcome: &RunOutcome, kind: RunErrorKind, words: &str) {
    let error = outcome.error.as_ref().unwrap_or_else(|| panic!("{outcome:?}"));
    assert_eq!((outcome.end, error.kind), (RunEnd::Failed, kind), "{outcome:?}");
    assert!(error.message.contains(words), "{kind:?}: {}", error.message);
    assert!(trouble::next(error).contains("kept"));
}

#[tokio::test]
async fn a_program_that_dies_hangs_or_says_nothing_is_told_with_what_to_do() {
    for (behaviour, kind, words) in [
        ("dies", RunErrorKind::NoResult, "signal 9"),
        ("refuses", RunErrorKind::NoResult, "no such thing"),
        ("mute", RunErrorKind::NoResult, "cyrus doctor"),
        ("silent", RunErrorKind::NoOutput, "hung"),
        ("retries", RunErrorKind::Authentication, "cyrus key set anthropic"),
    ] {
        let scene = Scene::new();
        let mut spec = stand_in::spec(&scene, behaviour);
        spec.limits.no_output = Duration::from_secs(1);
        let outcome = stand_in::stand_in().start(spec).await.unwrap().wait().await;
        check(&outcome, kind, words);
    }
}

#[tokio::test]
async fn the_real_program_without_a_key_is_told_with_what_to_do() {
    let Some(real) = Real::new().await else { return };
    let mut spec = real.spec("x", &json!([{"text": "fin"}]));
    spec.env = Environment::empty()
        .inherit(&["PATH"])
        .with("HOME", real.scene.path("home"))
        .with("ANTHROPIC_BASE_URL", real.model.url());
    let outcome = real.start(spec).await.wait().await;
    check(&outcome, RunErrorKind::Authentication, "cyrus key set anthropic");
}

#[tokio::test]
async fn a_used_up_plan_is_no_outage_and_tells_when_it_is_reset() {
    let Some(real) = Real::new().await else { return };
    let headers = json!({
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": "$IN_3600",
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
    });
    let step =
        json!({"http": 429, "error_type": "rate_limit_error", "message": "used up", "headers": headers});
    let mut spec = real.spec("x", &json!([step]));
    spec.env = Environment::empty()
        .inherit(&["PATH"])
        .with("HOME", real.scene.path("home"))
        .with("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-test")
        .with("ANTHROPIC_BASE_URL", real.model.url());
    let (events, outcome) = all(real.start(spec).await).await;
    check(&outcome, RunErrorKind::UsageLimit, "usageLimit");
    let resets_at = outcome.error.unwrap().resets_at.unwrap();
    let ahead = resets_at.since(crate::worker::now());
    assert!((3_500_000..=3_600_000).contains(&ahead), "{ahead} ms");
    let told = events.iter().any(|event| {
        matches!(event, RunEventKind::LimitReached { kind, resets_at: Some(_) } if kind == "five_hour")
    });
    assert!(told && outcome.duration < Duration::from_secs(20), "{events:?}");
}

fn overloaded(times: Option<u64>) -> Value {
    let mut step = json!({"http": 529, "error_type": "overloaded_error", "message": "busy", "text": "fin", "retry_after": 1});
    if let Some(times) = times {
        step["times"] = json!(times);
    }
    step
}

#[tokio::test]
async fn an_overloaded_service_is_outlived_and_one_that_stays_so_is_told() {
    let Some(real) = Real::new().await else { return };
    let passes = all(real.start(real.spec("x", &json!([overloaded(Some(2))]))).await);
    let (events, outcome) = passes.await;
    assert_eq!(
        (outcome.end, outcome.result_text.as_deref()),
        (RunEnd::Completed, Some("fin")),
        "{outcome:?}"
    );
    let retries =
        events.iter().filter(|event| matches!(event, RunEventKind::Retry { max: Some(10), .. })).count();
    assert_eq!(retries, 2, "{events:?}");

    let config = ClaudeConfig { max_retries: 1, ..real.config() };
    let spec = real.spec("x", &json!([overloaded(None)]));
    let outcome = Claude::new(config).start(spec).await.unwrap().wait().await;
    check(&outcome, RunErrorKind::Overloaded, "fallbackModel");
}

#[tokio::test]
async fn a_conversation_that_is_gone_is_told_as_such() {
    let Some(real) = Real::new().await else { return };
    let mut spec = real.spec("x", &json!([{"text": "fin"}]));
    spec.conversation = Conversation::Resume(uuid::Uuid::new_v4().to_string());
    let outcome = real.start(spec).await.wait().await;
    check(&outcome, RunErrorKind::UnknownConversation, "begins a new one");
}
