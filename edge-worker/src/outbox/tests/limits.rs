//! Many sessions that talk without an end, against a Linear whose limit is near: it is never over the limit, what
//! matters arrives in time, and what was joined or left out is known. Windows of seconds stand for six minutes.

use std::sync::Arc;

use shared::event::AgentSession;
use shared::id::AgentSessionId;
use shared::linear::governor::Governor;
use shared::linear::weight::Weight;
use testkit::linear::{LinearConfig, LinearHandle, LinearStandIn};
use tokio::task::JoinSet;

use super::*;
use crate::worker::linear_budget::LinearUse;

const WINDOW: Duration = Duration::from_secs(12);
const LIMIT: u32 = 500;
/// What sixty seconds are of six minutes, and as much again for a busy machine.
const FINAL_WITHIN: Duration = Duration::from_secs(4);

async fn linear() -> Arc<LinearHandle> {
    let config = LinearConfig { window: Some((LIMIT, WINDOW)), ..LinearConfig::default() };
    Arc::new(LinearStandIn::start(config).await.unwrap())
}

/// A worker that shares that Linear with others and was granted a part of it.
async fn worker(linear: &Arc<LinearHandle>, slice: u32) -> Stage {
    let spending = LinearUse::governed(Governor::new(u64::try_from(WINDOW.as_millis()).unwrap()));
    spending.grant(Some(slice));
    let stage = Stage::beside(Arc::clone(linear), spending).await;
    let key = SessionKey::from(KEY);
    stage.means.leases.holds(&key, TOKEN, Seq(1));
    stage.confirm(&key);
    stage
}

fn agent_session(id: &str) -> AgentSession {
    AgentSession { id: AgentSessionId::from(id), ..session() }
}

fn activity(id: &AgentSessionId, line: u64, content: ActivityContent) -> Effect {
    let id = activity_id(id, Seq(1), Step::Streaming { token: TOKEN, line });
    Effect::Activity { id, content, ephemeral: line.is_multiple_of(3) }
}

/// A session that says something every 100 ms; returns how long its answer took.
async fn talk(mut outbox: Outbox, id: AgentSessionId, lines: u64) -> Duration {
    let first = activity_id(&id, Seq(1), Step::FirstThought);
    outbox.add(Effect::Words { id: first, body: "On it".into(), weight: Weight::First }).await.unwrap();
    for line in 1..=lines {
        let content = if line.is_multiple_of(3) {
            ActivityContent::Action { action: "Bash".into(), parameter: format!("{line}"), result: None }
        } else {
            ActivityContent::Thought { body: format!("<{line}>") }
        };
        outbox.add(activity(&id, line, content)).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    let end = activity_id(&id, Seq(1), Step::Final);
    let content = ActivityContent::Response { body: "done".into() };
    outbox.add(Effect::Activity { id: end, content, ephemeral: false }).await.unwrap();
    let ended = Instant::now();
    assert!(timeout(Duration::from_secs(60), outbox.drained()).await.unwrap().unwrap());
    ended.elapsed()
}

/// Lets sessions of these workers talk at once, and says what each worker joined and left out.
async fn all_talk(linear: &LinearHandle, workers: &[Stage], sessions: u64, lines: u64) -> Vec<Coalesced> {
    let mut talks = JoinSet::new();
    let mut ids = Vec::new();
    for number in 0..sessions {
        let stage = &workers[usize::try_from(number).unwrap() % workers.len()];
        let id = format!("talking-{number}");
        let session = agent_session(&id);
        stage.means.journal.session(&session.id, &SessionKey::from(KEY)).await.unwrap();
        talks.spawn(talk(open(stage, &session), session.id, lines));
        ids.push(id);
    }
    let mut slowest = Duration::ZERO;
    while let Some(took) = talks.join_next().await {
        slowest = slowest.max(took.unwrap());
    }
    assert!(slowest < FINAL_WITHIN, "an answer took {slowest:?}");
    for id in &ids {
        let told = linear.agent_session(id).activities;
        let kinds: Vec<&str> = told.iter().map(|told| told.kind.as_str()).collect();
        assert_eq!(told.first().map(|told| told.body.as_str()), Some("On it"), "{id}: {kinds:?}");
        assert_eq!(kinds.iter().filter(|kind| **kind == "response").count(), 1, "{id}: {kinds:?}");
        assert_eq!(kinds.last(), Some(&"response"), "{id}");
        let numbers: Vec<u64> = told
            .iter()
            .filter(|told| told.kind == "thought")
            .flat_map(|told| told.body.split(['<', '>']).filter_map(|part| part.parse().ok()))
            .collect();
        assert!(numbers.is_sorted() && numbers.windows(2).all(|two| two[0] < two[1]), "{id}: {numbers:?}");
    }
    let requests = linear.requests();
    assert_eq!(requests.over_limit, 0, "of {} requests", requests.requests);
    let mut all = Vec::new();
    for stage in workers {
        let each = stage.means.journal.coalesced().await.unwrap();
        all.push(each.iter().fold(Coalesced::default(), |sum, (_, one)| Coalesced {
            joined: sum.joined + one.joined,
            left_out: sum.left_out + one.left_out,
        }));
    }
    let told: u64 = ids.iter().map(|id| linear.agent_session(id).activities.len() as u64).sum();
    let saved: u64 = all.iter().map(|one| one.joined + one.left_out).sum();
    assert_eq!(told + saved, sessions * (lines + 2), "what was not told is counted");
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_chatty_sessions_are_never_over_the_limit_and_their_answers_are_in_time() {
    let linear = linear().await;
    let workers = [worker(&linear, 4_750).await];
    let saved = all_talk(&linear, &workers, 30, 60).await;
    assert!(saved[0].joined > 100 && saved[0].left_out > 50, "{saved:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_on_one_workspace_are_never_over_the_limit_together() {
    let linear = linear().await;
    let workers = [worker(&linear, 2_375).await, worker(&linear, 2_375).await];
    let saved = all_talk(&linear, &workers, 30, 40).await;
    assert!(saved.iter().all(|one| one.joined > 20), "{saved:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_single_quiet_session_all_is_told_as_it_is() {
    let linear = linear().await;
    let workers = [worker(&linear, 2_375).await];
    assert_eq!(all_talk(&linear, &workers, 1, 12).await, [Coalesced::default()]);
}
