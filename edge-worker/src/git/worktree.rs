//! A worktree for an issue: made or found again, looked at, committed in.
//! Neighbours: `repository` holds the lock; the session runs the agent in the worktree's folder.
//! It must never remove a worktree, a branch or a file, nor throw away uncommitted work.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::branch::{BranchName, slug};
use super::command::{Git, paths};
use super::{Dirs, GitError, Repository, dirs};

pub(super) mod registered;

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
    /// Where git keeps what belongs to it, by this program's own record.
    pub dirs: Dirs,
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
        let (dirs, created) = place(repository, request, remote.as_deref(), &base_commit).await?;
        let path = dirs.tree().to_owned();
        let merge_base = dirs.git(["merge-base", "HEAD", &base_commit]).answer().await?;
        let fork = String::from_utf8_lossy(&merge_base.stdout).trim().to_owned();
        let base_commit = if fork.is_empty() { base_commit } else { fork };
        dirs::touch(&path, false);
        dirs::note_base(&path, &base);
        Ok(Self { path, dirs, branch: request.branch.clone(), base, base_commit, created, fetched })
    }

    /// True when there is anything that is not committed, new files included.
    pub async fn is_dirty(&self) -> Result<bool, GitError> {
        is_dirty(&self.dirs).await
    }

    /// The branch that the work in an issue's worktree started from; `None` when there is no worktree of it yet.
    pub fn known_base(folder: &Path, issue: &str) -> Option<String> {
        dirs::base(&folder.join(slug(issue))).filter(|_| folder.join(slug(issue)).is_dir())
    }

    /// True until it was prepared: its files brought in and its set-up script run, whatever came of it.
    pub fn is_raw(&self) -> bool {
        dirs::is_raw(&self.path)
    }

    /// It needs no preparing any more.
    pub fn prepared(&self) {
        dirs::prepared(&self.path);
    }

    /// To be called after each run, when nothing of it is left: mends what an agent changed of git's own files and removes
    /// the locks of a git that was killed. True when something had been changed.
    pub fn repair(&self) -> Result<bool, GitError> {
        self.dirs.unlock(self.branch.as_str());
        self.dirs.repair()
    }

    /// The commit that is checked out.
    pub async fn head(&self) -> Result<String, GitError> {
        self.git(["rev-parse", "--verify", "HEAD"]).line().await
    }

    /// Commits all there is, new files included, and returns the commit; `None` when there is nothing to commit.
    pub async fn commit_all(&self, message: &str, author: &Author) -> Result<Option<String>, GitError> {
        stage(&self.dirs, None).await?;
        if self.git(["diff", "--cached", "--quiet", "--no-ext-diff"]).succeeds().await? {
            return Ok(None);
        }
        let message = match message.replace('\0', "").trim() {
            "" => "Work in progress".to_owned(),
            text => text.to_owned(),
        };
        self.git(["commit", "--quiet", "--no-verify", "--cleanup=whitespace", "--file=-"])
            .stdin(message)
            .envs(author.environment())
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
            "--ignore-submodules=dirty",
            &self.base_commit,
            "--",
        ];
        let known = self.git(args).output().await?;
        let new = self.git(["ls-files", "--others", "--exclude-standard", "-z"]).output().await?;
        Ok(paths(&known).chain(paths(&new)).collect())
    }

    fn git<A: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Git {
        self.dirs.git(args)
    }
}

impl Author {
    /// The variables that tell git who a commit is by, in words that git can keep.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        let (name, email) = (plain(&self.name), plain(&self.email));
        [
            ("GIT_AUTHOR_NAME", name.clone()),
            ("GIT_AUTHOR_EMAIL", email.clone()),
            ("GIT_COMMITTER_NAME", name),
            ("GIT_COMMITTER_EMAIL", email),
        ]
    }
}

/// Puts all there is into the index, or into another index file, without looking into nested repositories: git would
/// obey their settings, which an agent can write. What cannot be read is left out rather than nothing be kept.
pub(super) async fn stage(dirs: &Dirs, index: Option<&Path>) -> Result<(), GitError> {
    let git = |args: &[&str]| match index {
        Some(index) => dirs.git(args).env("GIT_INDEX_FILE", index),
        None => dirs.git(args),
    };
    let listed = git(&["ls-files", "--stage", "-z"]).output().await?;
    let nested: Vec<&[u8]> = listed
        .split(|byte| *byte == 0)
        .filter(|entry| entry.starts_with(b"160000 "))
        .filter_map(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1))
        .collect();
    let mut wanted = b":/\0".to_vec();
    for path in &nested {
        wanted.extend([b":(top,exclude,literal)", *path, b"\0"].concat());
    }
    let args = ["add", "--all", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul"];
    let added = git(&args).stdin(wanted).answer().await?;
    match added.status.code() {
        Some(0) => {}
        Some(1) => warn!("not all of {} could be kept: {}", dirs.tree().display(), added.stderr),
        _ => {
            return Err(GitError::Failed {
                verb: "add".to_owned(),
                status: added.status,
                stderr: added.stderr,
            });
        }
    }
    if !nested.is_empty() {
        let mut list = nested.join(&0);
        list.push(0);
        git(&["update-index", "--remove", "-z", "--stdin"]).stdin(list).output().await?;
    }
    Ok(())
}

/// A name as git can keep it: no line breaks, no brackets, never of such signs alone that git takes away.
fn plain(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control() && !['<', '>'].contains(c)).collect();
    let taken_away = |c: char| c.is_whitespace() || ['.', ',', ':', ';', '"', '\\', '\''].contains(&c);
    match kept.trim_matches(taken_away) {
        "" => "cyrus".to_owned(),
        kept => kept.to_owned(),
    }
}

pub(super) async fn is_dirty(dirs: &Dirs) -> Result<bool, GitError> {
    let args = ["status", "--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=dirty"];
    let status = dirs.git(args).output().await?;
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
) -> Result<(Dirs, bool), GitError> {
    let make = |path: &Path| tokio::fs::create_dir_all(path.to_owned());
    make(request.folder)
        .await
        .map_err(|source| GitError::Folder { path: request.folder.to_owned(), source })?;
    let folder = tokio::fs::canonicalize(request.folder)
        .await
        .map_err(|source| GitError::Folder { path: request.folder.to_owned(), source })?;
    let first = folder.join(slug(request.issue));
    // Before git looks: it forgets a worktree whose own files lead nowhere.
    dirs::repair_all(&folder);
    repository.git(["worktree", "prune"]).output().await?;
    let registered = registered::list(repository).await?;
    let dirs_of = |path: &Path| Dirs::of(repository.common(), path);
    if let Some(holder) = registered.iter().find(|one| one.branch.as_deref() == Some(request.branch.as_str()))
    {
        if !is_place_of(&first, &holder.path) {
            return Err(GitError::BranchInUse {
                branch: request.branch.to_string(),
                path: holder.path.clone(),
            });
        }
        holder.repair(repository).await?;
        let dirs = dirs_of(&holder.path)?;
        dirs.unlock(request.branch.as_str());
        return Ok((dirs, false));
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
            return Ok((dirs_of(&path)?, false));
        }
        if is_free(&path).await {
            dirs::forget(&path);
            // Before it is there: a worktree that a killed cyrus just made is not prepared either.
            dirs::touch(&path, true);
            add(repository, &path, request.branch, remote, base_commit).await?;
            return Ok((dirs_of(&path)?, true));
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
    let dirs = Dirs::of(repository.common(), &found.path)?;
    dirs.unlock(branch.as_str());
    if is_dirty(&dirs).await? {
        return Err(GitError::OtherBranch {
            path: found.path.clone(),
            found: found.branch.as_ref().map_or_else(|| "no branch".to_owned(), |name| format!("`{name}`")),
            wanted: branch.to_string(),
        });
    }
    let git = dirs.git(["switch", "--quiet", "--no-guess"]);
    let git = match start(repository, branch, remote, base_commit).await? {
        Some(commit) => git.args(["--no-track", "-c", branch.as_str(), &commit]),
        None => git.arg(branch.as_str()),
    };
    git.output().await.map(drop)
}

#[cfg(test)]
pub(super) mod tests;
