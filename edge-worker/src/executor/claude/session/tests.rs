//! The rules, fed with events as the parser gives them.

use serde_json::{Value, json};

use super::super::super::lines::Line;
use super::super::stream;
use super::*;
use crate::executor::outcome::{RunEnd, RunErrorKind};

const ID: &str = "11111111-1111-4111-8111-111111111111";

fn take(session: &mut Session, line: Value) {
    for event in stream::read(&Line::Whole(line.to_string().into())) {
        session.observe(&event);
    }
}

fn lifecycle(state: &str) -> Value {
    json!({"type": "command_lifecycle", "command_uuid": ID, "state": state})
}

fn result(extra: Value) -> Value {
    let mut line = json!({"type": "result", "subtype": "success", "is_error": false, "result": "done"});
    for (name, value) in extra.as_object().unwrap() {
        line[name] = value.clone();
    }
    line
}

fn finish(session: Session, exit: Exit) -> RunOutcome {
    session.finish(Some(exit), "", Duration::ZERO)
}

fn error_kind(outcome: &RunOutcome) -> RunErrorKind {
    outcome.error.as_ref().unwrap().kind
}

#[test]
fn silence_and_a_good_exit_is_no_success() {
    let outcome = finish(Session::new(0), Exit::Code(0));
    assert_eq!(outcome.end, RunEnd::Failed);
    assert_eq!(error_kind(&outcome), RunErrorKind::NoResult);
    assert_eq!(outcome.cost_micro_usd, None);
}

#[test]
fn a_good_result_and_a_bad_exit_is_no_success() {
    for exit in [Exit::Code(1), Exit::Code(143), Exit::Signal(9)] {
        let mut session = Session::new(0);
        take(&mut session, result(json!({})));
        let outcome = finish(session, exit);
        assert_eq!(outcome.end, RunEnd::Failed);
        assert_eq!(error_kind(&outcome), RunErrorKind::BadExit);
    }
}

#[test]
fn a_success_that_says_it_is_an_error_is_one() {
    let mut session = Session::new(0);
    take(
        &mut session,
        result(json!({"is_error": true, "api_error_status": 529, "api_error_type": "overloaded_error"})),
    );
    let outcome = finish(session, Exit::Code(0));
    assert_eq!(outcome.end, RunEnd::Failed);
    assert_eq!(error_kind(&outcome), RunErrorKind::Overloaded);
    assert_eq!(outcome.result_text, None);
}

#[test]
fn the_last_of_several_results_decides() {
    let mut session = Session::new(0);
    take(&mut session, result(json!({"is_error": true, "terminal_reason": "aborted_tools", "num_turns": 1})));
    take(&mut session, result(json!({"result": "second", "num_turns": 2})));
    let outcome = finish(session, Exit::Code(0));
    assert_eq!(outcome.end, RunEnd::Completed);
    assert_eq!(outcome.result_text.as_deref(), Some("second"));
    assert_eq!((outcome.turns, outcome.results), (3, 2));
}

#[test]
fn a_refused_sign_in_or_bill_is_hopeless_and_an_overload_is_not() {
    for (word, kind) in
        [("authentication_failed", RunErrorKind::Authentication), ("billing_error", RunErrorKind::Billing)]
    {
        let mut session = Session::new(0);
        take(&mut session, json!({"type": "system", "subtype": "api_retry", "attempt": 1, "error": word}));
        assert!(session.stop_reason().is_some());
        let outcome = finish(session, Exit::Code(143));
        assert_eq!((outcome.end, error_kind(&outcome)), (RunEnd::Failed, kind));
    }
    let mut session = Session::new(0);
    take(
        &mut session,
        json!({"type": "system", "subtype": "api_retry", "attempt": 1, "error": "overloaded"}),
    );
    assert_eq!(session.stop_reason(), None);
}

#[test]
fn a_stop_on_request_is_no_failure_and_a_limit_is_one() {
    let mut session = Session::new(0);
    session.stopping(StopReason::Requested);
    let outcome = finish(session, Exit::Code(143));
    assert_eq!((outcome.end, outcome.error), (RunEnd::Stopped, None));

    let mut session = Session::new(0);
    session.stopping(StopReason::NoOutput(Duration::from_secs(9)));
    session.stopping(StopReason::Requested);
    let outcome = finish(session, Exit::Signal(9));
    assert_eq!((outcome.end, error_kind(&outcome)), (RunEnd::Failed, RunErrorKind::NoOutput));
    assert!(outcome.error.unwrap().message.contains("9 s"));
}

#[test]
fn cost_is_this_runs_own_also_when_the_executor_tells_sums() {
    let mut session = Session::new(50_000);
    take(&mut session, result(json!({"total_cost_usd": 0.08, "result_index": 0})));
    take(&mut session, result(json!({"total_cost_usd": 0.1, "result_index": 1})));
    assert_eq!(finish(session, Exit::Code(0)).cost_micro_usd, Some(50_000));

    let mut session = Session::new(50_000);
    let since = json!({"m": {"costUSD": 0.03, "inputTokens": 10}});
    take(&mut session, result(json!({"total_cost_usd": 0.08, "model_usage_since_last_result": since})));
    assert_eq!(finish(session, Exit::Code(0)).cost_micro_usd, Some(30_000));
}

#[test]
fn a_lost_result_is_paid_from_the_difference_of_the_sums() {
    let mut session = Session::new(0);
    let since = json!({"m": {"costUSD": 0.01}});
    take(
        &mut session,
        result(json!({"total_cost_usd": 0.01, "result_index": 0, "model_usage_since_last_result": since})),
    );
    take(
        &mut session,
        result(json!({"total_cost_usd": 0.06, "result_index": 2, "model_usage_since_last_result": since})),
    );
    assert_eq!(finish(session, Exit::Code(0)).cost_micro_usd, Some(60_000));
}

#[test]
fn tokens_after_the_last_result_are_kept_apart_from_the_cost() {
    let mut session = Session::new(0);
    let usage = json!({"type": "stream_event", "event": {"type": "message_delta", "usage": {"input_tokens": 5, "output_tokens": 1}}});
    take(&mut session, usage.clone());
    take(
        &mut session,
        result(
            json!({"model_usage_since_last_result": {"m": {"inputTokens": 6, "outputTokens": 1, "costUSD": 0.5}}}),
        ),
    );
    take(&mut session, usage);
    let outcome = finish(session, Exit::Signal(9));
    assert_eq!(
        (outcome.tokens.input, outcome.unpriced_tokens.input, outcome.cost_micro_usd),
        (11, 5, Some(500_000))
    );
}

#[test]
fn the_input_stays_open_until_every_message_has_had_its_turn() {
    let id = ID.parse().unwrap();
    let mut session = Session::new(0);
    session.sent(id);
    assert!(!session.is_idle());
    for line in [lifecycle("queued"), lifecycle("started"), json!({"type": "system", "subtype": "init"})] {
        take(&mut session, line);
        assert!(!session.is_idle());
    }
    take(&mut session, result(json!({})));
    assert!(!session.is_idle());
    take(&mut session, lifecycle("completed"));
    assert!(session.is_idle());
    session.sent(id);
    assert!(!session.is_idle());
}

#[test]
fn a_message_that_the_conversation_already_holds_does_not_keep_the_input_open() {
    let mut session = Session::new(0);
    session.sent(ID.parse().unwrap());
    take(&mut session, lifecycle("completed"));
    assert!(session.is_idle());
    assert_eq!(error_kind(&finish(session, Exit::Code(0))), RunErrorKind::NoResult);
}

#[test]
fn without_word_about_messages_the_result_closes_the_input() {
    let mut session = Session::new(0);
    session.sent(ID.parse().unwrap());
    take(&mut session, json!({"type": "system", "subtype": "init"}));
    take(&mut session, result(json!({"queued_turn_count": 1})));
    assert!(!session.is_idle());
    take(&mut session, result(json!({"queued_turn_count": 0})));
    assert!(session.is_idle());
}
