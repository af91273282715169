//! What an agent can write in its worktree and in git's folder for it runs nothing outside and changes nothing for us.

use std::path::{Path, PathBuf};

use super::{Scene, author, commit, git};
use crate::git::{Dirs, GitError, Worktree};

/// A worktree with work in it, a program of the agent's that leaves a mark when it runs, and another repository's git
/// folder whose settings call that program for every file.
struct Trap {
    scene: Scene,
    tree: Worktree,
    canary: PathBuf,
    evil: PathBuf,
}

impl Trap {
    async fn new() -> Self {
        let scene = Scene::new();
        let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
        let canary = scene.path("ran");
        std::fs::create_dir(scene.path("evil")).unwrap();
        git(&scene.path("evil"), &["init", "--quiet", "-b", "main"]);
        commit(&scene.path("evil"), "README.md", "first");
        let trap = Self { canary, evil: scene.path("evil/.git"), scene, tree };
        trap.arm(&trap.scene.path("evil"));
        std::fs::write(trap.tree.path.join(".gitattributes"), "* filter=evil\n").unwrap();
        std::fs::write(trap.tree.path.join("work.txt"), "work").unwrap();
        std::fs::write(trap.tree.path.join("README.md"), "changed").unwrap();
        trap
    }

    fn arm(&self, repository: &Path) {
        let program = format!("touch '{}'; cat", self.canary.display());
        git(repository, &["config", "filter.evil.clean", &program]);
        git(repository, &["config", "filter.evil.smudge", &program]);
    }

    /// All that is done in a worktree after a run and before the next one.
    async fn use_all(&self) {
        let dirty = self.tree.is_dirty().await.unwrap();
        self.tree.changed_files().await.unwrap();
        assert!(self.tree.commit_all("kept", &author()).await.unwrap().is_some() && dirty);
        let again = self.scene.ensure("ENG-1", "eng-1").await.unwrap();
        assert_eq!((again.created, &again.path), (false, &self.tree.path));
        let status = git(&again.path, &["status", "--porcelain", "--ignore-submodules=dirty"]);
        assert!(!again.is_dirty().await.unwrap(), "{status}");
        assert!(!self.canary.exists(), "the agent's program ran");
        let files = git(&self.scene.path("repo"), &["ls-tree", "-r", "--name-only", "eng-1"]);
        assert!(files.contains("work.txt"), "{files}");
        assert_eq!(git(&self.tree.path, &["branch", "--show-current"]), "eng-1");
    }
}

#[tokio::test]
async fn a_replaced_git_file_runs_nothing_and_is_as_before() {
    let trap = Trap::new().await;
    let dot_git = trap.tree.path.join(".git");
    let text = std::fs::read_to_string(&dot_git).unwrap();
    std::fs::write(&dot_git, format!("gitdir: {}\n", trap.evil.display())).unwrap();
    // Git by itself would run it; without this the test could not fail.
    git(&trap.tree.path, &["add", "--all"]);
    assert!(trap.canary.exists());
    std::fs::remove_file(&trap.canary).unwrap();
    assert!(trap.tree.repair().unwrap());
    assert!(!trap.tree.repair().unwrap());
    std::fs::write(&dot_git, format!("gitdir: {}\n", trap.evil.display())).unwrap();
    trap.use_all().await;
    assert_eq!(std::fs::read_to_string(&dot_git).unwrap(), text);
}

#[tokio::test]
async fn a_git_folder_or_a_link_in_the_place_of_the_git_file_is_moved_away() {
    for link in [false, true] {
        let trap = Trap::new().await;
        let dot_git = trap.tree.path.join(".git");
        std::fs::remove_file(&dot_git).unwrap();
        if link {
            std::os::unix::fs::symlink(&trap.evil, &dot_git).unwrap();
        } else {
            std::fs::rename(&trap.evil, &dot_git).unwrap();
        }
        trap.use_all().await;
        assert!(dot_git.is_file());
        let aside = trap.scene.path("trees/.records/ENG-1-git.1");
        assert!(aside.join("HEAD").exists(), "what the agent made is kept");
    }
}

#[tokio::test]
async fn a_rewritten_commondir_or_gitdir_runs_nothing_and_breaks_no_other_worktree() {
    for name in ["commondir", "gitdir"] {
        for text in ["../../../../evil/.git\n", "/nowhere/.git\n", "", "\0", "..\n"] {
            let trap = Trap::new().await;
            let other = trap.scene.ensure("ENG-2", "eng-2").await.unwrap();
            std::fs::write(trap.tree.dirs.own().join(name), text).unwrap();
            let again = trap.scene.ensure("ENG-2", "eng-2").await.unwrap();
            assert_eq!((again.created, again.path), (false, other.path), "{name} {text:?}");
            std::fs::write(trap.tree.dirs.own().join(name), text).unwrap();
            trap.use_all().await;
        }
    }
}

#[tokio::test]
async fn settings_that_an_agent_writes_for_its_worktree_are_not_obeyed() {
    let trap = Trap::new().await;
    git(&trap.scene.path("repo"), &["config", "extensions.worktreeConfig", "true"]);
    let settings = std::fs::read_to_string(trap.evil.join("config")).unwrap();
    std::fs::write(trap.tree.dirs.own().join("config.worktree"), settings).unwrap();
    assert!(trap.tree.repair().unwrap());
    trap.use_all().await;
}

#[tokio::test]
async fn a_nested_repositorys_own_settings_run_nothing() {
    let trap = Trap::new().await;
    let nested = trap.tree.path.join("-nested :(top)\n[x]");
    std::fs::create_dir(&nested).unwrap();
    git(&nested, &["init", "--quiet", "-b", "main"]);
    commit(&nested, "file", "first");
    trap.arm(&nested);
    std::fs::write(nested.join(".gitattributes"), "* filter=evil\n").unwrap();
    trap.tree.commit_all("with a nested repository", &author()).await.unwrap().unwrap();
    assert!(!trap.canary.exists());
    // Changed without a commit, git by itself would look into it.
    std::fs::write(nested.join("file"), "other").unwrap();
    git(&trap.tree.path, &["status", "--porcelain"]);
    assert!(trap.canary.exists());
    std::fs::remove_file(&trap.canary).unwrap();
    assert!(!trap.tree.is_dirty().await.unwrap());
    std::fs::write(trap.tree.path.join("more.txt"), "work").unwrap();
    trap.use_all().await;
    // What the agent committed in there is still taken over, by its commit alone.
    let newest = {
        git(&nested, &["-c", "filter.evil.clean=cat", "commit", "--quiet", "--allow-empty", "-m", "second"]);
        git(&nested, &["rev-parse", "HEAD"])
    };
    let _ = std::fs::remove_file(&trap.canary);
    trap.use_all().await;
    assert!(git(&trap.tree.path, &["ls-tree", "-r", "HEAD"]).contains(&newest));
}

#[tokio::test]
async fn an_empty_repository_in_the_worktree_does_not_keep_the_rest_from_being_kept() {
    let trap = Trap::new().await;
    std::fs::create_dir(trap.tree.path.join("empty")).unwrap();
    git(&trap.tree.path.join("empty"), &["init", "--quiet"]);
    assert!(trap.tree.commit_all("kept", &author()).await.unwrap().is_some());
    let files = git(&trap.tree.path, &["ls-tree", "-r", "--name-only", "HEAD"]);
    assert!(files.contains("work.txt"), "{files}");
}

#[tokio::test]
async fn a_worktree_without_a_record_is_found_among_gits_own_or_refused() {
    let trap = Trap::new().await;
    let record = trap.scene.path("trees/.records/ENG-1.json");
    std::fs::remove_file(&record).unwrap();
    let again = trap.scene.ensure("ENG-1", "eng-1").await.unwrap();
    assert_eq!(again.dirs, trap.tree.dirs);
    std::fs::write(&record, "{").unwrap();
    assert_eq!(trap.scene.ensure("ENG-1", "eng-1").await.unwrap().dirs, trap.tree.dirs);
    // Two that both say they are it: one of them lies.
    let other = trap.scene.ensure("ENG-2", "eng-2").await.unwrap();
    let claim = std::fs::read_to_string(trap.tree.dirs.own().join("gitdir")).unwrap();
    std::fs::remove_file(&record).unwrap();
    std::fs::write(other.dirs.own().join("gitdir"), claim).unwrap();
    let error = Dirs::of(trap.tree.dirs.common(), &trap.tree.path).unwrap_err();
    assert!(matches!(&error, GitError::NotOurs { .. }), "{error}");
}
