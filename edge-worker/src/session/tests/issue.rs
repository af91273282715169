//! What happens to an issue while work on it runs, waits, or is over.

use shared::event::{Actor, Change, Closing, EventBody, IssueField};
use shared::id::Seq;

use super::super::answer;
use super::super::prompt;
use super::super::stage::{Stage, created, prompted, session, taken};
use super::states;
use crate::journal::event::Taken;

fn ada() -> Option<Actor> {
    Some(Actor { id: Some("u".into()), name: Some("Ada [x](https://evil.test) @all\n".into()) })
}

fn edited(seq: u64) -> Taken {
    let changed = vec![Change {
        field: IssueField::Title,
        old: Some("Show totals".into()),
        new: Some("Show sums".into()),
    }];
    taken(seq, EventBody::IssueEdited { agent_session: session(), changed, actor: ada() })
}

fn closed(seq: u64) -> Taken {
    taken(seq, EventBody::IssueClosed { agent_session: session(), how: Closing::Canceled, actor: ada() })
}

fn unassigned(seq: u64) -> Taken {
    taken(seq, EventBody::Unassigned { agent_session: session(), actor: None })
}

#[tokio::test]
async fn an_edit_and_the_end_of_an_issue_reach_the_run_that_is_live_and_it_says_why_once() {
    for (end, why) in [
        (closed(3), "The issue was canceled by Ada xhttps://evil.test all, so I stopped."),
        (unassigned(3), "The issue was taken away from me, so I stopped."),
    ] {
        let mut stage = Stage::new("silent").await;
        let task = stage.begin(created(1)).await;
        stage.until("the run", |stage| states(stage) == ["running"]).await;
        stage.go_on(&task, edited(2)).await;
        let heard = "The issue was changed. I take that into account.";
        stage.until("the edit", |stage| stage.texts("thought").iter().any(|text| text == heard)).await;
        stage.go_on(&task, end).await;
        stage.until_done(&[1, 2, 3]).await;
        assert_eq!(states(&stage), ["stopped"]);
        let said = stage.texts("response");
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(why) && said[0].contains("kept on the branch"), "{said:?}");
    }
}

#[tokio::test]
async fn what_happens_to_an_issue_whose_work_is_over_wakes_nothing_and_says_nothing() {
    let mut stage = Stage::new("good").await;
    let task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    let before = (stage.told(), stage.prompt());
    for (seq, event) in [(2, edited(2)), (3, closed(3)), (4, unassigned(4))] {
        stage.go_on(&task, event).await;
        stage.until_done(&[seq]).await;
    }
    assert_eq!((stage.told(), stage.prompt()), before);
    assert_eq!(states(&stage), ["completed"]);
}

#[tokio::test]
async fn an_issue_that_is_closed_while_a_slot_is_awaited_starts_no_run() {
    let mut stage = Stage::new("good").await;
    let busy = stage.means.slots.wait("app").await;
    let task = stage.begin(created(1)).await;
    stage.until("the first thought", |stage| !stage.told().is_empty()).await;
    stage.go_on(&task, closed(2)).await;
    stage.until_done(&[1, 2]).await;
    drop(busy);
    assert_eq!(stage.prompt(), None);
    assert_eq!(
        stage.texts("response"),
        ["The issue was canceled by Ada xhttps://evil.test all, so I stopped."]
    );
}

#[tokio::test]
async fn a_question_about_an_issue_that_is_closed_is_closed_with_it() {
    let mut stage = Stage::with("good", &["app", "site"]).await;
    let task = stage.begin(Taken { ask: true, ..created(1) }).await;
    stage.until_done(&[1]).await;
    assert_eq!(states(&stage), ["awaiting_input"]);
    stage.go_on(&task, unassigned(2)).await;
    stage.until_done(&[2]).await;
    assert_eq!(stage.texts("response"), ["The issue was taken away from me, so I stopped."]);
    assert_eq!(states(&stage), ["stopped"]);
}

#[test]
fn the_agent_is_told_the_old_and_the_new_words() {
    let told = prompt::of(&edited(Seq(1).0).event.body);
    for part in ["while you work on it", "was:\nShow totals", "is now:\nShow sums"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(answer::why_it_ends(&prompted(1, "x").event.body), None);
}
