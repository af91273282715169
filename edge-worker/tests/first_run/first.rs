//! From nothing to a first finished run, and what is told when something is missing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::newcomer::{Newcomer, bash, find, git, said, script};

#[tokio::test]
async fn from_init_to_a_first_finished_run_are_two_commands() {
    let Some(mut newcomer) = Newcomer::new().await else { return };
    let said = newcomer.cyrus(&["init"]).await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.error);
    assert!(said.out.contains("cyrus run"), "the next step is named: {}", said.out);
    let write = json!({"text": "I write it.", "tools": [{"name": "Write", "input": {"file_path": "$CWD/hello.txt", "content": "hi\n"}}]});
    let prompt = script(&json!([write, {"text": "There is a greeting now."}]));
    let said = newcomer.cyrus(&["run", &prompt]).await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.error);
    assert!(newcomer.commands < 5, "{} commands", newcomer.commands);
    assert_eq!(said.out.trim(), "There is a greeting now.", "the answer alone is on stdout");
    let named = |name: &str| {
        let line = said.error.lines().rev().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let (branch, commit) = (named("branch"), named("commit"));
    assert!(branch.starts_with("cyrus/add-greeting"), "{branch}");
    assert!(git(&newcomer.app(), &["rev-parse", &branch]).starts_with(&commit), "{}", said.error);
    assert_eq!(git(&newcomer.app(), &["show", &format!("{branch}:hello.txt")]), "hi");
    assert_eq!(
        git(&newcomer.app(), &["status", "--porcelain"]),
        "",
        "the person's own checkout is as it was"
    );
    for text in [&said.out, &said.error] {
        assert!(!text.contains("sk-ant-canary"), "{text}");
    }

    let said = newcomer.cyrus(&["sessions", "--json"]).await;
    let session: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&session["state"], &session["own"]), (&json!("completed"), &json!(true)), "{session}");
    assert_eq!(session["branch"].as_str(), Some(branch.as_str()), "{session}");
    assert!(session["title"].as_str().unwrap().starts_with("Add a greeting."), "{session}");
    let said = newcomer.cyrus(&["logs", "add-greeting"]).await;
    assert!(
        said.out.contains("I write it.") && said.out.contains("There is a greeting now."),
        "{}",
        said.out
    );

    let backup = newcomer.folder.path().join("backup").display().to_string();
    let said = newcomer.cyrus(&["backup", &backup]).await;
    assert_eq!(said.code, Some(0), "{}", said.error);
    let home = newcomer.folder.path().join("home/.cyrus");
    std::fs::remove_file(home.join("config.json")).unwrap();
    std::fs::write(home.join("state.db"), "broken ".repeat(2_000)).unwrap();
    for beside in ["state.db-wal", "state.db-shm"] {
        std::fs::remove_file(home.join(beside)).ok();
    }
    assert_eq!(newcomer.cyrus(&["sessions"]).await.code, Some(1), "a broken journal is not passed over");
    let said = newcomer.cyrus(&["restore", &backup]).await;
    assert_eq!(said.code, Some(0), "{}", said.error);
    let again: Value = serde_json::from_str(&newcomer.cyrus(&["sessions", "--json"]).await.out).unwrap();
    assert_eq!(again["session"], session["session"]);
    assert!(home.join("config.json").is_file());
}

#[tokio::test]
async fn a_run_without_any_configuration_works_as_well() {
    let Some(mut newcomer) = Newcomer::new().await else { return };
    let said = newcomer.cyrus(&["sessions"]).await;
    assert!(said.code == Some(0) && said.out.contains("cyrus run"), "{}", said.out);
    let said = newcomer.cyrus(&["run", &script(&json!([{"text": "Nothing to do."}]))]).await;
    assert_eq!((said.code, said.out.trim()), (Some(0), "Nothing to do."), "{}", said.error);
    assert!(said.error.contains("nothing was changed"), "{}", said.error);
}

#[tokio::test]
async fn programs_get_one_object_and_a_failed_run_says_so() {
    let Some(mut newcomer) = Newcomer::new().await else { return };
    let refused =
        json!([{"http": 401, "error_type": "authentication_error", "message": "invalid x-api-key"}]);
    let said = newcomer.cyrus(&["run", "--json", &script(&refused)]).await;
    assert_eq!(said.code, Some(1), "{}\n{}", said.out, said.error);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["status"], "failed", "{report}");
    assert!(report["error"].as_str().is_some_and(|words| !words.is_empty()), "{report}");
    assert!(report["session"].as_str().unwrap().starts_with("add-greeting"), "{report}");
}

#[tokio::test]
async fn ctrl_c_stops_the_agent_and_keeps_its_work() {
    let Some(mut newcomer) = Newcomer::new().await else { return };
    let wait = bash("echo half >half.txt; while :; do python3 -c 'import time; time.sleep(0.2)'; done");
    let child = newcomer.command(&["run", "--json", &script(&json!([wait]))]).spawn().unwrap();
    let trees = newcomer.folder.path().join("home/.cyrus/worktrees");
    let deadline = Instant::now() + Duration::from_secs(60);
    while find(&trees, "half.txt").is_none() {
        assert!(Instant::now() < deadline, "the agent did not begin");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let said = said(child).await;
    assert_eq!(said.code, Some(1), "{}", said.error);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["status"], "stopped", "{report}");
    let branch = report["branch"].as_str().unwrap();
    assert_eq!(git(&newcomer.app(), &["show", &format!("{branch}:half.txt")]), "half");
}

#[tokio::test]
async fn what_is_missing_is_told_with_the_next_step() {
    let Some(mut newcomer) = Newcomer::new().await else { return };
    let nowhere = newcomer.folder.path().join("home").display().to_string();
    let cases: [(&[&str], Option<&str>, i32, &str); 4] = [
        (&["run", "x", "--repo", &nowhere], None, 2, "git init"),
        (&["run", "x", "--repo", "/nowhere/at/all"], None, 2, "--repo"),
        (&["run", "  "], None, 2, "cyrus run"),
        (&["run", "x"], Some("ANTHROPIC_API_KEY"), 3, "ANTHROPIC_API_KEY"),
    ];
    for (args, without, code, next) in cases {
        let mut command = newcomer.command(args);
        if let Some(name) = without {
            command.env_remove(name);
        }
        let said = said(command.spawn().unwrap()).await;
        assert_eq!(said.code, Some(code), "{args:?}: {}", said.error);
        assert!(said.error.contains("next: ") && said.error.contains(next), "{args:?}: {}", said.error);
        assert_eq!(said.out, "", "{args:?}");
    }
    let left: Vec<_> = std::fs::read_dir(&nowhere).unwrap().collect();
    assert!(left.is_empty(), "a refused command wrote {left:?}");
}
