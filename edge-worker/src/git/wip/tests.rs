//! Work in progress over two clones of one remote.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::git::push::{Pushed, push};
use crate::git::worktree::tests::{Scene, author, commit, git};

const AT: i64 = 1_767_225_600;

async fn push_wip(scene: &Scene, clone: &str, wip: &Wip) -> Pushed {
    let repository = Repository::open(&scene.path(clone)).await.unwrap();
    push(&repository, &wip.commit, &reference("s1")).await.unwrap()
}

/// A worktree with a commit, a changed file, a new one, a removed one and an ignored one.
async fn at_work(scene: &Scene) -> Worktree {
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    std::fs::write(tree.path.join("gone.txt"), "x").unwrap();
    std::fs::write(tree.path.join(".gitignore"), "ignored\n").unwrap();
    commit(&tree.path, "committed.txt", "committed");
    std::fs::write(tree.path.join("README.md"), "changed").unwrap();
    std::fs::write(tree.path.join("new\n-file"), "new").unwrap();
    std::fs::write(tree.path.join("staged.txt"), "staged").unwrap();
    std::fs::write(tree.path.join("ignored"), "secret").unwrap();
    std::fs::remove_file(tree.path.join("gone.txt")).unwrap();
    git(&tree.path, &["add", "staged.txt"]);
    tree
}

fn files(path: &Path) -> BTreeSet<(String, String)> {
    let listed = std::fs::read_dir(path).unwrap().flatten();
    let plain = listed.filter(|entry| entry.file_name() != ".git" && entry.file_name() != "ignored");
    plain
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_snapshot_touches_nothing_and_is_the_same_when_made_again() {
    let scene = Scene::new();
    let tree = at_work(&scene).await;
    let look = || git(&tree.path, &["status", "--porcelain=v2", "--branch"]);
    let index = || std::fs::read(tree.dirs.own().join("index")).unwrap();
    let (before, bytes) = (look(), index());
    let first = snapshot(&tree, "s1", AT).await.unwrap();
    assert_eq!((first.dirty, &first.head), (true, &tree.head().await.unwrap()));
    assert_eq!(index(), bytes);
    assert_eq!(look(), before);
    assert_eq!(snapshot(&tree, "s1", AT).await.unwrap(), first);
    let listed = git(&tree.path, &["ls-tree", "-r", "--name-only", "-z", &first.commit]);
    let mut names: Vec<&str> = listed.split('\0').filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    assert_eq!(names, [".gitignore", "README.md", "committed.txt", "new\n-file", "staged.txt"]);
    assert_eq!(git(&scene.path("repo"), &["rev-parse", "refs/cyrus/wip/s1"]), first.commit);
    // No index of ours is left.
    let left = std::fs::read_dir(scene.path("trees/.records")).unwrap().flatten();
    assert!(!left.into_iter().any(|entry| entry.file_name().to_string_lossy().contains("index")));
}

#[tokio::test]
async fn a_clean_worktrees_snapshot_is_its_newest_commit() {
    let scene = Scene::new();
    let tree = at_work(&scene).await;
    let id = tree.commit_all("all of it", &author()).await.unwrap().unwrap();
    let wip = snapshot(&tree, "s1", AT).await.unwrap();
    assert_eq!(wip, Wip { commit: id.clone(), head: id, dirty: false });
}

#[tokio::test]
async fn a_broken_or_locked_index_and_a_merge_in_the_middle_do_not_hinder_it() {
    for trouble in ["broken", "absent", "locked", "merging"] {
        let scene = Scene::new();
        let tree = at_work(&scene).await;
        let index = tree.dirs.own().join("index");
        match trouble {
            "broken" => std::fs::write(index, "no index").unwrap(),
            "absent" => std::fs::remove_file(index).unwrap(),
            "locked" => std::fs::write(tree.dirs.own().join("index.lock"), "").unwrap(),
            _ => {
                tree.commit_all("ours", &author()).await.unwrap();
                git(&tree.path, &["switch", "--quiet", "-c", "theirs", "main"]);
                commit(&tree.path, "README.md", "theirs");
                git(&tree.path, &["switch", "--quiet", "eng-1"]);
                let merge = std::process::Command::new("git")
                    .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "merge", "theirs"])
                    .current_dir(&tree.path)
                    .output()
                    .unwrap();
                assert!(!merge.status.success());
            }
        }
        let wip = snapshot(&tree, "s1", AT).await.unwrap();
        let listed = git(&tree.path, &["ls-tree", "-r", "--name-only", &wip.commit]);
        assert!(wip.dirty && listed.contains("staged.txt"), "{trouble}: {listed}");
    }
}

#[tokio::test]
async fn a_lock_that_a_killed_git_left_does_not_keep_work_from_being_committed() {
    let scene = Scene::new();
    let tree = at_work(&scene).await;
    let heads = tree.dirs.common().join("refs/heads");
    for lock in
        [tree.dirs.own().join("index.lock"), tree.dirs.own().join("HEAD.lock"), heads.join("eng-1.lock")]
    {
        std::fs::write(lock, "").unwrap();
    }
    assert!(tree.commit_all("x", &author()).await.is_err());
    tree.repair().unwrap();
    assert!(tree.commit_all("x", &author()).await.unwrap().is_some());
}

#[tokio::test]
async fn another_worker_goes_on_with_what_was_pushed() {
    let scene = Scene::with_remote();
    let tree = at_work(&scene).await;
    let wip = snapshot(&tree, "s1", AT).await.unwrap();
    assert_eq!(push_wip(&scene, "repo", &wip).await, Pushed::Pushed);
    assert_eq!(push_wip(&scene, "repo", &wip).await, Pushed::UpToDate);
    assert_eq!(scene.log_of(&reference("s1")), [wip.commit.as_str()]);

    let other = scene.ensure_in("other", "ENG-1", "eng-1", None).await.unwrap();
    let repository = Repository::open(&scene.path("other")).await.unwrap();
    for _ in 0..2 {
        let adopted = adopt(&repository, &other, "s1", AT).await.unwrap();
        assert!(matches!(adopted, Adopted::Taken { .. } | Adopted::Nothing), "{adopted:?}");
        assert_eq!(files(&other.path), files(&tree.path));
        assert_eq!(other.head().await.unwrap(), tree.head().await.unwrap());
        assert_eq!(git(&other.path, &["branch", "--show-current"]), "eng-1");
        assert!(other.is_dirty().await.unwrap());
    }
    assert_eq!(snapshot(&other, "s1", AT).await.unwrap().commit, wip.commit);
}

#[tokio::test]
async fn a_take_over_that_was_cut_off_in_the_middle_is_finished() {
    let scene = Scene::with_remote();
    let tree = at_work(&scene).await;
    let wip = snapshot(&tree, "s1", AT).await.unwrap();
    push_wip(&scene, "repo", &wip).await;
    let other = scene.ensure_in("other", "ENG-1", "eng-1", None).await.unwrap();
    let repository = Repository::open(&scene.path("other")).await.unwrap();
    git(&other.path, &["fetch", "--quiet", "origin", &wip.commit]);
    git(&other.path, &["reset", "--quiet", "--hard", &wip.commit]);
    adopt(&repository, &other, "s1", AT).await.unwrap();
    assert_eq!((other.head().await.unwrap(), files(&other.path)), (wip.head, files(&tree.path)));
}

#[tokio::test]
async fn what_the_next_worker_held_itself_is_kept_aside() {
    let scene = Scene::with_remote();
    let tree = at_work(&scene).await;
    let wip = snapshot(&tree, "s1", AT).await.unwrap();
    push_wip(&scene, "repo", &wip).await;
    let other = scene.ensure_in("other", "ENG-1", "eng-1", None).await.unwrap();
    commit(&other.path, "own.txt", "own");
    std::fs::write(other.path.join("README.md"), "own words").unwrap();
    std::fs::write(other.path.join("new\n-file"), "own").unwrap();
    let repository = Repository::open(&scene.path("other")).await.unwrap();
    let Adopted::Taken { aside: Some(aside), dirty: true, .. } =
        adopt(&repository, &other, "s1", AT).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(files(&other.path), files(&tree.path));
    let show = |what: &str| git(&scene.path("other"), &["show", &format!("{aside}:{what}")]);
    assert_eq!(
        (show("own.txt"), show("README.md"), show("new\n-file")),
        ("own".into(), "own words".into(), "own".into())
    );
}

#[tokio::test]
async fn a_worker_that_is_ahead_of_what_was_pushed_keeps_its_own() {
    let scene = Scene::with_remote();
    let tree = at_work(&scene).await;
    let repository = Repository::open(&scene.path("repo")).await.unwrap();
    assert_eq!(adopt(&repository, &tree, "s1", AT).await.unwrap(), Adopted::Nothing);
    let wip = snapshot(&tree, "s1", AT).await.unwrap();
    push_wip(&scene, "repo", &wip).await;
    // Its own work in progress is nothing to take over, whatever was done since.
    std::fs::write(tree.path.join("README.md"), "later").unwrap();
    assert_eq!(adopt(&repository, &tree, "s1", AT).await.unwrap(), Adopted::Nothing);
    assert_eq!(std::fs::read_to_string(tree.path.join("README.md")).unwrap(), "later");
    // Nor is another's that the branch has left behind.
    let other = scene.ensure_in("other", "ENG-1", "eng-1", None).await.unwrap();
    let theirs = Repository::open(&scene.path("other")).await.unwrap();
    adopt(&theirs, &other, "s1", AT).await.unwrap();
    std::fs::write(other.path.join("more.txt"), "more").unwrap();
    let more = snapshot(&other, "s1", AT).await.unwrap();
    push_wip(&scene, "other", &more).await;
    tree.commit_all("later", &author()).await.unwrap();
    assert_eq!(adopt(&repository, &tree, "s1", AT).await.unwrap(), Adopted::Newer);
}

#[tokio::test]
async fn a_worker_that_returns_takes_over_from_the_one_that_took_over() {
    let scene = Scene::with_remote();
    let tree = at_work(&scene).await;
    push_wip(&scene, "repo", &snapshot(&tree, "s1", AT).await.unwrap()).await;
    let other = scene.ensure_in("other", "ENG-1", "eng-1", None).await.unwrap();
    let theirs = Repository::open(&scene.path("other")).await.unwrap();
    adopt(&theirs, &other, "s1", AT).await.unwrap();
    commit(&other.path, "second.txt", "second");
    push_wip(&scene, "other", &snapshot(&other, "s1", AT).await.unwrap()).await;
    // The first worker commits what it has, as it does when its lease is lost, and gets the session back.
    let lost = tree.commit_all("kept", &author()).await.unwrap().unwrap();
    let repository = Repository::open(&scene.path("repo")).await.unwrap();
    let name = recovered(&tree.branch, "wrk_0001", "run_0002");
    assert_eq!(push(&repository, &lost, &name).await.unwrap(), Pushed::Pushed);
    let Adopted::Taken { aside: Some(aside), .. } = adopt(&repository, &tree, "s1", AT).await.unwrap() else {
        panic!()
    };
    assert_eq!(git(&scene.path("repo"), &["rev-parse", &aside]), lost);
    assert_eq!(files(&tree.path), files(&other.path));
}

#[tokio::test]
async fn without_a_remote_or_without_work_there_is_nothing_to_take_over() {
    let scene = Scene::new();
    let tree = at_work(&scene).await;
    let repository = Repository::open(&scene.path("repo")).await.unwrap();
    assert_eq!(adopt(&repository, &tree, "s1", AT).await.unwrap(), Adopted::Nothing);
    git(&scene.path("repo"), &["remote", "add", "origin", "/nowhere"]);
    assert!(adopt(&repository, &tree, "s1", AT).await.is_err());
}
