//! A worktree for an issue: made or found again, looked at, committed in.
//! Neighbours: `repository` holds the lock; the session runs the agent in the worktree's folder.
//! It must never remove a worktree, a branch or a file, nor throw away uncommitted work.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::branch::{BranchName, slug};
use super::command::{Git, paths};
use super::{GitError, Repository};

mod registered;

use registered::Registered;

const FOLDER_TRIES: usize = 9;

/// What worktree is wanted.
#[derive(Debug, Clone)]
pub struct WorktreeRequest<'a> {
    /// The folder that holds all worktrees of the repository.
    pub folder: &'a Path,
    /// What names the worktree's folder: unique for each issue, since a folder is one issue's alone.
    pub issue: &'a str,
    /// The branch to work on.
    pub branch: &'a BranchName,
    /// The branch to start from; `None` for the repository's default branch.
    pub base: Option<&'a str>,
}

/// A worktree that is ready to work in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// Its folder.
    pub path: PathBuf,
    /// The branch that is checked out.
    pub branch: BranchName,
    /// The base branch's name.
    pub base: String,
    /// The commit where the work branches off from the base.
    pub base_commit: String,
    /// True when it was made just now, false when it was found.
    pub created: bool,
    /// Whether the base is fresh.
    pub fetched: Fetched,
}

/// Whether the remote was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// There is no remote.
    NoRemote,
    /// The base is as the remote has it.
    Fresh,
    /// The remote could not be asked, for this reason; what is known here was used.
    Stale(String),
}

/// Who a commit is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

impl Worktree {
    /// Makes the worktree, or finds it again with whatever work it holds. Only one is made at a time in a repository.
    pub async fn ensure(repository: &Repository, request: &WorktreeRequest<'_>) -> Result<Self, GitError> {
        let _guard = repository.lock().await;
        let base = match request.base {
            Some(base) => BranchName::parse(base)?.as_str().to_owned(),
            None => repository.default_branch().await?,
        };
        let remote = repository.remote().await?;
        let fetched = fetch(repository, remote.as_deref(), &base, request.branch).await;
        let base_commit = base_commit(repository, remote.as_deref(), &base, &fetched)
            .await?
            .ok_or_else(|| GitError::NoBase { base: base.clone() })?;
        repository.git(["worktree", "prune"]).output().await?;
        let (path, created) = place(repository, request, remote.as_deref(), &base_commit).await?;
        let merge_base = Git::new(&path, ["merge-base", "HEAD", &base_commit]).answer().await?;
        let fork = String::from_utf8_lossy(&merge_base.stdout).trim().to_owned();
        let base_commit = if fork.is_empty() { base_commit } else { fork };
        Ok(Self { path, branch: request.branch.clone(), base, base_commit, created, fetched })
    }

    /// True when there is anything that is not committed, new files included.
    pub async fn is_dirty(&self) -> Result<bool, GitError> {
        is_dirty(&self.path).await
    }

    /// The commit that is checked out.
    pub async fn head(&self) -> Result<String, GitError> {
        self.git(["rev-parse", "--verify", "HEAD"]).line().await
    }

    /// Commits all there is, new files included, and returns the commit; `None` when there is nothing to commit.
    pub async fn commit_all(&self, message: &str, author: &Author) -> Result<Option<String>, GitError> {
        self.git(["add", "--all"]).output().await?;
        if self.git(["diff", "--cached", "--quiet", "--no-ext-diff"]).succeeds().await? {
            return Ok(None);
        }
        let message = match message.replace('\0', "").trim() {
            "" => "Work in progress".to_owned(),
            text => text.to_owned(),
        };
        self.git(["commit", "--quiet", "--no-verify", "--cleanup=whitespace", "--file=-"])
            .stdin(message)
            .env("GIT_AUTHOR_NAME", plain(&author.name))
            .env("GIT_AUTHOR_EMAIL", plain(&author.email))
            .env("GIT_COMMITTER_NAME", plain(&author.name))
            .env("GIT_COMMITTER_EMAIL", plain(&author.email))
            .output()
            .await?;
        self.head().await.map(Some)
    }

    /// All files that differ from the commit where the work branched off, committed or not, new ones included.
    pub async fn changed_files(&self) -> Result<BTreeSet<PathBuf>, GitError> {
        let args = [
            "diff",
            "--name-only",
            "-z",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            &self.base_commit,
            "--",
        ];
        let known = self.git(args).output().await?;
        let new = self.git(["ls-files", "--others", "--exclude-standard", "-z"]).output().await?;
        Ok(paths(&known).chain(paths(&new)).collect())
    }

    fn git<A: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Git {
        Git::new(&self.path, args)
    }
}

/// A name as git can keep it: no line breaks, no brackets, never empty.
fn plain(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control() && !['<', '>'].contains(c)).collect();
    match kept.trim() {
        "" => "cyrus".to_owned(),
        kept => kept.to_owned(),
    }
}

async fn is_dirty(path: &Path) -> Result<bool, GitError> {
    let status = Git::new(path, ["status", "--porcelain", "-z", "--untracked-files=all"]).output().await?;
    Ok(!status.is_empty())
}

async fn fetch(repository: &Repository, remote: Option<&str>, base: &str, branch: &BranchName) -> Fetched {
    let Some(remote) = remote else { return Fetched::NoRemote };
    match repository.fetch(remote, base).await {
        Err(error) => Fetched::Stale(error.to_string()),
        Ok(known) => {
            // The branch may be there from another machine; most often it is not.
            let _ = repository.fetch(remote, branch.as_str()).await;
            if known { Fetched::Fresh } else { Fetched::Stale(format!("the remote has no branch `{base}`")) }
        }
    }
}

/// The remote's base when it is fresh; else the newer one of the remote's and the local.
async fn base_commit(
    repository: &Repository,
    remote: Option<&str>,
    base: &str,
    fetched: &Fetched,
) -> Result<Option<String>, GitError> {
    let local = repository.commit(&format!("refs/heads/{base}")).await?;
    let Some(remote) = remote else { return Ok(local) };
    match (repository.commit(&format!("refs/remotes/{remote}/{base}")).await?, local) {
        (Some(theirs), Some(ours)) if *fetched != Fetched::Fresh => {
            let ours_is_newer =
                repository.git(["merge-base", "--is-ancestor", &theirs, &ours]).succeeds().await?;
            Ok(Some(if ours_is_newer { ours } else { theirs }))
        }
        (theirs, ours) => Ok(theirs.or(ours)),
    }
}

/// Finds or makes the worktree's folder with the branch checked out. The flag is true when it was made.
async fn place(
    repository: &Repository,
    request: &WorktreeRequest<'_>,
    remote: Option<&str>,
    base_commit: &str,
) -> Result<(PathBuf, bool), GitError> {
    let make = |path: &Path| tokio::fs::create_dir_all(path.to_owned());
    make(request.folder)
        .await
        .map_err(|source| GitError::Folder { path: request.folder.to_owned(), source })?;
    let folder = tokio::fs::canonicalize(request.folder)
        .await
        .map_err(|source| GitError::Folder { path: request.folder.to_owned(), source })?;
    let first = folder.join(slug(request.issue));
    let registered = registered::list(repository).await?;
    if let Some(holder) = registered.iter().find(|one| one.branch.as_deref() == Some(request.branch.as_str()))
    {
        if !is_place_of(&first, &holder.path) {
            return Err(GitError::BranchInUse {
                branch: request.branch.to_string(),
                path: holder.path.clone(),
            });
        }
        holder.repair(repository).await?;
        return Ok((holder.path.clone(), false));
    }
    for try_number in 1..=FOLDER_TRIES {
        let path = if try_number == 1 {
            first.clone()
        } else {
            folder.join(format!("{}-{try_number}", slug(request.issue)))
        };
        if let Some(found) = registered.iter().find(|one| one.path == path) {
            // The branch may have gone, so this makes it again where needed.
            switch(repository, found, request.branch, remote, base_commit).await?;
            return Ok((path, false));
        }
        if is_free(&path).await {
            add(repository, &path, request.branch, remote, base_commit).await?;
            return Ok((path, true));
        }
    }
    Err(GitError::NoFolder { path: first })
}

/// Whether a path is an issue's first folder or one of its numbered others. Another issue's worktree is never
/// shared: two runs in one folder would undo each other.
fn is_place_of(first: &Path, path: &Path) -> bool {
    let (Some(first_name), Some(name)) = (first.to_str(), path.to_str()) else { return first == path };
    match name.strip_prefix(first_name) {
        Some("") => true,
        Some(rest) => {
            rest.strip_prefix('-').is_some_and(|digits| digits.len() == 1 && digits.parse::<usize>().is_ok())
        }
        None => false,
    }
}

/// True for a path that is not there or is an empty folder.
async fn is_free(path: &Path) -> bool {
    match tokio::fs::read_dir(path).await {
        Ok(mut entries) => matches!(entries.next_entry().await, Ok(None)),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// What a branch that is not here yet starts from: the remote's branch of that name, else the base.
async fn start(
    repository: &Repository,
    branch: &BranchName,
    remote: Option<&str>,
    base_commit: &str,
) -> Result<Option<String>, GitError> {
    if repository.commit(&branch.reference()).await?.is_some() {
        return Ok(None);
    }
    let theirs = match remote {
        Some(remote) => repository.commit(&format!("refs/remotes/{remote}/{branch}")).await?,
        None => None,
    };
    Ok(Some(theirs.unwrap_or_else(|| base_commit.to_owned())))
}

async fn add(
    repository: &Repository,
    path: &Path,
    branch: &BranchName,
    remote: Option<&str>,
    base_commit: &str,
) -> Result<(), GitError> {
    let git = repository.git(["worktree", "add", "--quiet"]);
    let git = match start(repository, branch, remote, base_commit).await? {
        Some(commit) => git.args(["--no-track", "-b", branch.as_str(), "--"]).arg(path).arg(&commit),
        None => git.arg("--").arg(path).arg(branch.as_str()),
    };
    git.output().await.map(drop)
}

async fn switch(
    repository: &Repository,
    found: &Registered,
    branch: &BranchName,
    remote: Option<&str>,
    base_commit: &str,
) -> Result<(), GitError> {
    found.repair(repository).await?;
    if is_dirty(&found.path).await? {
        return Err(GitError::OtherBranch {
            path: found.path.clone(),
            found: found.branch.as_ref().map_or_else(|| "no branch".to_owned(), |name| format!("`{name}`")),
            wanted: branch.to_string(),
        });
    }
    let git = Git::new(&found.path, ["switch", "--quiet", "--no-guess"]);
    let git = match start(repository, branch, remote, base_commit).await? {
        Some(commit) => git.args(["--no-track", "-c", branch.as_str(), &commit]),
        None => git.arg(branch.as_str()),
    };
    git.output().await.map(drop)
}

#[cfg(test)]
mod tests;
