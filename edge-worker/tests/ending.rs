//! Nothing of a run outlives its end, whatever the agent's shell has started and however `cyrus` ends. With the real
//! `claude`, a scripted model, and `cyrus __inside` as the program that keeps the processes.

#![cfg(target_os = "linux")]

#[path = "scene/agent.rs"]
mod agent;

use std::process::Stdio;
use std::time::{Duration, Instant};

use agent::{Scene, bash, living, within};
use edge_worker::executor::{Exit, RunEnd, process_tree};
use edge_worker::sandbox::lock;
use serde_json::json;
use testkit::model::ScriptedModel;

const LONG: Duration = Duration::from_secs(30);
/// The longest that a stop may take.
const STOP: Duration = Duration::from_secs(3);
/// Set for the child that is killed: its folder, the model's address, and the mark of what its agent starts.
const CHILD: &str = "CYRUS_TEST_CHILD";

/// A fraction of a second that no other process sleeps.
fn mark() -> String {
    format!(".{}", uuid::Uuid::new_v4().as_u128() % 1_000_000_000_000)
}

/// Starts what a plain kill of the process group or of marked processes would miss.
fn escapes(mark: &str) -> String {
    let quiet = "</dev/null >/dev/null 2>&1";
    format!(
        "setsid sleep 1001{mark} {quiet} & \
         (setsid sh -c 'setsid sleep 1002{mark} {quiet} &' {quiet} &) ; \
         env -i /usr/bin/setsid /bin/sleep 1003{mark} {quiet} & \
         setsid python3 -c 'import signal, time, threading
for one in (1, 2, 15): signal.signal(one, signal.SIG_IGN)
threading.Thread(target=time.sleep, args=(1004{mark},)).start()' {quiet} & \
         sleep 1005{mark}"
    )
}

fn all_started(mark: &str) -> bool {
    let living = living(mark);
    (1001..=1005).all(|one| living.iter().any(|line| line.contains(&format!("{one}{mark}"))))
}

#[tokio::test]
async fn a_stop_ends_all_that_the_agent_started_within_three_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, mark) = (Scene::open(folder.path()), mark());
    let model = ScriptedModel::start(0).await.unwrap();
    let script = json!([bash(&escapes(&mark)), {"text": "fin"}]);
    let spec = scene.spec("run_stop", model.url(), &script);
    let run_file = spec.run_file.clone();
    let run = scene.start(spec).await;
    within(LONG, "the agent's processes", || all_started(&mark)).await;
    assert!(lock::is_held(&run_file));
    let begun = Instant::now();
    run.control().stop().await;
    let took = begun.elapsed();
    assert_eq!(living(&mark), Vec::<String>::new());
    assert!(took < STOP, "the stop took {took:?}");
    assert!(!lock::is_held(&run_file));
    let outcome = run.wait().await;
    assert_eq!((outcome.end, outcome.error), (RunEnd::Stopped, None));
}

#[tokio::test]
async fn a_kill_of_cyrus_leaves_none_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, mark) = (Scene::open(folder.path()), mark());
    let model = ScriptedModel::start(0).await.unwrap();
    let told = json!({"folder": scene.path(""), "model": model.url(), "mark": mark}).to_string();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child_that_is_killed", "--ignored"])
        .env(CHILD, told)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    within(LONG, "the agent's processes", || all_started(&mark)).await;
    let run_file = scene.path("runs/run_killed.ndjson");
    assert!(lock::is_held(&run_file));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(process_tree::settle(&run_file, "run_killed").await);
    assert_eq!(living(&mark), Vec::<String>::new(), "alive though the lock is free");
    assert!(!std::fs::read_to_string(&run_file).unwrap().contains("\"subtype\":\"success\""));
}

#[tokio::test]
#[ignore = "only as the child of the test above"]
async fn the_child_that_is_killed() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let word = |name: &str| told[name].as_str().unwrap().to_owned();
    let scene = Scene::open(word("folder").as_ref());
    let script = json!([bash(&escapes(&word("mark"))), {"text": "fin"}]);
    let run = scene.start(scene.spec("run_killed", &word("model"), &script)).await;
    run.wait().await;
}

#[tokio::test]
async fn what_a_finished_agent_left_running_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, mark) = (Scene::open(folder.path()), mark());
    let model = ScriptedModel::start(0).await.unwrap();
    let leave =
        format!("env -i /usr/bin/setsid /bin/sleep 1001{mark} </dev/null >/dev/null 2>&1 & echo left");
    let outcome = scene
        .start(scene.spec("run_leaves", model.url(), &json!([bash(&leave), {"text": "fin"}])))
        .await
        .wait()
        .await;
    assert_eq!((outcome.end, outcome.exit), (RunEnd::Completed, Some(Exit::Code(0))), "{outcome:?}");
    assert_eq!(living(&mark), Vec::<String>::new());
}
