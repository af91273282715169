//! In which repository a run of this machine works, and from which commit.

use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;
use crate::config::{Config, RepositoryConfig};
use crate::git::command::Git;
use crate::git::{BranchName, GitError};
use crate::journal::look::Session;

/// A repository with a commit to start from.
pub struct Place {
    /// Its folder.
    pub folder: PathBuf,
    /// What is checked out there, for people.
    pub from: String,
    /// The commit that is checked out there.
    pub start: String,
    /// What the person should know of it.
    pub remarks: Vec<String>,
    config: RepositoryConfig,
}

/// Finds it by any folder within it.
pub async fn find(folder: &Path, config: &Config) -> Result<Place, Failure> {
    let shown = folder.display();
    if !folder.is_dir() {
        return Err(
            Failure::usage(format!("{shown} is no folder")).next("name the repository's folder with --repo")
        );
    }
    let top = match Git::new(folder, ["rev-parse", "--show-toplevel"]).line().await {
        Ok(top) => PathBuf::from(top),
        Err(GitError::Failed { .. }) => {
            return Err(Failure::usage(format!("{shown} is not in a git repository")).next(
                "go into one, name one with --repo, or make one: git init && git commit --allow-empty -m first",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let top = std::fs::canonicalize(&top).unwrap_or(top);
    let Ok(start) = Git::new(&top, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).line().await else {
        return Err(Failure::usage(format!("{} has no commit to start from", top.display()))
            .next("git add -A && git commit -m first"));
    };
    let branch = Git::new(&top, ["symbolic-ref", "--quiet", "--short", "HEAD"]).line().await;
    let from = branch.unwrap_or_else(|_| start.chars().take(10).collect());
    let mut remarks = Vec::new();
    let status = Git::new(&top, ["status", "--porcelain", "--untracked-files=normal"]).output().await?;
    let count = String::from_utf8_lossy(&status).lines().count();
    if count > 0 {
        let changes =
            if count == 1 { "1 uncommitted change" } else { &format!("{count} uncommitted changes") };
        remarks
            .push(format!("the agent does not see {changes} in {}; commit what it shall see", top.display()));
    }
    let config = known(&top, config);
    Ok(Place { folder: top, from, start, remarks, config })
}

/// The repository that an earlier session's worktree is of.
pub async fn of_worktree(session: &Session, config: &Config) -> Result<Place, Failure> {
    let gone = || {
        Failure::new(format!("the worktree of {} is not there any more", session.session))
            .next("begin anew: cyrus run \"…\"")
    };
    let worktree =
        session.worktree.as_ref().map(PathBuf::from).filter(|path| path.is_dir()).ok_or_else(gone)?;
    let common = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
    let common = PathBuf::from(Git::new(&worktree, common).line().await.map_err(|_| gone())?);
    let start = Git::new(&worktree, ["rev-parse", "--verify", "HEAD"]).line().await?;
    // In a repository with a working folder the common one is its `.git`.
    let top =
        if common.ends_with(".git") { common.parent().map(Path::to_owned).ok_or_else(gone)? } else { common };
    let mut found = known(&top, config);
    if let Some(name) = &session.repository {
        found.name.clone_from(name);
    }
    let from =
        Git::new(&top, ["symbolic-ref", "--quiet", "--short", "HEAD"]).line().await.unwrap_or_default();
    Ok(Place { folder: top, from, start, remarks: Vec::new(), config: found })
}

fn known(top: &Path, config: &Config) -> RepositoryConfig {
    let is_this =
        |one: &&RepositoryConfig| std::fs::canonicalize(&one.repository_path).is_ok_and(|real| real == top);
    config.repositories.iter().find(is_this).cloned().unwrap_or_else(|| unconfigured(top))
}

impl Place {
    /// Its configuration as it is known.
    pub fn repository(&self) -> RepositoryConfig {
        RepositoryConfig { repository_path: self.folder.clone(), ..self.config.clone() }
    }

    /// The repository's configuration for a session of this name. Without a `base` the session's branch is made here,
    /// from what is checked out, so that commits which are not pushed are in it.
    pub async fn prepare(&self, session: &str, base: Option<&str>) -> Result<RepositoryConfig, Failure> {
        let mut config = self.repository();
        match base {
            Some(base) => {
                BranchName::parse(base).map_err(|error| Failure::usage(error.to_string()))?;
                config.base_branch = Some(base.to_owned());
            }
            None => {
                let branch = BranchName::from_issue(session);
                let args = ["branch", "--no-track", "--", branch.as_str(), &self.start];
                Git::new(&self.folder, args).output().await?;
            }
        }
        Ok(config)
    }
}

/// A repository that no configuration names.
pub fn unconfigured(folder: &Path) -> RepositoryConfig {
    let name =
        folder.file_name().map_or_else(|| "repository".into(), |name| name.to_string_lossy().into_owned());
    RepositoryConfig { name, repository_path: folder.to_owned(), ..RepositoryConfig::default() }
}
