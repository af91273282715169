//! What Linear shows of a session beside its words, and files that come and go.

use shared::event::{Comment, EventBody};
use testkit::linear::{ActivityView, SeedIssue};

use super::super::stage::{KEY, SESSION, Stage, created};
use crate::journal::event::Taken;
use crate::linear::images;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and more";

/// The session begins, as changed.
fn begun(change: impl FnOnce(&mut shared::event::AgentSession)) -> Taken {
    let mut taken = created(1);
    let EventBody::SessionCreated { agent_session, .. } = &mut taken.event.body else { panic!("created") };
    change(agent_session);
    taken
}

#[tokio::test]
async fn an_issue_that_a_person_delegated_moves_to_started_and_its_session_links_to_the_panel() {
    let mut stage = Stage::new("good").await;
    let by_a_person = begun(|session| session.creator_name = Some("Ada".into()));
    stage.linear.seed_issue(SeedIssue { id: Some(KEY.into()), ..SeedIssue::default() });
    let before = stage.linear.issue(KEY).unwrap();
    stage.begin(by_a_person).await;
    stage.until_done(&[1]).await;
    assert_ne!(stage.linear.issue(KEY).unwrap()["state"], before["state"]);
    assert_eq!(stage.linear.requests().by_operation["IssueUpdate"], 1);
    let shown = stage.linear.agent_session(SESSION);
    let link = shown.external_urls[0].clone();
    assert_eq!(link["label"], "Cyrus");
    assert!(link["url"].as_str().unwrap().contains("/sessions/ses_"), "{link}");
}

#[tokio::test]
async fn an_automations_issue_and_one_of_a_mention_stay_where_they_are() {
    let mention = |session: &mut shared::event::AgentSession| {
        session.creator_name = Some("Ada".into());
        session.comment = Some(Comment { id: "c".into(), body: "@rusty please".into() });
    };
    let by_nobody = |session: &mut shared::event::AgentSession| session.creator_name = None;
    for event in [begun(mention), begun(by_nobody)] {
        let mut stage = Stage::new("good").await;
        stage.begin(event).await;
        stage.until_done(&[1]).await;
        assert!(!stage.linear.requests().by_operation.contains_key("IssueUpdate"));
    }
}

#[tokio::test]
async fn attached_files_lie_ready_for_the_agent_and_the_first_thought_does_not_wait_for_them() {
    let mut stage = Stage::new("good").await;
    let url = stage.linear.seed_file("log.txt", "text/plain", b"what went wrong");
    let event = begun(|session| {
        let issue = session.issue.as_mut().unwrap();
        issue.description = Some(format!("See [log.txt]({url})."));
    });
    stage.begin(event).await;
    stage.until_done(&[1]).await;
    let (_, prompt) = stage.prompt().unwrap();
    let (before, _) = prompt.split_once(" (log.txt, 15 bytes)").unwrap();
    let path = before.rsplit("- ").next().unwrap();
    assert!(path.contains(SESSION), "{path}");
    assert_eq!(std::fs::read(path).unwrap(), b"what went wrong");
    let told: Vec<ActivityView> = stage.told();
    assert!(told.first().is_some_and(|first| first.kind == "thought"), "{told:?}");
}

#[tokio::test]
async fn images_of_the_last_words_are_uploaded_and_other_files_are_not() {
    let stage = Stage::new("good").await;
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("shot.png"), PNG).unwrap();
    std::fs::write(tree.path().join("key.png"), "-----BEGIN PRIVATE KEY-----").unwrap();
    let linear = stage.means.outside.linear.as_ref().unwrap();
    let text = "Done: ![shot](shot.png) ![key](key.png) ![none](none.png) ![shot](./shot.png)".to_owned();
    let told = images::uploaded(linear, text, tree.path()).await;
    let files = stage.linear.files();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        assert_eq!((file.name.as_str(), file.content_type.as_str()), ("shot.png", "image/png"));
        assert_eq!(file.content.as_deref(), Some(PNG));
        assert!(told.contains(&format!("![shot]({})", file.url)), "{told}");
    }
    assert!(told.contains("![key](key.png) ![none](none.png)"), "{told}");
}

#[tokio::test]
async fn an_issue_deep_below_others_begins_nothing_unless_a_person_asks() {
    for creator in [None, Some("Ada".to_owned())] {
        let mut stage = Stage::new("good").await;
        let seed = |id: Option<&str>, identifier: &str, parent: Option<&str>| SeedIssue {
            id: id.map(str::to_owned),
            identifier: Some(identifier.to_owned()),
            parent: parent.map(str::to_owned),
            ..SeedIssue::default()
        };
        stage.linear.seed_issue(seed(None, "ENG-9", None));
        for number in [8, 7, 6] {
            let parent = format!("ENG-{}", number + 1);
            stage.linear.seed_issue(seed(None, &format!("ENG-{number}"), Some(&parent)));
        }
        stage.linear.seed_issue(seed(Some(KEY), "ENG-1", Some("ENG-6")));
        let by_nobody = creator.is_none();
        stage.begin(begun(|session| session.creator_name = creator)).await;
        stage.until_done(&[1]).await;
        let refused = stage.texts("error");
        assert_eq!(refused.len(), usize::from(by_nobody), "{refused:?}");
        assert!(refused.iter().all(|words| words.contains("no person asked for this")), "{refused:?}");
    }
}
