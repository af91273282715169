//! Nothing that matters is left out, nothing that may have arrived is changed, and nothing is told twice.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn thought(body: &str) -> ActivityContent {
    ActivityContent::Thought { body: body.to_owned() }
}

fn action(parameter: &str) -> ActivityContent {
    ActivityContent::Action { action: "Bash".into(), parameter: parameter.to_owned(), result: None }
}

fn answer() -> ActivityContent {
    ActivityContent::Response { body: "done".into() }
}

/// What is told in the end, in order, as (row, text).
fn told(rows: &[Waiting<'_>], level: Level) -> Vec<(i64, String)> {
    let changes = plan(rows, level);
    let mut texts: BTreeMap<i64, String> = rows
        .iter()
        .map(|row| {
            let text = match row.content {
                Some(ActivityContent::Thought { body } | ActivityContent::Response { body }) => body.clone(),
                Some(ActivityContent::Action { parameter, .. }) => format!("({parameter})"),
                _ => "?".to_owned(),
            };
            (row.id, text)
        })
        .collect();
    for change in changes {
        match change {
            Change::Join { into, from, body } => {
                for id in from {
                    assert!(texts.remove(&id).is_some(), "a row is taken twice");
                }
                texts.insert(into, body);
            }
            Change::Drop { id, by } => {
                assert!(id < by && texts.remove(&id).is_some());
            }
        }
    }
    texts.into_iter().collect()
}

fn rows(contents: &[ActivityContent]) -> Vec<Waiting<'_>> {
    let weight = |content: &ActivityContent| match content {
        ActivityContent::Response { .. } => Weight::Final,
        _ => Weight::Step,
    };
    let one = |(place, content)| Waiting {
        id: place as i64,
        weight: weight(content),
        tried: false,
        content: Some(content),
    };
    contents.iter().enumerate().map(one).collect()
}

fn words(told: &[(i64, String)]) -> Vec<&str> {
    told.iter().map(|(_, text)| text.as_str()).collect()
}

#[test]
fn with_enough_to_spend_all_goes_as_it_is() {
    let contents = [thought("a"), thought("b"), action("x"), action("y"), answer()];
    assert!(plan(&rows(&contents), Level::Free).is_empty());
}

#[test]
fn when_it_is_tight_thoughts_join_under_the_last_ones_id_and_of_steps_the_newest_stays() {
    let contents =
        [thought("a"), action("x"), thought("b"), action("y"), action("z"), thought("c"), action("w")];
    assert_eq!(told(&rows(&contents), Level::Tight), [(5, "a\n\nb\n\nc".to_owned()), (6, "(w)".to_owned())]);
    let before_the_end = [thought("a"), action("x"), answer()];
    assert_eq!(words(&told(&rows(&before_the_end), Level::Tight)), ["a", "done"]);
}

#[test]
fn when_it_is_scarce_steps_give_way_to_what_is_heavier_and_else_wait() {
    let contents = [thought("a"), action("x"), answer(), thought("b"), thought("c")];
    assert_eq!(words(&told(&rows(&contents), Level::Scarce)), ["done", "b\n\nc"]);
    let milestone = thought("milestone");
    let mut with_milestone = rows(&contents);
    with_milestone[1] = Waiting { weight: Weight::Milestone, content: Some(&milestone), ..with_milestone[1] };
    assert_eq!(words(&told(&with_milestone, Level::Scarce)), ["milestone", "done", "b\n\nc"]);
}

#[test]
fn what_may_have_been_tried_is_left_as_it_is() {
    let contents = [thought("a"), thought("b"), thought("c"), action("x"), answer()];
    let mut tried = rows(&contents);
    tried[1].tried = true;
    assert_eq!(words(&told(&tried, Level::Tight)), ["a", "b", "c", "done"]);
    assert_eq!(words(&told(&tried, Level::Scarce)), ["b", "done"]);
}

#[test]
fn a_joined_thought_is_never_longer_than_8_kb_unless_one_alone_is() {
    let long = "x".repeat(5_000);
    let huge = "y".repeat(20_000);
    let contents = [thought(&long), thought(&long), thought("a"), thought(&huge), thought("b")];
    let told = told(&rows(&contents), Level::Tight);
    assert_eq!(told.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 2, 3, 4]);
    assert!(told.iter().all(|(_, text)| text.len() <= LONGEST_JOINED || *text == huge));
}

proptest! {
    #[test]
    fn whatever_waits_heavy_and_tried_rows_stay_and_the_order_holds(
        kinds in proptest::collection::vec((0_u8..6, any::<bool>(), 0_usize..4_000), 0..60),
        level in prop_oneof![Just(Level::Free), Just(Level::Tight), Just(Level::Scarce)],
    ) {
        let contents: Vec<Option<ActivityContent>> = kinds.iter().map(|(kind, _, length)| match kind {
            0 | 1 => Some(thought(&"t".repeat(*length))),
            2 | 3 => Some(action(&"a".repeat(*length))),
            4 => Some(answer()),
            _ => None,
        }).collect();
        let all: Vec<Waiting<'_>> = contents.iter().zip(&kinds).enumerate().map(|(place, (content, (kind, tried, _)))| Waiting {
            id: place as i64,
            weight: match kind { 4 => Weight::Final, 5 => Weight::Question, 1 => Weight::Milestone, _ => Weight::Step },
            tried: *tried && place < 2,
            content: content.as_ref(),
        }).collect();
        let kept = told(&all, level);
        for row in &all {
            if row.tried || row.weight != Weight::Step {
                prop_assert!(kept.iter().any(|(id, _)| *id == row.id), "row {} is gone", row.id);
            }
        }
        if level == Level::Tight {
            // No thought is lost: all their letters are there.
            let letters = |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| text.matches('t').count()).sum::<usize>();
            let before = letters(&mut all.iter().filter_map(|row| match row.content {
                Some(ActivityContent::Thought { body }) => Some(body.as_str()),
                _ => None,
            }));
            prop_assert_eq!(letters(&mut kept.iter().map(|(_, text)| text.as_str())), before);
        }
        let saved: usize = plan(&all, level).iter().map(Change::saved).sum();
        prop_assert_eq!(kept.len() + saved, all.len());
    }
}
