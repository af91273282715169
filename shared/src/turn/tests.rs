//! The laws of a turn, with any facts in any order and a crash between any two of them.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn run(number: u8) -> RunId {
    RunId::from_uuid(Uuid::from_bytes([number; 16]))
}

fn question() -> Question {
    Question { request: "r".into(), text: "Which?".into(), options: vec!["a".into()] }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn facts() -> impl Strategy<Value = Fact> {
    prop_oneof![
        3 => any::<u8>().prop_map(|number| Fact::Begins { run: run(number) }),
        2 => (1_u64..6).prop_map(|seq| Fact::Takes { seq: Seq(seq) }),
        1 => (1_u64..6).prop_map(|seq| Fact::Returns { seq: Seq(seq) }),
        1 => Just(Fact::Stops),
        2 => Just(Fact::Breaks),
        1 => Just(Fact::Asks { question: question() }),
        1 => Just(Fact::Answers),
        1 => (0_i64..9).prop_map(|ms| Fact::Parks { until: at(ms) }),
        1 => Just(Fact::Resumes),
        1 => Just(Fact::Ends),
    ]
}

proptest! {
    #[test]
    fn the_laws_hold_whatever_happens(facts in prop::collection::vec(facts(), 0..40)) {
        let mut turn = Turn::of(Seq(1));
        let mut stopped = false;
        let mut ended = 0;
        for fact in facts {
            let before = turn.clone();
            let Ok(after) = turn.after(fact.clone()) else { continue };
            turn = after;
            match fact {
                Fact::Begins { .. } => {
                    prop_assert!(!stopped, "a stopped turn began a run");
                    prop_assert_eq!(before.live_run(), None, "two live runs");
                }
                Fact::Stops => stopped = true,
                Fact::Ends => ended += 1,
                _ => {}
            }
            prop_assert_eq!(turn.members.first(), Some(&Seq(1)), "the event that began it stays");
            let mut members = turn.members.clone();
            members.sort();
            members.dedup();
            prop_assert_eq!(members.len(), turn.members.len(), "an event is taken in once");
            prop_assert!(ended <= 1);
            // A crash here: what is written down is read again, and it goes on to an end.
            let again: Turn = serde_json::from_str(&serde_json::to_string(&turn).unwrap()).unwrap();
            prop_assert_eq!(&again, &turn);
            for found in [Found::Verdict, Found::CutOff] {
                match turn.next(found) {
                    Next::Begin | Next::BeginAgain => {
                        prop_assert!(!stopped, "a stopped turn would begin a run");
                        let gone_on = match turn.live_run() {
                            Some(_) => turn.after(Fact::Breaks).unwrap(),
                            None => turn.clone(),
                        };
                        let begun = gone_on.after(Fact::Begins { run: run(99) });
                        prop_assert!(begun.is_ok());
                    }
                    Next::Conclude | Next::ConcludeStopped | Next::ConcludeAsking => {
                        prop_assert!(turn.after(Fact::Ends).is_ok());
                    }
                    Next::Wait { .. } => prop_assert!(turn.after(Fact::Resumes).is_ok()),
                    Next::Nothing => prop_assert_eq!(ended, 1),
                }
            }
        }
    }
}

#[test]
fn a_run_that_was_cut_off_is_begun_again_and_one_with_a_verdict_is_not() {
    let turn = Turn::of(Seq(4)).after(Fact::Begins { run: run(1) }).unwrap();
    assert_eq!(turn.next(Found::Verdict), Next::Conclude);
    assert_eq!(turn.next(Found::CutOff), Next::BeginAgain);
    let turn = turn.after(Fact::Breaks).unwrap();
    assert_eq!(turn.next(Found::CutOff), Next::BeginAgain, "a verdict of no live run does not matter");
    assert_eq!(turn.next(Found::Verdict), Next::BeginAgain);
}

#[test]
fn a_question_that_outlives_its_run_ends_the_turn() {
    let turn = Turn::of(Seq(4)).after(Fact::Begins { run: run(1) }).unwrap();
    let turn = turn.after(Fact::Asks { question: question() }).unwrap();
    assert_eq!(turn.next(Found::CutOff), Next::ConcludeAsking);
    assert_eq!(turn.after(Fact::Answers).unwrap().next(Found::CutOff), Next::BeginAgain);
}

#[test]
fn a_stop_of_a_parked_turn_ends_it_without_a_run() {
    let turn = Turn::of(Seq(1)).after(Fact::Begins { run: run(1) }).unwrap();
    let turn = turn.after(Fact::Parks { until: at(5) }).unwrap();
    assert_eq!(turn.next(Found::CutOff), Next::Wait { until: at(5) });
    let stopped = turn.after(Fact::Stops).unwrap();
    assert_eq!(stopped.next(Found::CutOff), Next::ConcludeStopped);
    assert!(stopped.after(Fact::Begins { run: run(2) }).is_err());
}
