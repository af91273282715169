//! When an event counts as answered, from the activities alone.

use super::*;
use crate::session::stage::{created, moved, prompted, session, stopped};

fn activity(id: String, at: u32, kind: Kind) -> Activity {
    Activity { id, at: format!("2026-11-22T10:15:{at:02}.000Z"), kind, body: format!("words of {at}") }
}

fn id(seq: u64, step: Step) -> String {
    activity_id(&session().id, shared::id::Seq(seq), step).to_string()
}

#[test]
fn an_event_is_answered_by_its_own_final_activity_and_by_no_other() {
    let own = |kind| History::of(vec![activity(id(1, Step::Final), 9, kind)]);
    let event = moved(created(1));
    for (kind, state) in [
        (Kind::Response, SessionState::Completed),
        (Kind::Error, SessionState::Failed),
        (Kind::Question, SessionState::AwaitingInput),
    ] {
        assert_eq!(own(kind).answered(&event), Some(state));
    }
    assert_eq!(own(Kind::Response).answered(&moved(created(2))), None, "another event's answer");
    assert_eq!(History::default().answered(&event), None);
    let streamed = id(1, Step::Streaming { token: FencingToken(2), line: 4 });
    assert_eq!(History::of(vec![activity(streamed, 9, Kind::Other)]).answered(&event), None);
}

#[test]
fn a_message_that_the_running_turn_had_taken_in_is_answered_by_what_came_after() {
    let heard = activity(id(2, Step::FirstThought), 10, Kind::Other);
    let response = |at| activity(id(1, Step::Final), at, Kind::Response);
    let event = moved(prompted(2, "and this"));
    assert!(
        History::of(vec![response(11), heard.clone()]).answered(&event).is_some(),
        "in any order of pages"
    );
    for (name, activities) in [
        ("nobody said that it was heard", vec![response(11)]),
        ("the response came before", vec![heard.clone(), response(9)]),
        ("both at the same instant prove nothing", vec![heard.clone(), response(10)]),
        ("an error invites another try", vec![heard.clone(), activity("x".into(), 11, Kind::Error)]),
        ("a person wrote again", vec![heard.clone(), activity("x".into(), 11, Kind::Prompt)]),
        ("still at work", vec![heard.clone(), activity("x".into(), 11, Kind::Other)]),
    ] {
        assert_eq!(History::of(activities).answered(&event), None, "{name}");
    }
}

#[test]
fn a_first_thought_of_the_proxy_proves_nothing() {
    let history = History::of(vec![
        activity(id(2, Step::FirstThought), 10, Kind::Other),
        activity(id(1, Step::Final), 11, Kind::Response),
    ]);
    let event = Taken { first_thought: true, ..moved(prompted(2, "and this")) };
    assert_eq!(history.answered(&event), None);
}

#[test]
fn a_stop_is_answered_by_any_response_after_it() {
    let history = |at| {
        History::of(vec![
            activity("stop-2".into(), 10, Kind::Prompt),
            activity(id(1, Step::Final), at, Kind::Response),
        ])
    };
    assert!(history(11).answered(&moved(stopped(2))).is_some());
    assert_eq!(history(9).answered(&moved(stopped(2))), None);
    assert_eq!(history(11).answered(&moved(stopped(3))), None, "another stop");
}

#[test]
fn an_account_tells_who_said_what_and_keeps_the_newest() {
    assert_eq!(History::default().account(), None);
    assert_eq!(
        History::of(vec![activity("p".into(), 1, Kind::Prompt)]).account(),
        None,
        "no agent was there"
    );
    let history = History::of(vec![
        activity("r".into(), 3, Kind::Response),
        activity("p".into(), 1, Kind::Prompt),
        activity("t".into(), 2, Kind::Other),
    ]);
    assert_eq!(history.account().unwrap(), "The person: words of 1\n\nYou: words of 3");
    let mut long = activity("p".into(), 1, Kind::Prompt);
    long.body = "\u{1f980}".repeat(100_000);
    let account = History::of(vec![long, activity("r".into(), 2, Kind::Response)]).account().unwrap();
    assert_eq!(account.chars().count(), LONGEST_ACCOUNT);
    assert!(account.ends_with("You: words of 2"));
}
