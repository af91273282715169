//! Worktrees in throw-away repositories with the real git.

use super::*;

mod hostile;

pub(in crate::git) struct Scene {
    pub(in crate::git) dir: tempfile::TempDir,
}

impl Scene {
    /// A repository `repo` with one commit on `main`.
    pub(in crate::git) fn new() -> Self {
        let scene = Self { dir: tempfile::tempdir().unwrap() };
        scene.init("repo");
        scene
    }

    /// The same with a bare remote `remote` that keeps a log of every reference, and a second clone `other`.
    pub(in crate::git) fn with_remote() -> Self {
        let scene = Self::new();
        git(scene.dir.path(), &["clone", "--quiet", "--bare", "repo", "remote"]);
        git(&scene.path("remote"), &["config", "core.logAllRefUpdates", "always"]);
        git(&scene.path("repo"), &["remote", "add", "origin", "../remote"]);
        git(&scene.path("repo"), &["fetch", "--quiet"]);
        git(scene.dir.path(), &["clone", "--quiet", "remote", "other"]);
        scene
    }

    /// The commits that a reference of the remote went through, the newest first.
    pub(in crate::git) fn log_of(&self, reference: &str) -> Vec<String> {
        let log = self.path("remote/logs").join(reference);
        let text = std::fs::read_to_string(log).unwrap_or_default();
        text.lines().rev().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
    }

    pub(in crate::git) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn init(&self, name: &str) {
        let path = self.path(name);
        std::fs::create_dir(&path).unwrap();
        git(&path, &["init", "--quiet", "-b", "main"]);
        commit(&path, "README.md", "first");
    }

    pub(in crate::git) async fn ensure(&self, issue: &str, branch: &str) -> Result<Worktree, GitError> {
        self.ensure_from(issue, branch, None).await
    }

    async fn ensure_from(&self, issue: &str, branch: &str, base: Option<&str>) -> Result<Worktree, GitError> {
        self.ensure_in("repo", issue, branch, base).await
    }

    /// A worktree of another clone, in a folder of its own.
    pub(in crate::git) async fn ensure_in(
        &self,
        clone: &str,
        issue: &str,
        branch: &str,
        base: Option<&str>,
    ) -> Result<Worktree, GitError> {
        let repository = Repository::open(&self.path(clone)).await?;
        let branch = BranchName::parse(branch)?;
        let folder = if clone == "repo" { self.path("trees") } else { self.path(&format!("trees-{clone}")) };
        Worktree::ensure(&repository, &WorktreeRequest { folder: &folder, issue, branch: &branch, base })
            .await
    }
}

pub(in crate::git) fn git(path: &Path, args: &[&str]) -> String {
    let output = std::process::Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(args)
        .current_dir(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(in crate::git) fn commit(path: &Path, file: &str, text: &str) -> String {
    std::fs::write(path.join(file), text).unwrap();
    git(path, &["add", "--all"]);
    git(path, &["commit", "--quiet", "-m", text]);
    git(path, &["rev-parse", "HEAD"])
}

pub(in crate::git) fn author() -> Author {
    Author { name: "Cyrus".into(), email: "cyrus@example.com".into() }
}

#[tokio::test]
async fn a_worktree_is_made_and_found_again_with_its_work() {
    let scene = Scene::new();
    let made = scene.ensure("ENG-1", "jane/eng-1").await.unwrap();
    assert!(made.created && made.path.ends_with("trees/ENG-1"));
    assert_eq!((made.base.as_str(), &made.fetched), ("main", &Fetched::NoRemote));
    assert!(!made.is_dirty().await.unwrap());
    std::fs::write(made.path.join("unsaved.txt"), "work").unwrap();
    let found = scene.ensure("ENG-1", "jane/eng-1").await.unwrap();
    assert_eq!((found.created, &found.path), (false, &made.path));
    assert!(found.is_dirty().await.unwrap());
    assert_eq!(git(&scene.path("repo"), &["branch", "--show-current"]), "main");
}

#[tokio::test]
async fn all_is_committed_once_and_by_the_given_author() {
    let scene = Scene::new();
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    assert_eq!(tree.commit_all("nothing", &author()).await.unwrap(), None);
    std::fs::write(tree.path.join("new file\n.txt"), "x").unwrap();
    std::fs::write(tree.path.join("README.md"), "changed").unwrap();
    let expected: BTreeSet<PathBuf> = ["README.md", "new file\n.txt"].map(PathBuf::from).into();
    assert_eq!(tree.changed_files().await.unwrap(), expected);
    let message = "Fix `id` $(touch /tmp/x)\n\n# not a comment\n--amend";
    let id = tree.commit_all(message, &author()).await.unwrap().unwrap();
    assert_eq!(id, tree.head().await.unwrap());
    assert_eq!(git(&tree.path, &["log", "-1", "--format=%B"]), message);
    assert_eq!(git(&tree.path, &["log", "-1", "--format=%an <%ae> %cn"]), "Cyrus <cyrus@example.com> Cyrus");
    assert_eq!(tree.commit_all(message, &author()).await.unwrap(), None);
    assert_eq!(tree.changed_files().await.unwrap(), expected);
}

#[tokio::test]
async fn an_empty_message_or_a_broken_author_still_gives_a_commit() {
    let scene = Scene::new();
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    std::fs::write(tree.path.join("a"), "x").unwrap();
    let author = Author { name: "<>\n".into(), email: "a\n<b>".into() };
    assert!(tree.commit_all("\0 \n", &author).await.unwrap().is_some());
    assert_eq!(git(&tree.path, &["log", "-1", "--format=%s|%an|%ae"]), "Work in progress|cyrus|ab");
}

#[tokio::test]
async fn nasty_but_valid_branch_names_reach_git_as_they_are() {
    let scene = Scene::new();
    for (number, name) in
        ["$(touch${IFS}pwned)", "`id`", "a;b", "日本/語", "a'b\"c", "%s&&x", "#9"].into_iter().enumerate()
    {
        let tree = scene.ensure(&format!("N-{number}"), name).await.unwrap();
        assert_eq!(git(&tree.path, &["branch", "--show-current"]), name);
        assert!(!tree.path.join("pwned").exists());
    }
}

#[tokio::test]
async fn an_issue_identifier_cannot_leave_the_folder() {
    let scene = Scene::new();
    for (number, issue) in ["../../evil", "/etc/x", "..", "a/b", "-rf", ""].into_iter().enumerate() {
        let tree = scene.ensure(issue, &format!("b{number}")).await.unwrap();
        let folder = scene.path("trees").canonicalize().unwrap();
        assert_eq!(tree.path.parent().unwrap(), folder, "{issue:?}");
    }
}

#[tokio::test]
async fn a_worktree_whose_folder_was_deleted_is_made_again_on_its_branch() {
    let scene = Scene::new();
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    std::fs::write(tree.path.join("kept.txt"), "x").unwrap();
    let id = tree.commit_all("kept", &author()).await.unwrap().unwrap();
    std::fs::remove_dir_all(&tree.path).unwrap();
    let again = scene.ensure("ENG-1", "eng-1").await.unwrap();
    assert!(again.created);
    assert_eq!(again.head().await.unwrap(), id);
}

#[tokio::test]
async fn a_foreign_folder_in_the_way_is_left_alone() {
    let scene = Scene::new();
    let taken = scene.path("trees/ENG-1");
    std::fs::create_dir_all(&taken).unwrap();
    std::fs::write(taken.join("mine.txt"), "x").unwrap();
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    assert!(tree.path.ends_with("ENG-1-2"));
    assert!(taken.join("mine.txt").exists());
    assert_eq!(scene.ensure("ENG-1", "eng-1").await.unwrap().path, tree.path);
}

#[tokio::test]
async fn a_branch_in_somebodys_checkout_is_refused_with_its_place() {
    let scene = Scene::new();
    git(&scene.path("repo"), &["switch", "--quiet", "-c", "eng-1"]);
    let error = scene.ensure("ENG-1", "eng-1").await.unwrap_err();
    assert!(matches!(&error, GitError::BranchInUse { path, .. } if path.ends_with("repo")), "{error}");
}

#[tokio::test]
async fn a_branch_in_another_issues_worktree_is_refused_and_that_worktree_is_left_alone() {
    let scene = Scene::new();
    let first = scene.ensure("ENG-1-aaaa", "eng-1").await.unwrap();
    let error = scene.ensure("ENG-1-bbbb", "eng-1").await.unwrap_err();
    assert!(matches!(&error, GitError::BranchInUse { path, .. } if *path == first.path), "{error}");
    // Nor is a folder whose name only begins like ours our own.
    let error = scene.ensure("ENG-1", "eng-1").await.unwrap_err();
    assert!(matches!(error, GitError::BranchInUse { .. }), "{error}");
    assert_eq!(git(&first.path, &["branch", "--show-current"]).trim(), "eng-1");
}

#[tokio::test]
async fn a_worktree_on_another_branch_is_switched_only_when_nothing_is_lost() {
    let scene = Scene::new();
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    git(&tree.path, &["switch", "--quiet", "-c", "elsewhere"]);
    std::fs::write(tree.path.join("unsaved"), "x").unwrap();
    let error = scene.ensure("ENG-1", "eng-1").await.unwrap_err();
    assert!(matches!(&error, GitError::OtherBranch { found, .. } if found == "`elsewhere`"), "{error}");
    assert!(tree.path.join("unsaved").exists());
    std::fs::remove_file(tree.path.join("unsaved")).unwrap();
    assert_eq!(scene.ensure("ENG-1", "eng-1").await.unwrap().path, tree.path);
    assert_eq!(git(&tree.path, &["branch", "--show-current"]), "eng-1");
}

#[tokio::test]
async fn many_at_once_do_not_get_in_each_others_way() {
    let scene = Scene::new();
    let all = futures_util::future::join_all((0..8).map(|number| {
        let scene = &scene;
        async move { scene.ensure(&format!("ENG-{}", number % 4), &format!("eng-{}", number % 4)).await }
    }))
    .await;
    let made = all.into_iter().map(|tree| tree.unwrap()).filter(|tree| tree.created).count();
    assert_eq!(made, 4);
}

#[tokio::test]
async fn work_starts_from_the_remotes_base_even_when_the_local_one_is_old() {
    let scene = Scene::new();
    git(scene.dir.path(), &["clone", "--quiet", "repo", "clone"]);
    let newest = commit(&scene.path("repo"), "later.txt", "later");
    let repository = Repository::open(&scene.path("clone")).await.unwrap();
    let branch = BranchName::parse("eng-1").unwrap();
    let folder = scene.path("trees");
    let request = WorktreeRequest { folder: &folder, issue: "ENG-1", branch: &branch, base: None };
    let tree = Worktree::ensure(&repository, &request).await.unwrap();
    assert_eq!((tree.head().await.unwrap(), tree.fetched), (newest, Fetched::Fresh));
}

#[tokio::test]
async fn an_unreachable_remote_is_no_failure() {
    let scene = Scene::new();
    git(&scene.path("repo"), &["remote", "add", "origin", "https://user:secret@127.0.0.1:9/x.git"]);
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    let Fetched::Stale(reason) = tree.fetched else { panic!("{:?}", tree.fetched) };
    assert!(!reason.contains("secret"), "{reason}");
}

#[tokio::test]
async fn a_branch_that_only_the_remote_has_is_continued() {
    let scene = Scene::new();
    git(scene.dir.path(), &["clone", "--quiet", "repo", "clone"]);
    git(&scene.path("repo"), &["switch", "--quiet", "-c", "eng-1"]);
    let theirs = commit(&scene.path("repo"), "theirs.txt", "theirs");
    let repository = Repository::open(&scene.path("clone")).await.unwrap();
    let branch = BranchName::parse("eng-1").unwrap();
    let folder = scene.path("trees");
    let request = WorktreeRequest { folder: &folder, issue: "ENG-1", branch: &branch, base: Some("main") };
    let tree = Worktree::ensure(&repository, &request).await.unwrap();
    assert_eq!(tree.head().await.unwrap(), theirs);
    assert_eq!(tree.changed_files().await.unwrap(), [PathBuf::from("theirs.txt")].into());
}

#[tokio::test]
async fn hooks_and_programs_of_the_repository_do_not_run() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    let repo = scene.path("repo");
    let flag = scene.path("ran");
    let script = format!("#!/bin/sh\necho ran >> '{}'\n", flag.display());
    for hook in [
        "post-checkout",
        "pre-commit",
        "commit-msg",
        "post-commit",
        "prepare-commit-msg",
        "reference-transaction",
    ] {
        let path = repo.join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    git(&repo, &["config", "core.fsmonitor", &format!("{}", repo.join(".git/hooks/pre-commit").display())]);
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    std::fs::write(tree.path.join("a"), "x").unwrap();
    assert!(tree.is_dirty().await.unwrap());
    assert!(tree.commit_all("x", &author()).await.unwrap().is_some());
    assert!(!flag.exists());
}

#[tokio::test]
async fn an_unfinished_worktree_is_finished() {
    let scene = Scene::new();
    let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
    git(&scene.path("repo"), &["worktree", "lock", "--reason", "initializing", tree.path.to_str().unwrap()]);
    std::fs::remove_file(tree.path.join("README.md")).unwrap();
    let again = scene.ensure("ENG-1", "eng-1").await.unwrap();
    assert!(again.path.join("README.md").exists() && !again.is_dirty().await.unwrap());
}

#[tokio::test]
async fn what_cannot_be_worked_on_is_refused_in_words_that_help() {
    let scene = Scene { dir: tempfile::tempdir().unwrap() };
    std::fs::create_dir(scene.path("plain")).unwrap();
    let error = Repository::open(&scene.path("plain")).await.unwrap_err();
    assert!(matches!(error, GitError::NotARepository(_)), "{error}");
    assert!(matches!(Repository::open(&scene.path("none")).await, Err(GitError::NotARepository(_))));

    std::fs::create_dir(scene.path("repo")).unwrap();
    git(&scene.path("repo"), &["init", "--quiet", "-b", "trunk"]);
    let error = scene.ensure("ENG-1", "eng-1").await.unwrap_err();
    assert!(matches!(&error, GitError::NoBase { base } if base == "trunk"), "{error}");
    assert!(matches!(scene.ensure_from("ENG-1", "eng-1", Some("--help")).await, Err(GitError::Branch(_))));
}

#[tokio::test]
async fn the_default_branch_is_the_remotes_then_main_then_what_is_checked_out() {
    let scene = Scene::new();
    let repo = scene.path("repo");
    git(&repo, &["switch", "--quiet", "-c", "feature"]);
    let open = Repository::open(&repo).await.unwrap();
    assert_eq!(open.default_branch().await.unwrap(), "main");
    git(scene.dir.path(), &["clone", "--quiet", "repo", "clone"]);
    let clone = Repository::open(&scene.path("clone")).await.unwrap();
    assert_eq!(clone.default_branch().await.unwrap(), "feature");
    git(&repo, &["branch", "--quiet", "-D", "main"]);
    assert_eq!(open.default_branch().await.unwrap(), "feature");
}
