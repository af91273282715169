//! Real scripts in a throw-away folder.

use std::sync::{Arc, Mutex};

use shared::id::IssueId;

use super::*;

struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn setup(&self, text: &str, mode: u32) -> Setup {
        let script = self.dir.path().join(SCRIPT);
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(mode)).unwrap();
        let mark = format!("setup-{}", uuid::Uuid::new_v4());
        Setup {
            script,
            cwd: self.dir.path().to_owned(),
            env: environment(None, &mark),
            out: self.dir.path().join("runs/setup.log"),
            mark,
            limit: Duration::from_secs(20),
            tick: TICK,
        }
    }
}

async fn run_told(setup: &Setup) -> (End, Vec<Progress>) {
    let mut told = Vec::new();
    let end = run(setup, std::future::pending(), |progress| told.push(progress)).await;
    (end, told)
}

#[tokio::test]
async fn a_script_runs_in_the_worktree_and_each_line_is_told_and_kept() {
    let scene = Scene::new();
    for (text, mode) in [
        ("#!/bin/sh\necho one\necho two >&2\npwd > place\nprintf end", 0o755),
        ("echo one\necho two >&2\npwd > place\nprintf end", 0o644),
        ("echo one\necho two >&2\npwd > place\nprintf end", 0o755),
    ] {
        let setup = scene.setup(text, mode);
        let (end, told) = run_told(&setup).await;
        assert_eq!(end, End::Done);
        assert_eq!(told, ["one", "two", "end"].map(|line| Progress::Line(line.into())));
        let place = std::fs::read_to_string(scene.dir.path().join("place")).unwrap();
        assert_eq!(Path::new(place.trim()), scene.dir.path().canonicalize().unwrap());
    }
    let kept = std::fs::read_to_string(scene.dir.path().join("runs/setup.log")).unwrap();
    assert_eq!(kept, "one\ntwo\nend".repeat(3));
}

#[tokio::test]
async fn the_issues_words_are_values_and_no_command_and_nothing_of_ours_is_in_the_environment() {
    let scene = Scene::new();
    let canary = scene.dir.path().join("canary");
    for nasty in
        ["$(touch canary)", "`touch canary`", "'; touch canary; '", "a\nb\0c", "\u{202e}🎉", "-n", ""]
    {
        let issue = Issue {
            id: IssueId::from(nasty),
            identifier: Some(nasty.into()),
            title: nasty.into(),
            description: None,
            url: None,
            team_id: None,
            team_key: None,
        };
        let mut setup = scene.setup("env -0 > seen", 0o644);
        setup.env = environment(Some(&issue), &setup.mark);
        assert_eq!(run_told(&setup).await.0, End::Done);
        let seen = std::fs::read_to_string(scene.dir.path().join("seen")).unwrap();
        let wanted = nasty.replace('\0', "");
        for name in ["ID", "IDENTIFIER", "TITLE"] {
            assert!(seen.split('\0').any(|line| line == format!("LINEAR_ISSUE_{name}={wanted}")), "{seen:?}");
        }
        assert!(!canary.exists() && !seen.contains("CARGO_MANIFEST_DIR"), "{seen:?}");
    }
}

#[tokio::test]
async fn a_failure_is_told_with_its_last_lines_and_the_mend() {
    let scene = Scene::new();
    let (end, _) =
        run_told(&scene.setup("for i in $(seq 20); do echo line $i; done; echo '```'; exit 3", 0o644)).await;
    let End::Failed(words) = end else { panic!("{end:?}") };
    for part in ["`cyrus-setup.sh` ended with exit status: 3", "line 20\n'''", "the work begins all the same"]
    {
        assert!(words.contains(part), "{words}");
    }
    assert!(!words.contains("line 12\n"), "{words}");
    let mut missing = scene.setup("", 0o644);
    missing.script = "/nowhere/x.sh".into();
    assert!(
        matches!(run_told(&missing).await.0, End::Failed(words) if words.contains("could not be started"))
    );
}

#[tokio::test]
async fn a_script_that_hangs_is_ended_with_all_that_it_started() {
    let scene = Scene::new();
    let mut setup = scene.setup("echo begun\nsetsid sleep 1000 &\n(sleep 1000 &)\nsleep 1000", 0o644);
    setup.limit = Duration::from_millis(600);
    let (end, told) = run_told(&setup).await;
    assert!(matches!(&end, End::Failed(words) if words.contains("took longer than 0 s")), "{end:?}");
    assert_eq!(told, [Progress::Line("begun".into())]);
    assert!(process_tree::marked(&setup.mark).await.is_empty());
}

#[tokio::test]
async fn a_stop_ends_it_and_what_runs_in_the_background_ends_with_the_script() {
    let scene = Scene::new();
    let setup = scene.setup("setsid sleep 1000 &\necho begun\nsleep 1000", 0o644);
    let begun = Arc::new(tokio::sync::Notify::new());
    let begins = Arc::clone(&begun);
    let end = run(&setup, begun.notified(), move |_| begins.notify_one()).await;
    assert_eq!(end, End::Stopped);
    assert!(process_tree::marked(&setup.mark).await.is_empty());
    let setup = scene.setup("setsid sleep 1000 >/dev/null 2>&1 &\nexit 0", 0o644);
    assert_eq!(run_told(&setup).await.0, End::Done);
    assert!(process_tree::marked(&setup.mark).await.is_empty());
}

#[tokio::test]
async fn a_script_that_is_silent_is_said_to_run_still_and_one_that_floods_is_cut() {
    let scene = Scene::new();
    let mut setup = scene.setup("echo begun; while [ ! -e go ]; do sleep 0.02; done; seq 2000", 0o644);
    setup.tick = Duration::from_millis(250);
    let told = Arc::new(Mutex::new(Vec::new()));
    let (seen, go) = (Arc::clone(&told), scene.dir.path().join("go"));
    let end = run(&setup, std::future::pending(), move |progress| {
        if matches!(progress, Progress::Still { .. }) {
            std::fs::write(&go, "").unwrap();
        }
        seen.lock().unwrap().push(progress);
    })
    .await;
    assert_eq!(end, End::Done);
    let told = told.lock().unwrap();
    assert!(matches!(&told[1], Progress::Still { last: Some(last), .. } if last == "begun"), "{:?}", told[1]);
    let lines = told.iter().filter(|one| matches!(one, Progress::Line(_))).count();
    assert_eq!(lines, TOLD);
}

#[test]
fn the_configured_script_takes_the_place_of_the_repositorys_and_a_link_is_no_script() {
    let dir = tempfile::tempdir().unwrap();
    let (global, configured) = (Path::new("/etc/all.sh"), Path::new("/etc/one.sh"));
    assert!(scripts(None, None, dir.path()).is_empty());
    std::os::unix::fs::symlink("/bin/true", dir.path().join(SCRIPT)).unwrap();
    assert!(scripts(None, None, dir.path()).is_empty());
    std::fs::remove_file(dir.path().join(SCRIPT)).unwrap();
    std::fs::write(dir.path().join(SCRIPT), "").unwrap();
    assert_eq!(scripts(Some(global), None, dir.path()), [global.to_owned(), dir.path().join(SCRIPT)]);
    assert_eq!(scripts(Some(global), Some(configured), dir.path()), [global, configured]);
    assert_eq!(scripts(None, Some(Path::new("tools/x.sh")), dir.path()), [dir.path().join("tools/x.sh")]);
}
