//! What leaves, when, and under which lease; against a small panel and the stand-in for Linear.

mod limits;

use std::time::Duration;

use shared::activity_id::{Step, activity_id};
use shared::id::{Seq, SessionKey};
use shared::linear::activity::ActivityContent;
use shared::linear::coalesce::Change;
use shared::linear::session::{PlanStep, PlanStepStatus};
use shared::log_line::{LogLevel, LogLine};
use shared::session::{SessionState, SessionUpdate};
use tokio::time::{Instant, sleep, timeout};

use super::{Holding, Outbox};
use crate::journal::effect::{Coalesced, Effect, Lane};
use crate::session::answer;
use crate::session::stage::{KEY, SESSION, Stage, TOKEN, session};
use crate::worker::now;

fn open(stage: &Stage, session: &shared::event::AgentSession) -> Outbox {
    let holding = Holding { leases: stage.means.leases.clone(), key: SessionKey::from(KEY), token: TOKEN };
    Outbox::open(stage.means.journal.clone(), stage.means.outside.clone(), session, holding)
}

/// An outbox of the session under a lease that is held, but not confirmed.
async fn unconfirmed(stage: &Stage) -> Outbox {
    let key = SessionKey::from(KEY);
    stage.means.journal.session(&session().id, &key).await.unwrap();
    stage.means.leases.holds(&key, TOKEN, Seq(1));
    open(stage, &session())
}

fn thought(line: u64) -> Effect {
    Effect::Activity {
        id: activity_id(&session().id, Seq(1), Step::Streaming { token: TOKEN, line }),
        content: ActivityContent::Thought { body: format!("thought {line}") },
        ephemeral: false,
    }
}

fn record() -> Effect {
    let key = SessionKey::from(KEY);
    let session = Box::new(answer::record(&session(), &key, TOKEN, None, "here"));
    Effect::OpenSession { session_key: key, token: TOKEN, session }
}

fn status(status: SessionState) -> Box<SessionUpdate> {
    Box::new(SessionUpdate { token: TOKEN, status: Some(status), ..SessionUpdate::default() })
}

fn line(message: &str) -> LogLine {
    LogLine {
        seq: 0,
        level: LogLevel::Info,
        message: message.into(),
        metadata: serde_json::Value::Null,
        timestamp: now(),
        run_id: None,
    }
}

/// Posts of lines so far, as the numbers in each.
fn posts(stage: &Stage) -> Vec<Vec<u64>> {
    let numbers = |body: &serde_json::Value| {
        body["lines"].as_array().unwrap().iter().map(|line| line["seq"].as_u64().unwrap()).collect()
    };
    stage.panel.lock().unwrap().bodies("POST", "/logs").iter().map(numbers).collect()
}

#[tokio::test]
async fn nothing_leaves_before_the_lease_is_confirmed_and_all_of_it_after() {
    let stage = Stage::new("good").await;
    let mut outbox = unconfirmed(&stage).await;
    outbox.add(thought(1)).await.unwrap();
    outbox.add(record()).await.unwrap();
    outbox.add_lines(vec![line("a")]).await.unwrap();
    let early = timeout(Duration::from_millis(400), outbox.drained()).await;
    assert!(early.is_err(), "it left: {early:?}");
    assert!(stage.told().is_empty() && stage.panel.lock().unwrap().requests.is_empty());
    stage.confirm(&SessionKey::from(KEY));
    assert!(outbox.drained().await.unwrap());
    assert_eq!(stage.texts("thought"), ["thought 1"]);
    assert_eq!(posts(&stage), [[1]]);
}

#[tokio::test]
async fn a_lease_that_is_lost_while_effects_wait_ends_the_outbox_and_nothing_was_told() {
    let stage = Stage::new("good").await;
    let mut outbox = unconfirmed(&stage).await;
    outbox.add(thought(1)).await.unwrap();
    outbox.add(record()).await.unwrap();
    stage.means.leases.lose(&SessionKey::from(KEY), TOKEN);
    assert!(!timeout(Duration::from_secs(20), outbox.drained()).await.unwrap().unwrap());
    assert!(stage.told().is_empty() && stage.panel.lock().unwrap().requests.is_empty());
}

#[tokio::test]
async fn a_confirmation_under_another_token_lets_nothing_out() {
    let stage = Stage::new("good").await;
    let mut outbox = unconfirmed(&stage).await;
    outbox.add(thought(1)).await.unwrap();
    let leases = &stage.means.leases;
    let newer = shared::id::FencingToken(TOKEN.0 + 1);
    leases.holds(&SessionKey::from(KEY), newer, Seq(2));
    let claim = shared::worker::LeaseClaim { session_key: SessionKey::from(KEY), token: newer };
    leases.answered(leases.now(), &[claim], &[], Duration::from_secs(3600));
    assert!(!timeout(Duration::from_secs(20), outbox.drained()).await.unwrap().unwrap());
    assert!(stage.told().is_empty());
}

#[tokio::test]
async fn of_a_session_that_the_panel_made_nothing_goes_to_linear() {
    let stage = Stage::new("good").await;
    drop(unconfirmed(&stage).await);
    stage.confirm(&SessionKey::from(KEY));
    let local = shared::event::AgentSession { local: true, ..session() };
    let mut outbox = open(&stage, &local);
    outbox.add(thought(1)).await.unwrap();
    outbox.add(record()).await.unwrap();
    assert!(outbox.drained().await.unwrap());
    assert!(stage.told().is_empty());
    assert_eq!(stage.panel.lock().unwrap().bodies("POST", "/api/sessions").len(), 1);
}

#[tokio::test]
async fn a_question_shows_its_options() {
    let stage = Stage::new("good").await;
    let mut outbox = unconfirmed(&stage).await;
    stage.confirm(&SessionKey::from(KEY));
    let id = activity_id(&session().id, Seq(1), Step::Final);
    let options = vec!["a".to_owned(), "https://github.com/acme/totals".to_owned()];
    outbox.add(Effect::Question { id, body: "Which?".into(), options }).await.unwrap();
    assert!(outbox.drained().await.unwrap());
    let told = stage.told();
    assert_eq!((told[0].kind.as_str(), told[0].signal.as_str()), ("elicitation", Some("select")));
}

#[tokio::test]
async fn a_record_that_is_over_is_not_settled_again() {
    let stage = Stage::new("good").await;
    let mut outbox = unconfirmed(&stage).await;
    stage.confirm(&SessionKey::from(KEY));
    for effect in [
        record(),
        Effect::SettleSession(status(SessionState::Stopped)),
        Effect::SettleSession(status(SessionState::Completed)),
    ] {
        outbox.add(effect).await.unwrap();
    }
    assert!(outbox.drained().await.unwrap());
    let states: Vec<String> = stage.panel.lock().unwrap().states.values().cloned().collect();
    assert_eq!(states, ["stopped"]);
}

#[tokio::test]
async fn an_unwatched_log_has_one_post_on_its_way_and_what_comes_meanwhile_travels_together() {
    let stage = Stage::new("good").await;
    {
        let mut panel = stage.panel.lock().unwrap();
        panel.holds_lines = true;
        panel.flush_ms = 10_000;
    }
    let mut outbox = unconfirmed(&stage).await;
    stage.confirm(&SessionKey::from(KEY));
    outbox.add(record()).await.unwrap();
    outbox.add_lines(vec![line("1")]).await.unwrap();
    stage.until("the first post", |stage| !posts(stage).is_empty()).await;
    for number in 2..=20 {
        outbox.add_lines(vec![line(&number.to_string())]).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(posts(&stage), [vec![1]], "the first is not answered yet");
    stage.panel.lock().unwrap().holds_lines = false;
    assert!(outbox.drained().await.unwrap());
    assert_eq!(posts(&stage), [vec![1], (2..=20).collect()]);
}

#[tokio::test]
async fn a_watched_log_is_posted_at_once_and_at_most_every_100_ms() {
    let stage = Stage::new("good").await;
    stage.panel.lock().unwrap().flush_ms = 2_000;
    let mut outbox = unconfirmed(&stage).await;
    stage.confirm(&SessionKey::from(KEY));
    outbox.add(record()).await.unwrap();
    outbox.add_lines(vec![line("1")]).await.unwrap();
    assert!(outbox.drained().await.unwrap());
    // From here on it is known to be watched, and the Room keeps its posters waiting.
    stage.panel.lock().unwrap().holds_lines = true;
    let begun = Instant::now();
    for number in 2..=60 {
        outbox.add_lines(vec![line(&number.to_string())]).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    stage.until("several posts on their way", |stage| posts(stage).len() >= 4).await;
    let most = begun.elapsed().as_millis() / 100 + 2;
    let count = posts(&stage).len();
    assert!(count <= 9 && count as u128 <= most, "{count} posts in {:?}", begun.elapsed());
    stage.panel.lock().unwrap().holds_lines = false;
    assert!(outbox.drained().await.unwrap());
    let mut all: Vec<u64> = posts(&stage).concat();
    all.dedup();
    assert_eq!(all, (1..=60).collect::<Vec<u64>>(), "each line once, in order");
}

#[tokio::test]
async fn a_panel_that_wants_a_pause_is_given_it() {
    let stage = Stage::new("good").await;
    stage.panel.lock().unwrap().refuse_lines = vec![(429, Some(1)), (503, None)];
    let mut outbox = unconfirmed(&stage).await;
    stage.confirm(&SessionKey::from(KEY));
    outbox.add(record()).await.unwrap();
    outbox.add_lines(vec![line("1")]).await.unwrap();
    stage.until("the first post", |stage| !posts(stage).is_empty()).await;
    let begun = Instant::now();
    assert!(outbox.drained().await.unwrap());
    assert!(begun.elapsed() >= Duration::from_millis(900), "it came back after {:?}", begun.elapsed());
    assert_eq!(posts(&stage), [[1], [1], [1]]);
    assert_eq!(stage.linear.agent_session(SESSION).activities.len(), 0);
}

#[tokio::test]
async fn of_plans_that_wait_the_newest_is_shown_and_a_link_once() {
    let stage = Stage::new("good").await;
    let mut outbox = unconfirmed(&stage).await;
    let plan = |content: &str| Effect::Plan {
        steps: vec![PlanStep { content: content.into(), status: PlanStepStatus::InProgress }],
    };
    let link = || Effect::Link { label: "Page".into(), url: "https://panel.example/1".into() };
    for effect in [plan("one"), link(), plan("two"), link(), plan("three")] {
        outbox.add(effect).await.unwrap();
    }
    stage.confirm(&SessionKey::from(KEY));
    assert!(outbox.drained().await.unwrap());
    let shown = stage.linear.agent_session(SESSION);
    assert_eq!(shown.plan[0]["content"], "three");
    assert_eq!(shown.external_urls.as_array().unwrap().len(), 1);
    assert_eq!(stage.linear.requests().by_operation["AgentSessionUpdate"], 2);
}

#[tokio::test]
async fn what_may_have_been_tried_is_sent_again_as_it_was_however_scarce_it_is() {
    let stage = Stage::new("good").await;
    let journal = stage.means.journal.clone();
    let mut outbox = unconfirmed(&stage).await;
    for line in 1..=3 {
        outbox.add(thought(line)).await.unwrap();
    }
    let rows = journal.waiting(&session().id, Lane::Linear).await.unwrap();
    let sent = journal.about_to_send(Vec::new(), rows[0].id).await.unwrap().unwrap();
    assert_eq!(sent.effect, thought(1));
    let into = rows[2].id;
    let all = vec![Change::Join { into, from: vec![rows[0].id, rows[1].id], body: "joined".into() }];
    let sent = journal.about_to_send(all, into).await.unwrap().unwrap();
    assert!(
        matches!(sent.effect, Effect::Activity { content: ActivityContent::Thought { body }, .. } if body == "joined")
    );
    let left: Vec<i64> =
        journal.waiting(&session().id, Lane::Linear).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(left, [rows[0].id, into], "the first one was tried and stays");
    let again = vec![Change::Drop { id: into, by: into }];
    journal.about_to_send(again, into).await.unwrap();
    assert_eq!(journal.waiting(&session().id, Lane::Linear).await.unwrap().len(), 2);
    let count = journal.coalesced().await.unwrap();
    assert_eq!(count, [(session().id, Coalesced { joined: 1, left_out: 0 })]);
}

#[tokio::test]
async fn no_secret_is_written_down_or_sent() {
    let stage = Stage::new("good").await;
    stage.means.journal.redactor().learn(["a-known-secret-value"]);
    let mut outbox = unconfirmed(&stage).await;
    let id = activity_id(&session().id, Seq(1), Step::Final);
    let content = ActivityContent::Response { body: "It is a-known-secret-value.".into() };
    outbox.add(Effect::Activity { id, content, ephemeral: false }).await.unwrap();
    outbox.add(record()).await.unwrap();
    outbox.add_lines(vec![line("echo a-known-secret-value")]).await.unwrap();
    stage.confirm(&SessionKey::from(KEY));
    assert!(outbox.drained().await.unwrap());
    assert_eq!(stage.texts("response"), ["It is [redacted]."]);
    let posted = stage.panel.lock().unwrap().bodies("POST", "/logs");
    assert_eq!(posted[0]["lines"][0]["message"], "echo [redacted]");
}
