//! The rule, and what it does with the real git.

use super::*;
use crate::git::worktree::tests::{Scene, author, commit, git};
use crate::git::{Worktree, push, wip};

fn safe() -> State {
    State {
        live: false,
        closed: true,
        idle: Duration::ZERO,
        locked: false,
        dirty: Some(false),
        nested: false,
        pushed: Some(true),
    }
}

#[test]
fn only_what_is_safe_elsewhere_and_wanted_by_nobody_may_go() {
    assert_eq!(removable(&safe()), Verdict::Removable);
    assert_eq!(removable(&State { closed: false, idle: IDLE, ..safe() }), Verdict::Removable);
    for (state, why) in [
        (State { live: true, ..safe() }, Why::Live),
        (State { closed: false, idle: IDLE - Duration::from_secs(1), ..safe() }, Why::Wanted),
        (State { locked: true, ..safe() }, Why::Locked),
        (State { dirty: Some(true), ..safe() }, Why::Uncommitted),
        (State { dirty: None, ..safe() }, Why::Unknown),
        (State { nested: true, ..safe() }, Why::Nested),
        (State { pushed: Some(false), ..safe() }, Why::Unpushed),
        (State { pushed: None, ..safe() }, Why::Unknown),
    ] {
        assert_eq!(removable(&state), Verdict::Keep(why));
        assert!(!why.to_string().is_empty());
    }
}

async fn swept(scene: &Scene, used: Use) -> Vec<Verdict> {
    let repository = Repository::open(&scene.path("repo")).await.unwrap();
    let all = sweep(&repository, &scene.path("trees"), |_| used).await.unwrap();
    all.into_iter().map(|(_, verdict)| verdict).collect()
}

async fn push_head(scene: &Scene, tree: &Worktree) {
    let repository = Repository::open(&scene.path("repo")).await.unwrap();
    let wip = wip::snapshot(tree, "s1", 0).await.unwrap();
    push::push(&repository, &wip.commit, &wip::reference("s1")).await.unwrap();
}

#[tokio::test]
async fn a_worktree_goes_once_its_work_is_on_the_remote_and_its_branch_stays() {
    let scene = Scene::with_remote();
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    let keep = |why| vec![Verdict::Keep(why)];
    std::fs::write(tree.path.join("work"), "x").unwrap();
    push_head(&scene, &tree).await;
    assert_eq!(swept(&scene, Use::Closed).await, keep(Why::Uncommitted));
    let id = tree.commit_all("work", &author()).await.unwrap().unwrap();
    assert_eq!(swept(&scene, Use::Closed).await, keep(Why::Unpushed));
    // The word of this repository is not the remote's.
    git(&scene.path("repo"), &["update-ref", "refs/remotes/origin/eng-1", &id]);
    assert_eq!(swept(&scene, Use::Closed).await, keep(Why::Unpushed));
    push_head(&scene, &tree).await;
    assert_eq!(swept(&scene, Use::Live).await, keep(Why::Live));
    // It is remembered that the issue is closed, until somebody works on it again.
    scene.ensure("ENG-1", "eng-1").await.unwrap();
    assert_eq!(swept(&scene, Use::Idle).await, keep(Why::Wanted));
    git(&scene.path("repo"), &["worktree", "lock", tree.path.to_str().unwrap()]);
    assert_eq!(swept(&scene, Use::Closed).await, keep(Why::Locked));
    git(&scene.path("repo"), &["worktree", "unlock", tree.path.to_str().unwrap()]);
    assert!(tree.path.exists());
    assert_eq!(swept(&scene, Use::Closed).await, [Verdict::Removable]);
    assert!(!tree.path.exists());
    assert_eq!(git(&scene.path("repo"), &["rev-parse", "eng-1"]), id);
    assert_eq!(swept(&scene, Use::Closed).await, []);
    let again = scene.ensure("ENG-1", "eng-1").await.unwrap();
    assert!(again.created && again.path.join("work").exists());
}

#[tokio::test]
async fn without_a_remote_or_with_one_that_is_away_nothing_goes() {
    let scene = Scene::new();
    scene.ensure("ENG-1", "eng-1").await.unwrap();
    assert_eq!(swept(&scene, Use::Closed).await, [Verdict::Keep(Why::Unpushed)]);
    git(&scene.path("repo"), &["remote", "add", "origin", "/nowhere"]);
    assert_eq!(swept(&scene, Use::Closed).await, [Verdict::Keep(Why::Unknown)]);
}

#[tokio::test]
async fn somebody_elses_worktree_and_one_with_a_repository_in_it_stay() {
    let scene = Scene::with_remote();
    let theirs = scene.path("trees").join("mine");
    std::fs::create_dir_all(scene.path("trees")).unwrap();
    git(&scene.path("repo"), &["worktree", "add", "--quiet", "-b", "mine", theirs.to_str().unwrap()]);
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    std::fs::create_dir(tree.path.join("nested")).unwrap();
    git(&tree.path.join("nested"), &["init", "--quiet"]);
    commit(&tree.path.join("nested"), "a", "a");
    tree.commit_all("nested", &author()).await.unwrap().unwrap();
    push_head(&scene, &tree).await;
    assert_eq!(swept(&scene, Use::Closed).await, [Verdict::Keep(Why::Nested)]);
    assert!(theirs.exists() && tree.path.join("nested/a").exists());
}

#[tokio::test]
async fn a_removal_that_was_cut_off_takes_no_files_from_the_next_work() {
    let scene = Scene::with_remote();
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    for sweeps in [false, true] {
        dirs::removing(&tree.path).unwrap();
        std::fs::remove_file(tree.path.join("README.md")).unwrap();
        std::fs::remove_file(tree.path.join(".git")).unwrap();
        if sweeps {
            assert_eq!(swept(&scene, Use::Closed).await, [Verdict::Removable]);
        }
        let again = scene.ensure("ENG-1", "eng-1").await.unwrap();
        assert_eq!(again.created, sweeps);
        assert!(again.path.join("README.md").exists() && !again.is_dirty().await.unwrap());
        std::fs::remove_file(again.path.join("README.md")).unwrap();
        assert!(scene.ensure("ENG-1", "eng-1").await.unwrap().is_dirty().await.unwrap(), "only once");
        git(&again.path, &["checkout", "--quiet", "."]);
    }
}
