//! A repository on this machine: its identity, its lock, its remote and its base branch.
//! Neighbours: `worktree` makes worktrees of it.
//! It must never change the repository's own checkout or branches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::GitError;
use super::command::{Git, NETWORK};

/// One lock for each repository of the process, however often it is opened.
static LOCKS: LazyLock<Mutex<BTreeMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>> = LazyLock::new(Mutex::default);

/// A repository.
#[derive(Debug, Clone)]
pub struct Repository {
    path: PathBuf,
    common: PathBuf,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Repository {
    /// Opens the repository at `path`: a checkout, a bare repository or a worktree.
    pub async fn open(path: &Path) -> Result<Self, GitError> {
        let not_one = || GitError::NotARepository(path.to_owned());
        let real = tokio::fs::canonicalize(path).await.map_err(|_| not_one())?;
        let found = Git::new(&real, ["rev-parse", "--path-format=absolute", "--git-common-dir"]).line().await;
        let common = match found {
            Ok(folder) => PathBuf::from(folder),
            Err(GitError::Failed { .. }) => return Err(not_one()),
            Err(error) => return Err(error),
        };
        let common = tokio::fs::canonicalize(&common).await.unwrap_or(common);
        let lock =
            LOCKS.lock().unwrap_or_else(PoisonError::into_inner).entry(common.clone()).or_default().clone();
        Ok(Self { path: real, common, lock })
    }

    /// The repository's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Git's folder of the whole repository.
    pub fn common(&self) -> &Path {
        &self.common
    }

    /// Waits for the right to change worktrees and branches; held until the guard is dropped.
    pub(super) async fn lock(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.lock.lock().await
    }

    /// A git command in this repository.
    pub(super) fn git<A: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Git {
        Git::new(&self.path, args)
    }

    /// A git command that talks to a remote: it looks at no worktree and asks nobody for a password.
    pub(super) async fn network<A: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Git, GitError> {
        let own = self.git(["config", "--get", "core.sshCommand"]).answer().await?;
        let git = self.git(args).env("GIT_DIR", &self.common).limit(NETWORK);
        Ok(if own.status.success() { git.own_ssh() } else { git })
    }

    /// The remote's name: `origin`, or the only one; `None` without a remote.
    pub async fn remote(&self) -> Result<Option<String>, GitError> {
        let names = self.git(["remote"]).line().await?;
        let names: Vec<&str> = names.lines().collect();
        Ok(match names.as_slice() {
            names if names.contains(&"origin") => Some("origin".to_owned()),
            [only] => Some((*only).to_owned()),
            _ => None,
        })
    }

    /// The branch that new work starts from: the remote's default, else `main` or `master`, else what is checked out.
    pub async fn default_branch(&self) -> Result<String, GitError> {
        if let Some(remote) = self.remote().await? {
            let head = format!("refs/remotes/{remote}/HEAD");
            let answer = self.git(["symbolic-ref", "--quiet", &head]).answer().await?;
            let target = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
            if let Some(branch) = target.strip_prefix(&format!("refs/remotes/{remote}/")) {
                return Ok(branch.to_owned());
            }
            // A repository that was not cloned does not know it; the remote does.
            let args = ["ls-remote", "--symref", "--", &remote, "HEAD"];
            if let Ok(listed) = self.network(args).await?.output().await
                && let Some(branch) = head_of(&String::from_utf8_lossy(&listed))
            {
                return Ok(branch);
            }
        }
        for branch in ["main", "master"] {
            if self.commit(&format!("refs/heads/{branch}")).await?.is_some() {
                return Ok(branch.to_owned());
            }
        }
        let answer = self.git(["symbolic-ref", "--quiet", "--short", "HEAD"]).answer().await?;
        let branch = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        Ok(if branch.is_empty() { "main".to_owned() } else { branch })
    }

    /// The commit that a revision names; `None` when it names none.
    pub async fn commit(&self, revision: &str) -> Result<Option<String>, GitError> {
        let commit = format!("{revision}^{{commit}}");
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        let answer = self.git(args).answer().await?;
        let id = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        Ok((answer.status.success() && !id.is_empty()).then_some(id))
    }

    /// Makes a reference name a commit.
    pub async fn set_reference(&self, name: &str, commit: &str) -> Result<(), GitError> {
        self.git(["update-ref", "--end-of-options", name, commit]).output().await.map(|_| ())
    }

    /// Brings one branch of the remote up to date. False when the remote does not have it; an error when it cannot be reached.
    pub(super) async fn fetch(&self, remote: &str, branch: &str) -> Result<bool, GitError> {
        let refspec = format!("+refs/heads/{branch}:refs/remotes/{remote}/{branch}");
        let args = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--",
            remote,
            &refspec,
        ];
        match self.network(args).await?.output().await {
            Ok(_) => Ok(true),
            Err(GitError::Failed { stderr, .. }) if stderr.contains("couldn't find remote ref") => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The branch in the first line of `ls-remote --symref`: `ref: refs/heads/main<TAB>HEAD`.
fn head_of(listed: &str) -> Option<String> {
    let line = listed.lines().next()?;
    let branch = line.strip_prefix("ref: refs/heads/")?.strip_suffix("\tHEAD")?;
    super::BranchName::parse(branch).ok().map(|branch| branch.as_str().to_owned())
}
