//! Work in progress as a commit that touches neither the index nor a branch, and its way back into a worktree when
//! another worker goes on with it.
//! Neighbours: `push` sends it to the remote by its id; the session asks for it after each turn.
//! It must never lose what a worktree held: before another state takes its place, that is kept under `refs/cyrus/aside`.

use std::path::{Path, PathBuf};

use tracing::info;

use super::branch::slug;
use super::{Author, BranchName, Dirs, GitError, Repository, Worktree, dirs, worktree};

/// The line by which a commit of work that nobody committed is told apart from a commit that somebody made.
const MARK: &str = "Cyrus-Uncommitted: yes";

/// The state of a worktree as one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wip {
    /// The commit: the branch's own newest one when nothing was uncommitted.
    pub commit: String,
    /// The newest commit of the branch.
    pub head: String,
    /// True when `commit` holds work that was not committed.
    pub dirty: bool,
}

/// What became of another worker's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// There is none, or it was this worktree's own.
    Nothing,
    /// The worktree is as the other worker left it.
    Taken {
        /// The branch's newest commit.
        head: String,
        /// True when there is uncommitted work too.
        dirty: bool,
        /// Where this worktree's own state is kept, if it held anything else.
        aside: Option<String>,
    },
    /// The branch here holds it already, and more.
    Newer,
}

/// The reference that keeps a session's work in progress: `refs/cyrus/wip/<agent session id>`.
pub fn reference(session: &str) -> String {
    format!("refs/cyrus/wip/{}", slug(session))
}

/// Makes the commit of what the worktree holds now, new files included, ignored ones not. `at` is in seconds since 1970;
/// the same state, session and time always give the same commit, so it may be made again after a crash.
pub async fn snapshot(tree: &Worktree, session: &str, at: i64) -> Result<Wip, GitError> {
    keep(&tree.dirs, session, at).await
}

/// The same for a worktree of `repository` that is known by its folder alone.
pub async fn snapshot_at(
    repository: &Repository,
    tree: &Path,
    session: &str,
    at: i64,
) -> Result<Wip, GitError> {
    keep(&Dirs::of(repository.common(), tree)?, session, at).await
}

async fn keep(dirs: &Dirs, session: &str, at: i64) -> Result<Wip, GitError> {
    let wip = capture(dirs, &format!("Work in progress of {}", slug(session)), at).await?;
    dirs::note(dirs.tree(), &wip.commit)
        .map_err(|source| GitError::Folder { path: dirs.tree().to_owned(), source })?;
    dirs.git(["update-ref", &reference(session), &wip.commit]).output().await?;
    Ok(wip)
}

async fn capture(dirs: &Dirs, subject: &str, at: i64) -> Result<Wip, GitError> {
    let head = dirs.git(["rev-parse", "--verify", "HEAD^{commit}"]).line().await?;
    let index = Index::of(dirs).await?;
    worktree::stage(dirs, Some(&index.0)).await?;
    let of_index = dirs.git(["write-tree"]).env("GIT_INDEX_FILE", &index.0).line().await?;
    let of_head = dirs.git(["rev-parse", "--verify", "HEAD^{tree}"]).line().await?;
    if of_index == of_head {
        return Ok(Wip { commit: head.clone(), head, dirty: false });
    }
    let author = Author { name: "Cyrus".to_owned(), email: "cyrus@localhost".to_owned() };
    let date = format!("@{at} +0000");
    let commit = dirs
        .git(["commit-tree", "--no-gpg-sign", "-p", &head, &of_index])
        .stdin(format!("{subject}\n\n{MARK}\n"))
        .envs(author.environment())
        .env("GIT_AUTHOR_DATE", &date)
        .env("GIT_COMMITTER_DATE", &date)
        .line()
        .await?;
    Ok(Wip { commit, head, dirty: true })
}

/// An index file of our own, gone when dropped.
struct Index(PathBuf);

impl Index {
    /// Begins as the worktree's index, so that unchanged files are not read again; as the commit where that is broken.
    async fn of(dirs: &Dirs) -> Result<Self, GitError> {
        let path = dirs::beside(dirs.tree(), &format!("{}.index", uuid::Uuid::new_v4()));
        let index = Self(path.clone());
        let copied = tokio::fs::copy(dirs.own().join("index"), &path).await.is_ok()
            && dirs.git(["ls-files", "--stage"]).env("GIT_INDEX_FILE", &path).succeeds().await?;
        if !copied {
            let _ = tokio::fs::remove_file(&path).await;
            dirs.git(["read-tree", "HEAD"]).env("GIT_INDEX_FILE", &path).output().await?;
        }
        Ok(index)
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // A file that stays is small, and in nobody's way.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Takes over what another worker pushed of the session: the worktree's branch and files become as they were there, what
/// was uncommitted stays uncommitted. Doing it again changes nothing. `at`: seconds since 1970, for what is kept aside.
pub async fn adopt(
    repository: &Repository,
    tree: &Worktree,
    session: &str,
    at: i64,
) -> Result<Adopted, GitError> {
    let Some(wip) = fetch(repository, tree, session).await? else { return Ok(Adopted::Nothing) };
    let dirs = &tree.dirs;
    let message = dirs.git(["log", "-1", "--format=%B", &wip]).line().await?;
    let dirty = message.lines().any(|line| line == MARK);
    let head = match dirty {
        true => dirs.git(["rev-parse", "--verify", &format!("{wip}^1")]).line().await?,
        false => wip.clone(),
    };
    let ours = tree.head().await?;
    let known = dirs::noted(&tree.path);
    if known.contains(&wip) && ours != wip {
        return Ok(Adopted::Nothing);
    }
    let holds = |old: &str, new: &str| {
        let args = ["merge-base", "--is-ancestor", old, new].map(str::to_owned);
        async move { dirs.git(args).succeeds().await }
    };
    // A take-over that was cut off between its two steps leaves the branch at the uncommitted work: that is mended below.
    if ours != head && ours != wip && holds(&head, &ours).await? {
        return Ok(Adopted::Newer);
    }
    let here = capture(dirs, &format!("Put aside for {}", slug(session)), at).await?;
    let same = here.commit == wip || here.head == wip && !here.dirty;
    let aside = if same || (!here.dirty && holds(&here.head, &head).await?) {
        None
    } else {
        let name = format!("refs/cyrus/aside/{}/{}", slug(session), &here.commit);
        dirs.git(["update-ref", &name, &here.commit]).output().await?;
        info!("what {} held is kept as {name}", tree.path.display());
        Some(name)
    };
    dirs.git(["reset", "--quiet", "--hard", &wip]).output().await?;
    dirs.git(["reset", "--quiet", "--mixed", &head]).output().await?;
    dirs::note(&tree.path, &wip).map_err(|source| GitError::Folder { path: tree.path.clone(), source })?;
    Ok(Adopted::Taken { head, dirty, aside })
}

/// The remote's work in progress of a session; `None` without one, or without a remote.
async fn fetch(repository: &Repository, tree: &Worktree, session: &str) -> Result<Option<String>, GitError> {
    let Some(remote) = repository.remote().await? else { return Ok(None) };
    let here = format!("refs/cyrus/theirs/{}/{}", dirs::file_name(&tree.path), slug(session));
    let refspec = format!("+{}:{here}", reference(session));
    let args =
        ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--", &remote];
    match repository.network(args).await?.arg(&refspec).output().await {
        Ok(_) => repository.commit(&here).await,
        Err(GitError::Failed { stderr, .. }) if stderr.contains("couldn't find remote ref") => Ok(None),
        Err(error) => Err(error),
    }
}

/// The full reference that work is pushed aside to once its lease is lost: `<branch>-recovered-<worker 8>-<run 8>`.
pub fn recovered(branch: &BranchName, worker: &str, run: &str) -> String {
    branch.recovered(worker, run).reference()
}

#[cfg(test)]
mod tests;
