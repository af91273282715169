//! What a session does, from its first event to the last word, with a stand-in agent.

mod asking;
mod issue;
mod nasty;
mod shown;
mod troubles;
mod workplace;

use serde_json::json;
use shared::activity_id::{Step, activity_id};
use shared::event::{AgentSession, Event, EventBody};
use shared::id::{AgentSessionId, Seq, SessionId, SessionKey};
use shared::linear::activity::{ActivityContent, NewActivity};
use shared::linear::weight::Weight;
use shared::turn::{Fact, Turn};
use testkit::linear::{Fault, FaultKind, SeedIssue};

use super::route::{Decision, decide};
use super::stage::{
    KEY, SESSION, Stage, TOKEN, created, hello, moved, new_run, prompted, session, stopped, taken,
};
use super::{Told, stopped_away};
use crate::executor::{Output, Place};
use crate::journal::effect::Effect;
use crate::journal::event::Taken;
use crate::journal::run::Told as RunTold;
use crate::worker::{fresh_uuid, now};

/// Posts as another worker would have.
async fn elsewhere(stage: &Stage, seq: u64, step: Step, content: ActivityContent) {
    let id = session().id;
    let activity = NewActivity::new(activity_id(&id, Seq(seq), step), id, content);
    let linear = stage.means.outside.linear.as_ref().unwrap();
    let permit = linear.spending().turn(Weight::Milestone, 15).await;
    linear.post(permit, &activity).await.unwrap();
    // Linear's stamps have ms: the next thing said is of a later one.
    let stamp = now();
    while now() <= stamp {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

fn response(body: &str) -> ActivityContent {
    ActivityContent::Response { body: body.into() }
}

fn thought(body: &str) -> ActivityContent {
    ActivityContent::Thought { body: body.into() }
}

fn states(stage: &Stage) -> Vec<String> {
    stage.panel.lock().unwrap().states.values().cloned().collect()
}

#[tokio::test]
async fn what_another_worker_answered_is_done_without_a_run_and_said_once() {
    let mut stage = Stage::new("good").await;
    elsewhere(&stage, 1, Step::FirstThought, thought("On it.")).await;
    elsewhere(&stage, 2, Step::FirstThought, thought("Got it.")).await;
    elsewhere(&stage, 1, Step::Final, response("Done there.")).await;
    let before = stage.told();
    let task = stage.begin(moved(created(1))).await;
    stage.go_on(&task, moved(prompted(2, "and round it"))).await;
    stage.until_done(&[1, 2]).await;
    assert_eq!(stage.told(), before);
    assert_eq!(stage.prompt(), None, "no agent ran");
    assert_eq!(states(&stage), ["completed"]);
    assert_eq!(
        stage.linear.requests().by_operation.get("AgentSession"),
        Some(&1),
        "the history is read once"
    );
}

#[tokio::test]
async fn what_nobody_answered_goes_on_with_what_was_said_before() {
    let mut stage = Stage::new("good").await;
    elsewhere(&stage, 1, Step::FirstThought, thought("On it.")).await;
    elsewhere(&stage, 1, Step::Final, response("I made a column.")).await;
    elsewhere(&stage, 2, Step::FirstThought, thought("Got it.")).await;
    let _task = stage.begin(moved(prompted(2, "round it"))).await;
    stage.until_done(&[2]).await;
    let (_, prompt) = stage.prompt().unwrap();
    for part in ["I made a column.", "round it", "Show totals", "Another machine"] {
        assert!(prompt.contains(part), "{part}: {prompt}");
    }
    assert_eq!(stage.texts("thought").iter().filter(|text| *text == "Got it.").count(), 1);
    assert_eq!(stage.texts("response").len(), 2);
}

#[tokio::test]
async fn a_history_that_linear_does_not_show_yet_is_waited_for() {
    let mut stage = Stage::new("good").await;
    elsewhere(&stage, 1, Step::Final, response("Done there.")).await;
    let fault =
        Fault { operation: Some("AgentSession".into()), kind: FaultKind::Http500, times: 2, delay_ms: 0 };
    stage.linear.set_fault(fault);
    let _task = stage.begin(moved(created(1))).await;
    stage.until_done(&[1]).await;
    assert_eq!(stage.texts("response"), ["Done there."]);
    assert_eq!(stage.prompt(), None);
}

#[tokio::test]
async fn a_message_that_a_running_turn_takes_in_is_acknowledged() {
    let mut stage = Stage::new("silent").await;
    let task = stage.begin(created(1)).await;
    stage.until("the run", |stage| states(stage) == ["running"]).await;
    stage.go_on(&task, prompted(2, "and this")).await;
    let heard = activity_id(&session().id, Seq(2), Step::FirstThought).to_string();
    stage.until("the acknowledgement", |stage| stage.told().iter().any(|told| told.id == heard)).await;
    stage.go_on(&task, stopped(3)).await;
    stage.until_done(&[1, 2, 3]).await;
    assert_eq!(states(&stage), ["stopped"]);
    assert_eq!(stage.texts("response").len(), 1);
}

#[tokio::test]
async fn a_stop_that_comes_while_a_slot_is_awaited_ends_the_session_without_a_run() {
    let mut stage = Stage::new("good").await;
    let busy = stage.means.slots.wait("app").await;
    let task = stage.begin(created(1)).await;
    stage.go_on(&task, prompted(2, "and this")).await;
    stage.until("the first thought", |stage| !stage.told().is_empty()).await;
    stage.go_on(&task, stopped(3)).await;
    stage.until_done(&[1, 2, 3]).await;
    drop(busy);
    assert_eq!(stage.prompt(), None);
    assert_eq!(stage.texts("response"), ["Stopped. Nothing was running."]);
    assert_eq!(states(&stage), ["stopped"]);
}

#[tokio::test]
async fn a_lease_that_was_lost_while_a_slot_was_awaited_starts_no_run() {
    let stage = Stage::new("good").await;
    let busy = stage.means.slots.wait("app").await;
    let task = stage.begin(created(1)).await;
    stage.until("the first thought", |stage| !stage.told().is_empty()).await;
    stage.means.leases.lose(&SessionKey::from(KEY), TOKEN);
    task.send(Told::LeaseLost).await.unwrap();
    drop(busy);
    task.closed().await;
    assert_eq!(stage.prompt(), None);
    assert_eq!(stage.told().len(), 1);
}

fn local(id: SessionId) -> AgentSession {
    AgentSession { id: AgentSessionId(id.to_string()), issue: None, local: true, ..session() }
}

fn run_requested(seq: u64, id: SessionId, repository: Option<&str>) -> Taken {
    let repository = repository.map(str::to_owned);
    taken(seq, EventBody::RunRequested { agent_session: local(id), prompt: "Tidy up".into(), repository })
}

#[tokio::test]
async fn a_run_from_the_panel_is_recorded_under_its_own_id_and_linear_hears_nothing() {
    let mut stage = Stage::new("good").await;
    let id = SessionId::from_uuid(fresh_uuid());
    let task = stage.begin(run_requested(1, id, None)).await;
    stage.until_done(&[1]).await;
    assert!(stage.prompt().unwrap().1.contains("Tidy up"));
    let follow_up = EventBody::SessionPrompted {
        agent_session: local(id),
        activity_id: "x".into(),
        text: "More".into(),
        from_panel: true,
    };
    stage.go_on(&task, taken(2, follow_up)).await;
    stage.until_done(&[2]).await;
    assert!(stage.prompt().unwrap().1.contains("More"));
    let stop =
        EventBody::SessionStopped { agent_session: local(id), activity_id: "y".into(), from_panel: true };
    stage.go_on(&task, taken(3, stop)).await;
    stage.until_done(&[3]).await;
    let panel = stage.panel.lock().unwrap();
    assert_eq!(panel.states.iter().collect::<Vec<_>>(), [(&id.to_string(), &"completed".to_owned())]);
    assert!(!panel.bodies("POST", &format!("/api/sessions/{id}/logs")).is_empty());
    drop(panel);
    assert_eq!(stage.linear.requests().requests, 0);
}

#[tokio::test]
async fn a_check_answers_with_the_version_or_the_reason_and_nothing_else_happens() {
    let mut stage = Stage::new("good").await;
    let _busy = stage.means.slots.wait("app").await;
    for (seq, executor, ok) in [(1, "claude", true), (2, "nothing\u{0}\u{1f980}", false)] {
        let id = AgentSessionId(format!("check_{seq}"));
        let agent_session = AgentSession { id, issue: None, local: true, ..session() };
        let body = EventBody::CheckRequested { agent_session, executor: executor.into() };
        let _task = stage.begin(taken(seq, body)).await;
        stage.until_done(&[seq]).await;
        let finished = stage.means.journal.unconfirmed().await.unwrap();
        let result = finished.iter().find(|one| one.seq == Seq(seq)).unwrap().result.clone().unwrap();
        assert_eq!((&result["ok"], &result["executor"]), (&ok.into(), &executor.into()), "{result}");
        assert_eq!(result["version"].is_null(), !ok);
        assert_eq!(result["reason"].is_null(), ok);
    }
    assert!(stage.panel.lock().unwrap().requests.is_empty() && stage.told().is_empty());
}

#[tokio::test]
async fn a_person_who_is_asked_chooses_the_repository_by_the_next_message() {
    let mut stage = Stage::with("good", &["app", "site"]).await;
    let asked = Taken { ask: true, ..created(1) };
    let task = stage.begin(asked).await;
    stage.until_done(&[1]).await;
    assert_eq!(stage.texts("elicitation").len(), 1);
    assert_eq!(states(&stage), ["awaiting_input"]);
    assert_eq!(served(&stage.means, &prompted(2, "hm").event).await, Ok(None), "the answer is ours");
    stage.go_on(&task, prompted(2, "the best one")).await;
    stage.until_done(&[2]).await;
    assert_eq!(stage.texts("elicitation").len(), 2, "words that name none are asked back");
    stage.go_on(&task, prompted(3, "Site, please.")).await;
    stage.until_done(&[3]).await;
    let (tree, prompt) = stage.prompt().unwrap();
    assert!(tree.to_string_lossy().contains("/site/"), "{tree:?}");
    assert!(prompt.contains("A sum column") && prompt.contains("Site, please."), "{prompt}");
    assert_eq!(states(&stage), ["completed"]);
    assert_eq!(
        served(&stage.means, &prompted(4, "[repo=app]").event).await,
        Ok(Some("site".into())),
        "a session stays where it is"
    );
}

fn of(taken: Taken) -> Event {
    taken.event
}

/// The first repository that an event is routed to; `Err`: it is not served.
async fn served(means: &super::Means, event: &Event) -> Result<Option<String>, ()> {
    match decide(means, event).await {
        Decision::Served(assignment) => Ok(assignment.and_then(|one| one.first().map(str::to_owned))),
        Decision::NotServed => Err(()),
    }
}

#[tokio::test]
async fn labels_that_the_webhook_lacks_are_fetched_and_a_linear_that_is_away_leaves_the_webhooks_word() {
    let mut stage = Stage::with("good", &["app", "site"]).await;
    stage.configure("app", |config| config.routing_labels = vec!["backend".into()]);
    stage.configure("site", |config| config.team_keys = vec!["ENG".into()]);
    let labels = vec!["Backend".to_owned()];
    stage.linear.seed_issue(SeedIssue {
        id: Some(KEY.into()),
        identifier: Some("ENG-1".into()),
        labels,
        ..SeedIssue::default()
    });
    assert_eq!(served(&stage.means, &of(created(1))).await, Ok(Some("app".into())));
    stage.linear.set_fault(Fault {
        operation: Some("Issue".into()),
        kind: FaultKind::Http500,
        times: 9,
        delay_ms: 0,
    });
    assert_eq!(served(&stage.means, &of(created(1))).await, Ok(Some("site".into())));
    stage.linear.clear_faults();
    let late = Fault { operation: Some("Issue".into()), kind: FaultKind::Slow, times: 1, delay_ms: 20_000 };
    stage.linear.set_fault(late);
    assert_eq!(served(&stage.means, &of(created(1))).await, Ok(Some("site".into())));
    stage.configure("site", |config| config.team_keys = vec!["OPS".into()]);
    stage.configure("app", |config| config.routing_labels = vec!["frontend".into()]);
    assert_eq!(served(&stage.means, &of(created(1))).await, Err(()));
    assert_eq!(served(&stage.means, &of(stopped(2))).await, Ok(None));
}

#[tokio::test]
async fn one_plain_repository_serves_all_without_asking_linear() {
    let stage = Stage::new("good").await;
    assert_eq!(served(&stage.means, &of(created(1))).await, Ok(Some("app".into())));
    let id = SessionId::from_uuid(fresh_uuid());
    for (name, decision) in [
        (None, Ok(Some("app".into()))),
        (Some("App"), Ok(Some("app".into()))),
        (Some("other"), Err(())),
        (Some(""), Err(())),
    ] {
        assert_eq!(served(&stage.means, &of(run_requested(1, id, name))).await, decision, "{name:?}");
    }
    assert_eq!(stage.linear.requests().requests, 0);
}

#[tokio::test]
async fn a_session_that_was_stopped_while_the_worker_was_away_ends_in_silence_after_a_restart() {
    let mut stage = Stage::new("good").await;
    let key = SessionKey::from(KEY);
    let journal = stage.means.journal.clone();
    for event in [created(1), prompted(2, "and this")] {
        stage.take(&event).await;
    }
    journal.session(&session().id, &key).await.unwrap();
    journal.run_begins(&session().id, Turn::of(Seq(1)), new_run("c")).await.unwrap();
    let waiting = Effect::Activity { id: fresh_uuid(), content: thought("unsaid"), ephemeral: false };
    journal.add_effect(&session().id, waiting).await.unwrap();
    let told = stopped_away(&journal, &key, TOKEN).await.unwrap().unwrap();
    // What comes after the stop is not meant by it.
    stage.take(&prompted(3, "go on after all")).await;
    let (intervals, leases) = hello(&key, true);
    stage.means.leases.hello(stage.means.leases.now(), intervals, &leases);
    let busy = stage.means.slots.wait("app").await;
    let (sender, inbox) = tokio::sync::mpsc::channel(4);
    sender.send(told).await.unwrap();
    sender.send(Told::Event(Box::new(prompted(3, "go on after all")))).await.unwrap();
    tokio::spawn(super::run(stage.means.clone(), key.clone(), inbox));
    stage.until_done(&[1, 2]).await;
    assert_eq!(states(&stage), ["stopped"]);
    let open: Vec<Seq> = journal.open_events().await.unwrap().iter().map(|taken| taken.seq).collect();
    assert_eq!(open, [Seq(3)]);
    drop(busy);
    assert!(
        stage
            .told()
            .iter()
            .all(|told| told.id == activity_id(&session().id, Seq(3), Step::FirstThought).to_string())
    );
    stage.until_done(&[3]).await;
    assert!(stage.prompt().unwrap().1.contains("go on after all"));
    assert!(!stage.texts("thought").contains(&"unsaid".to_owned()));
    assert_eq!(stopped_away(&journal, &key, TOKEN).await.unwrap().map(|_| ()), None, "nothing is open");
}

/// What the agent is started with after its run was killed: its arguments and its prompt.
async fn started_again(transcript: Option<&str>) -> (String, String) {
    const CONVERSATION: &str = "0b9e3a52-6f0e-4a7e-9a83-0c3a2d1f4b5c";
    let mut stage = Stage::new("good").await;
    let journal = stage.means.journal.clone();
    journal.session(&session().id, &SessionKey::from(KEY)).await.unwrap();
    let run = new_run(CONVERSATION);
    let turn = Turn::of(Seq(1)).after(Fact::Begins { run: run.id }).unwrap();
    journal.run_begins(&session().id, turn, run).await.unwrap();
    if let Some(text) = transcript {
        let state_dir = stage.means.config.now().state_dir.clone();
        let project = super::workplace::conversations(&state_dir, &session().id).join("projects/-w");
        std::fs::create_dir_all(&project).unwrap();
        std::fs::write(project.join(format!("{CONVERSATION}.jsonl")), text).unwrap();
    }
    let _task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    assert_eq!(states(&stage), ["completed"]);
    let (worktree, prompt) = stage.prompt().unwrap();
    (std::fs::read_to_string(worktree.join("args.txt")).unwrap(), prompt)
}

#[tokio::test]
async fn a_run_that_was_killed_in_its_first_moments_begins_anew_with_the_whole_task() {
    for transcript in [None, Some("")] {
        let (arguments, prompt) = started_again(transcript).await;
        assert!(arguments.contains("--session-id") && !arguments.contains("--resume"), "{arguments}");
        assert!(prompt.contains("Show totals") && !prompt.contains("You were interrupted"), "{prompt}");
    }
}

#[tokio::test]
async fn a_run_that_was_killed_later_goes_on_in_its_conversation() {
    let (arguments, prompt) = started_again(Some("{}\n")).await;
    assert!(arguments.contains("--resume=0b9e3a52-6f0e-4a7e-9a83-0c3a2d1f4b5c"), "{arguments}");
    assert!(prompt.contains("You were interrupted") && prompt.contains("Show totals"), "{prompt}");
}

#[tokio::test]
async fn a_run_that_is_live_when_the_stop_is_heard_of_ends_and_says_nothing() {
    let mut stage = Stage::new("silent").await;
    let task = stage.begin(created(1)).await;
    stage.until("the run", |stage| states(stage) == ["running"]).await;
    stage.until("the first thought", |stage| stage.told().len() == 1).await;
    let told = stopped_away(&stage.means.journal, &SessionKey::from(KEY), TOKEN).await.unwrap().unwrap();
    task.send(told).await.unwrap();
    stage.until_done(&[1]).await;
    assert_eq!(states(&stage), ["stopped"]);
    assert_eq!(stage.told().len(), 1, "{:?}", stage.told());
    let remembered = stage.means.journal.session(&session().id, &SessionKey::from(KEY)).await.unwrap();
    assert_eq!(remembered.open_run, None);
}

#[tokio::test]
async fn a_stop_from_before_under_a_lost_lease_closes_nothing_that_moved() {
    let stage = Stage::new("good").await;
    let key = SessionKey::from(KEY);
    stage.take(&created(1)).await;
    let told = stopped_away(&stage.means.journal, &key, TOKEN).await.unwrap().unwrap();
    stage.means.leases.lose(&key, TOKEN);
    let (sender, inbox) = tokio::sync::mpsc::channel(4);
    sender.send(told).await.unwrap();
    super::run(stage.means.clone(), key, inbox).await;
    assert!(stage.panel.lock().unwrap().requests.is_empty() && stage.told().is_empty());
    assert!(stage.means.journal.unconfirmed().await.unwrap().is_empty(), "no `done` for what moved");
}

/// A run that was begun for event 1, took in `members`, wrote `out`, of which `told` bytes were told, and was left.
async fn left_run(stage: &Stage, members: &[Taken], out: &str, told: u64, stopped: bool) {
    let journal = &stage.means.journal;
    journal.session(&session().id, &SessionKey::from(KEY)).await.unwrap();
    let run = new_run("0b9e3a52-6f0e-4a7e-9a83-0c3a2d1f4b5c");
    let mut turn = Turn::of(Seq(1)).after(Fact::Begins { run: run.id }).unwrap();
    for member in members {
        stage.take(member).await;
        turn = turn.after(Fact::Takes { seq: member.seq }).unwrap();
    }
    if stopped {
        turn = turn.after(Fact::Stops).unwrap();
    }
    let runs = stage.means.config.now().state_dir.join("runs");
    std::fs::create_dir_all(&runs).unwrap();
    std::fs::write(runs.join(format!("{}.ndjson", run.id)), out).unwrap();
    let id = run.id;
    journal.run_begins(&session().id, turn, run).await.unwrap();
    let places = vec![Place { output: Output::Out, end: told }];
    let lines = Vec::new();
    journal
        .tell(&session().id, RunTold { run: id, places, lines, compose: |_| (vec![], None) })
        .await
        .unwrap();
}

fn line(value: serde_json::Value) -> String {
    format!("{value}\n")
}

fn says(words: &str) -> String {
    line(json!({"type": "assistant", "message": {"content": [{"type": "text", "text": words}]}}))
}

fn ends(words: &str) -> String {
    line(json!({"type": "result", "subtype": "success", "is_error": false, "terminal_reason": "completed",
        "result": words, "num_turns": 1, "total_cost_usd": 0.25}))
}

/// The messages of the session's lines in the panel.
fn lines_of(stage: &Stage) -> Vec<String> {
    let panel = stage.panel.lock().unwrap();
    let mut seen = std::collections::BTreeMap::new();
    for post in panel.bodies("POST", "/logs") {
        for line in post["lines"].as_array().unwrap() {
            seen.insert(line["seq"].as_u64().unwrap(), line["message"].as_str().unwrap().to_owned());
        }
    }
    seen.into_values().collect()
}

#[tokio::test]
async fn a_run_that_ended_while_cyrus_was_dead_is_answered_and_not_run_again() {
    let mut stage = Stage::new("good").await;
    let told = says("told before");
    let out = format!("{told}{}{}{}", says("a thought"), says("All done."), ends("All done."));
    left_run(&stage, &[], &out, told.len() as u64, false).await;
    let _task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    assert_eq!(stage.prompt(), None, "no agent ran");
    assert_eq!(states(&stage), ["completed"]);
    assert!(stage.texts("thought").contains(&"a thought".to_owned()));
    assert_eq!(stage.texts("response").len(), 1);
    assert!(stage.texts("response")[0].starts_with("All done."), "{:?}", stage.texts("response"));
    assert_eq!(lines_of(&stage), ["a thought", "All done.", "All done."]);
}

#[tokio::test]
async fn a_run_that_was_cut_off_begins_again_with_all_that_its_turn_was_told() {
    let mut stage = Stage::new("good").await;
    let out = says("working on it");
    left_run(&stage, &[prompted(2, "and round it")], &out, 0, false).await;
    let task = stage.begin(created(1)).await;
    let member = Taken { turn: Some(Seq(1)), ..prompted(2, "and round it") };
    task.send(Told::Event(Box::new(member))).await.unwrap();
    stage.until_done(&[1, 2]).await;
    let (_, prompt) = stage.prompt().unwrap();
    assert!(prompt.contains("Show totals") && prompt.contains("and round it"), "{prompt}");
    assert_eq!(stage.texts("response").len(), 1, "one turn, one answer");
    assert_eq!(lines_of(&stage).first().map(String::as_str), Some("working on it"));
    assert!(stage.texts("thought").contains(&"working on it".to_owned()), "no words are lost");
}

#[tokio::test]
async fn a_turn_that_was_stopped_just_before_the_crash_ends_without_another_run() {
    let mut stage = Stage::new("good").await;
    left_run(&stage, &[stopped(2)], &says("working on it"), 0, true).await;
    let task = stage.begin(created(1)).await;
    task.send(Told::Event(Box::new(Taken { turn: Some(Seq(1)), ..stopped(2) }))).await.unwrap();
    stage.until_done(&[1, 2]).await;
    assert_eq!(stage.prompt(), None, "no agent ran");
    assert_eq!(states(&stage), ["stopped"]);
    assert_eq!(stage.texts("response").len(), 1);
}

#[tokio::test]
async fn a_stop_whose_turn_the_hub_has_cancelled_ends_what_was_left_and_tells_the_rest_of_it() {
    let mut stage = Stage::new("good").await;
    stage.take(&created(1)).await;
    left_run(&stage, &[], &says("working on it"), 0, false).await;
    stage.means.journal.set_repository(&session().id, "app".into()).await.unwrap();
    stage.means.journal.give_up(vec![Seq(1)]).await.unwrap();
    let _task = stage.begin(stopped(2)).await;
    stage.until_done(&[2]).await;
    assert_eq!(stage.prompt(), None, "no agent ran");
    assert_eq!(states(&stage), ["stopped"]);
    assert_eq!(lines_of(&stage), ["working on it"]);
    assert!(stage.texts("thought").contains(&"working on it".to_owned()));
    assert_eq!(stage.texts("response").len(), 1);
    assert_eq!(stage.means.journal.unended_turn(&session().id).await.unwrap(), None);
}

#[tokio::test]
async fn a_turn_at_a_usage_limit_waits_for_its_reset_where_that_is_wanted() {
    let mut stage = Stage::new("limited").await;
    stage.settings(|config| config.usage_limit.resume = true);
    let _task = stage.begin(created(1)).await;
    stage.until("it is parked", |stage| states(stage) == ["parked"]).await;
    let said = |stage: &Stage| stage.texts("thought").iter().any(|text| text.contains("used up until"));
    stage.until("the person is told", said).await;
    stage.until("it holds no slot", |stage| stage.means.slots.count().1 == 0).await;
    stage.until_done(&[1]).await;
    assert_eq!(states(&stage), ["completed"]);
    assert_eq!(stage.texts("response").len(), 1);
    assert!(stage.texts("error").is_empty());
}

#[tokio::test]
async fn a_turn_at_a_usage_limit_ends_with_the_way_to_wait_where_that_is_not_wanted() {
    let mut stage = Stage::new("limited").await;
    let _task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    assert_eq!(states(&stage), ["failed"]);
    assert!(stage.texts("error")[0].contains("usageLimit"), "{:?}", stage.texts("error"));
}

#[tokio::test]
async fn a_stop_ends_a_turn_that_waits_for_a_reset() {
    let mut stage = Stage::new("limited").await;
    stage.settings(|config| config.usage_limit.resume = true);
    let task = stage.begin(created(1)).await;
    stage.until("it is parked", |stage| states(stage) == ["parked"]).await;
    stage.go_on(&task, stopped(2)).await;
    stage.until_done(&[1, 2]).await;
    assert_eq!(states(&stage), ["stopped"]);
}

#[tokio::test]
async fn what_a_run_left_that_was_stopped_while_cyrus_was_dead_is_in_the_log_and_at_the_remote() {
    let mut stage = Stage::new("good").await;
    let remote = stage.remote("app");
    let key = SessionKey::from(KEY);
    let journal = stage.means.journal.clone();
    let first = stage.begin(created(9)).await;
    stage.until_done(&[9]).await;
    drop(first);
    let (worktree, _) = stage.prompt().unwrap();
    std::fs::write(worktree.join("later.txt"), "later").unwrap();
    stage.take(&created(1)).await;
    left_run(&stage, &[], &says("working on it"), 0, false).await;
    let (said, told) = (stage.told().len(), stopped_away(&journal, &key, TOKEN).await.unwrap().unwrap());
    let (sender, inbox) = tokio::sync::mpsc::channel(4);
    sender.send(told).await.unwrap();
    tokio::spawn(super::run(stage.means.clone(), key.clone(), inbox));
    stage.until_done(&[1]).await;
    assert_eq!(states(&stage), ["stopped"]);
    assert_eq!(stage.told().len(), said, "the proxy has told Linear");
    assert!(lines_of(&stage).contains(&"working on it".to_owned()));
    assert_eq!(journal.unended_turn(&session().id).await.unwrap(), None);
    let kept = format!("refs/cyrus/wip/{SESSION}:later.txt");
    let shown =
        std::process::Command::new("git").arg("-C").arg(remote).args(["show", &kept]).output().unwrap();
    assert_eq!(String::from_utf8(shown.stdout).unwrap(), "later");
}

#[tokio::test]
async fn a_run_that_says_nothing_for_long_gives_a_sign_of_life_now_and_then() {
    let mut stage = Stage::new("works").await;
    stage.settings(|config| config.sign_of_life = std::time::Duration::from_millis(50));
    let task = stage.begin(created(1)).await;
    let signs =
        |stage: &Stage| stage.texts("thought").iter().filter(|text| text.contains("still at work")).count();
    stage.until("two signs of life", |stage| signs(stage) >= 2).await;
    stage.go_on(&task, stopped(2)).await;
    stage.until_done(&[1, 2]).await;
}
