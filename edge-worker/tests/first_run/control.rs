//! Commands that speak with the `cyrus` that runs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Child;

use crate::newcomer::{Newcomer, bash, find, git, said, script};

const WAIT: &str =
    "echo half >half.txt; while [ ! -e go ]; do python3 -c 'import time; time.sleep(0.05)'; done";

/// Waits until the agent waits, and tells the worktree.
async fn until_it_waits(newcomer: &Newcomer) -> std::path::PathBuf {
    let trees = newcomer.folder.path().join("home/.cyrus/worktrees");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(file) = find(&trees, "half.txt") {
            return file.parent().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "the agent did not begin");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn status(newcomer: &mut Newcomer) -> Value {
    serde_json::from_str(&newcomer.cyrus(&["status", "--json"]).await.out).unwrap()
}

/// A worker whose proxy is away.
async fn worker(newcomer: &mut Newcomer) -> Child {
    let key = format!("cyw_01h455vb4pex5vsknk084sn02q_{}", "ab".repeat(32));
    let mut command = newcomer.command(&["start"]);
    command.env("CYRUS_PROXY_URL", "http://127.0.0.1:9").env("CONTROL_PANEL_API_KEY", key);
    assert_eq!(newcomer.cyrus(&["init"]).await.code, Some(0));
    let child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while status(newcomer).await.get("running") != Some(&json!(true)) {
        assert!(Instant::now() < deadline, "it does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    child
}

#[tokio::test]
async fn a_run_hears_what_is_said_to_it_and_goes_on_when_it_has_ended() {
    let Some(mut newcomer) = Newcomer::new().await else { return };
    let prompt = script(&json!([bash(WAIT), {"text": "Waited."}]));
    let child = newcomer.command(&["run", "--json", &prompt]).spawn().unwrap();
    let worktree = until_it_waits(&newcomer).await;
    let state = status(&mut newcomer).await;
    assert_eq!((&state["running"], &state["state"]), (&json!(true), &json!("run")), "{state}");
    let refused = newcomer.cyrus(&["run", "something else"]).await;
    assert!(refused.code == Some(1) && refused.error.contains("cyrus start"), "{}", refused.error);
    let heard = newcomer.cyrus(&["say", "add-greeting", "also", "this"]).await;
    assert_eq!(heard.code, Some(0), "{}", heard.error);
    std::fs::write(worktree.join("go"), "").unwrap();
    let done = said(child).await;
    assert_eq!(done.code, Some(0), "{}\n{}", done.out, done.error);
    assert_eq!(status(&mut newcomer).await["running"], json!(false));

    let report: Value = serde_json::from_str(&done.out).unwrap();
    let name = report["session"].as_str().unwrap();
    let again = newcomer.cyrus(&["say", name, "And? <<SCRIPT [{\"text\":\"Still here.\"}] SCRIPT>>"]).await;
    assert_eq!((again.code, again.out.trim()), (Some(0), "Still here."), "{}", again.error);
    let log = newcomer.cyrus(&["logs", name, "--json"]).await.out;
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
    let numbers: Vec<u64> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
        .collect();
    assert!(numbers.is_sorted() && numbers.len() > 5, "{numbers:?}");
}

#[tokio::test]
async fn beside_a_worker_runs_go_through_it_and_it_is_stopped_by_a_command() {
    let Some(mut newcomer) = Newcomer::new().await else { return };
    let mut worker = worker(&mut newcomer).await;
    assert_eq!(status(&mut newcomer).await["state"], json!("connecting"));
    let done = newcomer.cyrus(&["run", &script(&json!([{"text": "Hosted."}]))]).await;
    assert_eq!((done.code, done.out.trim()), (Some(0), "Hosted."), "{}", done.error);

    let child = newcomer.command(&["run", "--json", &script(&json!([bash(WAIT)]))]).spawn().unwrap();
    until_it_waits(&newcomer).await;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let stopped = said(child).await;
    let report: Value = serde_json::from_str(&stopped.out).unwrap();
    assert_eq!(report["status"], "stopped", "{report} {}", stopped.error);
    let branch = report["branch"].as_str().unwrap();
    assert_eq!(git(&newcomer.app(), &["show", &format!("{branch}:half.txt")]), "half");

    let stop = newcomer.cyrus(&["stop", "--now", "--json"]).await;
    assert_eq!((stop.code, stop.out.trim()), (Some(0), r#"{"ended":true}"#), "{}", stop.error);
    assert!(worker.wait().await.unwrap().success());
    let nobody = newcomer.cyrus(&["stop"]).await;
    assert!(nobody.code == Some(1) && nobody.error.contains("no cyrus runs"), "{}", nobody.error);
}

#[tokio::test]
async fn nobody_but_its_owner_may_open_the_socket() {
    use std::os::unix::fs::PermissionsExt;
    let Some(mut newcomer) = Newcomer::new().await else { return };
    let mut worker = worker(&mut newcomer).await;
    let socket = newcomer.folder.path().join("home/.cyrus/control.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let nasty = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    std::io::Write::write_all(&mut &nasty, b"\xff\x00{\n{\"do\":\"launch\"}\n").unwrap();
    drop(nasty);
    assert_eq!(status(&mut newcomer).await["running"], json!(true), "it survived what was sent");
    worker.kill().await.unwrap();
    assert!(socket.exists(), "a killed process leaves it");
    assert_eq!(status(&mut newcomer).await["running"], json!(false));
}
