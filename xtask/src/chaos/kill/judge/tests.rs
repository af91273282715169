//! Each rule of the judge, with a session that breaks it.

use serde_json::{Value, json};
use shared::id::RunId;
use uuid::Uuid;

use super::super::plan::Message;
use super::super::seen::Work;
use super::*;

const TEXT: &str = "[s0a1] I do s0a1.";
const LAST: &str = "All done: s0a1.";

struct Scene {
    plan: Session,
    id: AgentSessionId,
    seen: Seen,
    runs: Vec<RunFile>,
}

fn activity(id: String, kind: &str, content: Value) -> ActivityView {
    serde_json::from_value(json!({"id": id, "type": kind, "body": content["body"].as_str().unwrap_or_default(),
        "createdAt": "2026-11-22T10:15:25.781Z", "ephemeral": false, "replaced": false, "signal": null, "content": content}))
    .unwrap()
}

/// One session that went well: one task, one run, one turn.
fn good() -> Scene {
    let (id, run) =
        (AgentSessionId::from("70f3d8b1-c5a2-4e9d-8617-4a2e9b0c5d38"), RunId::from_uuid(Uuid::now_v7()));
    let out = [
        json!({"type": "system", "subtype": "init", "cwd": "/w"}),
        json!({"type": "assistant", "message": {"content": [{"type": "text", "text": TEXT},
            {"type": "tool_use", "id": "toolu_s0a1x0", "name": "Bash", "input": {"command": "true"}}]}}),
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "toolu_s0a1x0", "content": "x"}]}}),
        json!({"type": "assistant", "message": {"content": [{"type": "text", "text": LAST}]}}),
        json!({"type": "result", "subtype": "success", "is_error": false, "result": LAST}),
    ];
    let out: String = out.iter().map(|line| format!("{line}\n")).collect();
    let file = RunFile::of(&run.to_string(), out.as_bytes(), b"");
    let lines = file.log_lines().enumerate().map(|(index, (end, line))| {
        let mut line = LogLine { seq: index as u64 + 1, run_id: Some(run), ..line };
        line.metadata["at"] = json!({"file": "out", "end": end});
        line
    });
    let told = |step| activity_id(&id, Seq(1), step).to_string();
    let activities = vec![
        activity(told(Step::FirstThought), "thought", json!({"body": "On it."})),
        activity("t".into(), "thought", json!({"body": TEXT})),
        activity("a".into(), "action", json!({"action": "Bash", "parameter": "true"})),
        activity(told(Step::Final), "response", json!({"body": format!("{LAST}\n\n---\nBranch")})),
    ];
    let delivery = serde_json::from_value(json!({"id": shared::id::EventId::from_uuid(Uuid::now_v7()), "seq": 1,
        "deliveryId": "d", "kind": "session_created", "sessionKey": "k", "workspaceId": "w", "state": "done",
        "attempts": 0, "takeover": false, "ask": false, "firstThought": false, "receivedAt": "2026-11-22T10:15:25.781Z"}))
    .unwrap();
    let record = serde_json::from_value(
        json!({"id": shared::id::SessionId::from_uuid(Uuid::now_v7()), "sessionKey": "k",
        "agentType": "builder", "executorType": "local", "status": "completed", "listCostMicroUsd": 0,
        "createdAt": "2026-11-22T10:15:25.781Z", "updatedAt": "2026-11-22T10:15:25.781Z", "nextSeq": 1}),
    )
    .unwrap();
    let work = Work {
        files: vec!["work/s0a1".into()],
        subjects: vec!["s0a1".into()],
        pushed: vec!["c1".into()],
        pushed_tree: Some("t1".into()),
        tree: Some("t1".into()),
        ..Work::default()
    };
    let seen =
        Seen { deliveries: vec![delivery], activities, records: vec![record], lines: lines.collect(), work };
    let created = Message { tasks: vec!["s0a1".into()], text: String::new() };
    Scene {
        plan: Session { at: 0, created, in_run: None, stop: None, after: None },
        id,
        seen,
        runs: vec![file],
    }
}

/// Lost, doubled, reordered and wrong, once the scene was changed.
fn after(change: impl FnOnce(&mut Scene)) -> [usize; 4] {
    let mut scene = good();
    change(&mut scene);
    let runs: Vec<&RunFile> = scene.runs.iter().collect();
    let table = session(&scene.plan, &scene.id, &scene.seen, &runs, true);
    [table.lost.len(), table.doubled.len(), table.reordered.len(), table.wrong.len()]
}

#[test]
fn a_session_that_went_well_is_clean() {
    assert_eq!(after(|_| ()), [0; 4]);
}

#[test]
fn a_missing_activity_is_lost_and_a_second_one_doubled() {
    for index in [0, 1, 3] {
        let lost = after(|scene| drop(scene.seen.activities.remove(index)))[0];
        assert!(lost >= 1, "activity {index}");
    }
    let again = |index: usize| {
        after(move |scene| {
            let mut again = scene.seen.activities[index].clone();
            again.id = "other".into();
            scene.seen.activities.push(again);
        })
    };
    for index in [1, 2, 3] {
        assert!(again(index)[1] >= 1, "activity {index}");
    }
}

#[test]
fn an_action_that_gave_way_to_others_is_not_lost() {
    assert_eq!(after(|scene| drop(scene.seen.activities.remove(2))), [0; 4]);
}

#[test]
fn a_missing_line_is_lost_a_second_one_doubled_and_a_wrong_place_is_told() {
    let renumber = |scene: &mut Scene| {
        for (index, line) in scene.seen.lines.iter_mut().enumerate() {
            line.seq = index as u64 + 1;
        }
    };
    assert_eq!(
        after(|scene| {
            scene.seen.lines.remove(2);
            renumber(scene);
        }),
        [1, 0, 0, 0]
    );
    assert_eq!(
        after(|scene| {
            let again = scene.seen.lines[2].clone();
            scene.seen.lines.insert(3, again);
            renumber(scene);
        })[..2],
        [0, 1]
    );
    assert_eq!(
        after(|scene| {
            scene.seen.lines.swap(1, 4);
            renumber(scene);
        }),
        [0, 0, 1, 0]
    );
    assert_eq!(after(|scene| scene.seen.lines[2].metadata["at"]["end"] = json!(7)), [0, 0, 0, 1]);
    assert_eq!(after(|scene| scene.seen.lines[2].seq = 9), [0, 0, 0, 1]);
}

#[test]
fn work_that_is_not_on_the_branch_or_not_pushed_is_lost_and_twice_is_doubled() {
    assert_eq!(after(|scene| scene.seen.work.files.clear()), [1, 0, 0, 0]);
    assert_eq!(after(|scene| scene.seen.work.pushed_tree = None), [1, 0, 0, 0]);
    assert_eq!(after(|scene| scene.seen.work.subjects.push("s0a1".into())), [0, 1, 0, 0]);
    assert_eq!(after(|scene| scene.seen.work.pushed.push("c1".into())), [0, 1, 0, 0]);
    assert_eq!(after(|scene| scene.seen.work.dirty.push("?? x".into())), [0, 0, 0, 1]);
}

#[test]
fn an_event_that_is_open_a_failed_record_and_an_error_are_wrong() {
    assert_eq!(after(|scene| scene.seen.deliveries[0].state = EventState::Accepted)[3], 1);
    assert_eq!(after(|scene| scene.seen.records[0].status = SessionState::Failed), [0, 0, 0, 1]);
    assert_eq!(after(|scene| scene.seen.records.clear()), [1, 0, 0, 0]);
    let error = activity("e".into(), "error", json!({"body": "oh"}));
    assert_eq!(after(|scene| scene.seen.activities.insert(2, error)), [0, 0, 0, 1]);
}

#[test]
fn an_answer_that_does_not_name_the_task_is_wrong() {
    let other = json!({"body": "All done: s0a12."});
    let found = after(|scene| scene.seen.activities[3].content = other.as_object().unwrap().clone());
    assert!(found[0] >= 1, "{found:?}");
}

#[test]
fn a_follow_up_is_answered_within_the_turn_or_by_an_answer_of_its_own_and_not_by_both() {
    let follow_up = |scene: &mut Scene, own: bool, within: bool| {
        let mut delivery = scene.seen.deliveries[0].clone();
        delivery.seq = Seq(2);
        scene.seen.deliveries.push(delivery);
        scene.plan.in_run = Some((1, Message { tasks: vec!["s0f1".into()], text: String::new() }));
        let id = |step| activity_id(&scene.id, Seq(2), step).to_string();
        let (first, last) = (id(Step::FirstThought), id(Step::Final));
        scene.seen.activities.push(activity(first, "thought", json!({"body": "Got it."})));
        if within {
            let body = json!({"body": format!("{LAST} s0f1")});
            scene.seen.activities[3].content = body.as_object().unwrap().clone();
            scene.seen.activities[3].body = body["body"].as_str().unwrap().into();
        }
        if own {
            scene.seen.activities.push(activity(last, "response", json!({"body": "And: s0f1."})));
        }
    };
    assert_eq!(after(|scene| follow_up(scene, true, false)), [0; 4]);
    assert_eq!(after(|scene| follow_up(scene, false, true)), [0; 4]);
    assert_eq!(after(|scene| follow_up(scene, true, true)), [0, 1, 0, 0]);
    assert_eq!(after(|scene| follow_up(scene, false, false)), [1, 0, 0, 0]);
}
