//! Git by argument vector: branch names, worktrees, commits.
//! Neighbours: `command` runs git, `branch` judges names, `repository` and `worktree` do the work, `dirs` knows where git
//! keeps a worktree, `base` says where work starts, `include` brings files in, `wip` and `push` take work out, `cleanup` and
//! `quota` keep the disk free.
//! It must never pass outside text through a shell or as a flag, run a repository's hooks, or remove work.

use std::path::PathBuf;
use std::time::Duration;

pub mod base;
pub mod branch;
pub mod cleanup;
pub mod command;
pub mod dirs;
pub mod include;
pub mod push;
pub mod quota;
pub mod repository;
pub mod wip;
pub mod worktree;

pub use branch::{BranchError, BranchName};
pub use dirs::Dirs;
pub use repository::Repository;
pub use worktree::{Author, Fetched, Worktree, WorktreeRequest};

/// What an agent's own git commands get in their environment: whom commits are by, and no tidying up that could drop
/// what only another session's index holds.
pub fn agent_environment(author: &Author) -> Vec<(&'static str, String)> {
    let settings = [("gc.auto", "0"), ("maintenance.auto", "false"), ("gc.pruneExpire", "never")];
    let names = [
        ("GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"),
        ("GIT_CONFIG_KEY_1", "GIT_CONFIG_VALUE_1"),
        ("GIT_CONFIG_KEY_2", "GIT_CONFIG_VALUE_2"),
    ];
    let mut all = author.environment().to_vec();
    all.push(("GIT_CONFIG_COUNT", settings.len().to_string()));
    for ((key, value), (setting, to)) in names.into_iter().zip(settings) {
        all.extend([(key, setting.to_owned()), (value, to.to_owned())]);
    }
    all
}

/// Why git work failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// Git could not be started.
    #[error("cannot start git: {0}; install git and put it on PATH")]
    Start(std::io::Error),
    /// Git took too long and was ended.
    #[error("git {verb} took longer than {} s and was ended; check the disk or the network", limit.as_secs())]
    Timeout {
        /// The git command's name.
        verb: String,
        /// The limit.
        limit: Duration,
    },
    /// Git said no.
    #[error("git {verb} failed ({status}): {stderr}")]
    Failed {
        /// The git command's name.
        verb: String,
        /// How git ended.
        status: std::process::ExitStatus,
        /// The end of what git said.
        stderr: String,
    },
    /// The path holds no repository.
    #[error(
        "{0} is not a git repository: clone it there, or correct the repository's path in the configuration"
    )]
    NotARepository(PathBuf),
    /// Nothing to branch from.
    #[error(
        "the repository has no commit to branch from at `{base}`: push a first commit, or set the base branch"
    )]
    NoBase {
        /// The base that was asked for.
        base: String,
    },
    /// The branch is checked out where this program must not work.
    #[error("branch `{branch}` is checked out at {path}: switch that checkout to another branch")]
    BranchInUse {
        /// The branch.
        branch: String,
        /// The other checkout.
        path: PathBuf,
    },
    /// The worktree holds unsaved work on another branch.
    #[error(
        "the worktree {path} has uncommitted work on {found}, not on `{wanted}`: commit or move it first"
    )]
    OtherBranch {
        /// The worktree.
        path: PathBuf,
        /// What is checked out.
        found: String,
        /// What was wanted.
        wanted: String,
    },
    /// Git's folder for a worktree cannot be told.
    #[error(
        "git's own folder for the worktree {path} is not to be found: move that folder away and send another message; a new one is made"
    )]
    NotOurs {
        /// The worktree.
        path: PathBuf,
    },
    /// No free folder.
    #[error(
        "cannot use {path} for a worktree: the folder and its numbered alternatives are taken; move them away"
    )]
    NoFolder {
        /// The first choice.
        path: PathBuf,
    },
    /// A folder could not be made.
    #[error("cannot make {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The branch name is not usable.
    #[error(transparent)]
    Branch(#[from] BranchError),
}

#[cfg(test)]
mod tests;
