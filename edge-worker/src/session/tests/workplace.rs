//! What a new worktree gets before its first run.

use std::path::{Path, PathBuf};

use testkit::linear::SeedIssue;

use super::super::stage::{KEY, SESSION, Stage, created, moved, prompted, stopped};
use super::states;
use crate::executor::process_tree;

fn git(path: &Path, args: &[&str]) {
    let who = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
    let done = std::process::Command::new("git").arg("-C").arg(path).args(who).args(args).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A stage whose repository has this set-up script, and the repository's folder.
async fn with_script(behaviour: &'static str, text: &str) -> (Stage, PathBuf) {
    let stage = Stage::new(behaviour).await;
    let path = stage.means.config.now().repositories[0].repository_path.clone();
    std::fs::write(path.join("cyrus-setup.sh"), text).unwrap();
    git(&path, &["add", "--all"]);
    git(&path, &["commit", "--quiet", "-m", "set-up"]);
    (stage, path)
}

fn logged(stage: &Stage, words: &str) -> usize {
    let posts = stage.panel.lock().unwrap().bodies("POST", "/logs");
    let lines = posts.iter().flat_map(|post| post["lines"].as_array().cloned().unwrap_or_default());
    lines.filter(|line| line["message"].as_str().is_some_and(|text| text.contains(words))).count()
}

fn sleepers(stage: &Stage) -> Vec<String> {
    let folder = stage.means.config.now().state_dir.join("worktrees/app");
    let trees = std::fs::read_dir(folder).into_iter().flatten().flatten();
    trees.map(|tree| format!("setup-{}-0", tree.file_name().to_string_lossy())).collect()
}

#[tokio::test]
async fn a_new_worktree_is_prepared_once_and_what_its_script_says_is_in_the_log() {
    let (mut stage, path) = with_script(
        "good",
        "echo \"for $LINEAR_ISSUE_IDENTIFIER: $LINEAR_ISSUE_TITLE\"; cp .env seen; echo >> ../../../times",
    )
    .await;
    std::fs::write(path.join(".gitignore"), ".env\n").unwrap();
    std::fs::write(path.join(".worktreeinclude"), ".env\n").unwrap();
    git(&path, &["add", "--all"]);
    git(&path, &["commit", "--quiet", "-m", "include"]);
    std::fs::write(path.join(".env"), "port").unwrap();
    let task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    stage.go_on(&task, prompted(2, "more")).await;
    stage.until_done(&[2]).await;
    let (tree, _) = stage.prompt().unwrap();
    assert_eq!(std::fs::read_to_string(tree.join("seen")).unwrap(), "port");
    let times = stage.means.config.now().state_dir.join("times");
    assert_eq!(std::fs::read_to_string(times).unwrap().lines().count(), 1);
    assert_eq!(logged(&stage, "cyrus-setup.sh: for ENG-1: Show totals"), 1);
}

/// A bare remote of the repository, and the id of a commit with one more file, pushed there as `reference`.
fn pushed(path: &Path, remote: &Path, file: &str, words: &str, reference: &str) {
    if !remote.exists() {
        let folder = remote.to_str().unwrap();
        git(path, &["clone", "--quiet", "--bare", ".", folder]);
        git(path, &["remote", "add", "origin", folder]);
    }
    git(path, &["switch", "--quiet", "-c", "elsewhere", "main"]);
    std::fs::write(path.join(file), file).unwrap();
    git(path, &["add", "--all"]);
    git(path, &["commit", "--quiet", "-m", words]);
    git(path, &["push", "--quiet", "origin", &format!("HEAD:{reference}")]);
    git(path, &["switch", "--quiet", "main"]);
    git(path, &["branch", "--quiet", "-D", "elsewhere"]);
}

#[tokio::test]
async fn work_that_moved_here_begins_with_what_was_pushed_and_the_script_sees_it() {
    let (mut stage, path) = with_script("good", "cp theirs seen").await;
    let folder = tempfile::tempdir().unwrap();
    let reference = format!("refs/cyrus/wip/{SESSION}");
    pushed(&path, &folder.path().join("remote"), "theirs", "wip\n\nCyrus-Uncommitted: yes", &reference);
    let _task = stage.begin(moved(created(1))).await;
    stage.until_done(&[1]).await;
    assert_eq!(states(&stage), ["completed"]);
    let (tree, _) = stage.prompt().unwrap();
    for file in ["theirs", "seen"] {
        assert_eq!(std::fs::read_to_string(tree.join(file)).unwrap(), "theirs");
    }
    let log = std::process::Command::new("git").arg("-C").arg(&tree).args(["log", "--format=%s"]).output();
    assert!(
        !String::from_utf8_lossy(&log.unwrap().stdout).contains("wip"),
        "uncommitted work stays no commit"
    );
}

#[tokio::test]
async fn a_sub_issues_work_starts_from_its_parents_branch() {
    let (mut stage, path) = with_script("good", "").await;
    let folder = tempfile::tempdir().unwrap();
    pushed(&path, &folder.path().join("remote"), "of-parent", "parent", "refs/heads/jane/parent");
    for (id, identifier, branch, parent) in [
        ("0b9f4f8e-3c62-4c0e-9b1e-6f1d52a4c0aa", "ENG-0", "jane/parent", None),
        (KEY, "ENG-1", "jane/child", Some("ENG-0")),
    ] {
        stage.linear.seed_issue(SeedIssue {
            id: Some(id.into()),
            identifier: Some(identifier.into()),
            branch_name: Some(branch.into()),
            parent: parent.map(str::to_owned),
            ..SeedIssue::default()
        });
    }
    let _task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    let (tree, _) = stage.prompt().unwrap();
    assert!(tree.join("of-parent").exists());
}

#[tokio::test]
async fn a_script_that_fails_is_told_and_the_work_begins_all_the_same() {
    let (mut stage, _) = with_script("good", "echo no npm here; exit 7").await;
    let _task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    assert_eq!(states(&stage), ["completed"]);
    let told = stage.texts("thought");
    let words = told.iter().find(|text| text.contains("cyrus-setup.sh")).unwrap();
    for part in ["exit status: 7", "no npm here", "the work begins all the same"] {
        assert!(words.contains(part), "{words}");
    }
}

#[tokio::test]
async fn a_stop_ends_the_preparation_and_the_next_message_begins_it_again() {
    let (mut stage, _) = with_script(
        "good",
        "[ -e ../../../go ] && exit 0; echo begun; touch ../../../go; setsid sleep 1000 & sleep 1000",
    )
    .await;
    let task = stage.begin(created(1)).await;
    stage.until("the script", |stage| logged(stage, "begun") == 1).await;
    stage.go_on(&task, prompted(2, "and this")).await;
    stage.go_on(&task, stopped(3)).await;
    stage.until_done(&[1, 2, 3]).await;
    assert_eq!((stage.prompt(), states(&stage)), (None, vec!["stopped".to_owned()]));
    assert_eq!(stage.texts("response").len(), 1);
    for mark in sleepers(&stage) {
        assert!(process_tree::marked(&mark).await.is_empty());
    }
    stage.go_on(&task, prompted(4, "go on")).await;
    stage.until_done(&[4]).await;
    assert!(stage.prompt().unwrap().1.contains("go on"));
}

#[tokio::test]
async fn the_configured_script_takes_the_repositorys_place_and_a_full_disk_quota_refuses_in_words() {
    let (mut stage, _) = with_script("good", "touch own").await;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("mine.sh");
    std::fs::write(&script, "touch mine").unwrap();
    let base = folder.path().join("trees");
    stage.configure("app", |config| {
        config.setup_script = Some(script);
        config.workspace_base_dir = Some(base.clone());
    });
    let _task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    assert_eq!(states(&stage), ["completed"]);
    let tree = std::fs::read_dir(base.join("app"))
        .unwrap()
        .flatten()
        .find(|entry| entry.path().join("mine").exists());
    assert!(!tree.unwrap().path().join("own").exists());

    let (mut full, _) = with_script("good", "").await;
    let mut config = (*full.means.config.now()).clone();
    config.disk_quota_bytes = Some(0);
    full.means.config = crate::config::live::Changes::begin(config).1;
    let _task = full.begin(created(1)).await;
    full.until_done(&[1]).await;
    let told = full.texts("error");
    assert!(told.len() == 1 && told[0].contains("diskQuotaGb"), "{told:?}");
    assert_eq!(full.prompt(), None);
}
