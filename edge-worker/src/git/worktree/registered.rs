//! The worktrees that a repository knows of.
//! Neighbours: `worktree` looks here before it makes one.
//! It must never touch a worktree that was finished once: somebody's work may be in it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::git::{Dirs, GitError, Repository, dirs};

/// One worktree as git lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::git) struct Registered {
    pub(in crate::git) path: PathBuf,
    /// The branch's short name; `None` when a commit is checked out.
    pub(in crate::git) branch: Option<String>,
    /// True when git was killed while it made this worktree.
    pub(in crate::git) unfinished: bool,
    /// True when somebody locked it.
    pub(in crate::git) locked: bool,
}

/// All worktrees, the repository's own checkout first.
pub(in crate::git) async fn list(repository: &Repository) -> Result<Vec<Registered>, GitError> {
    Ok(parse(&repository.git(["worktree", "list", "--porcelain", "-z"]).output().await?))
}

impl Registered {
    /// Finishes a worktree whose making was cut off, and brings back one whose removal was. Nobody has worked in either:
    /// work starts after it is made, and ends before it is removed.
    pub(in crate::git) async fn repair(&self, repository: &Repository) -> Result<(), GitError> {
        if self.unfinished {
            repository
                .git([OsStr::new("worktree"), OsStr::new("unlock"), self.path.as_os_str()])
                .output()
                .await?;
        }
        if self.unfinished || dirs::is_half_removed(&self.path) {
            let dirs = Dirs::of(repository.common(), &self.path)?;
            dirs.git(["reset", "--quiet", "--hard"]).output().await?;
            dirs::is_whole(&self.path);
        }
        Ok(())
    }
}

fn parse(output: &[u8]) -> Vec<Registered> {
    let mut all: Vec<Registered> = Vec::new();
    for line in output.split(|byte| *byte == 0) {
        if let Some(path) = line.strip_prefix(b"worktree ") {
            all.push(Registered {
                path: OsStr::from_bytes(path).into(),
                branch: None,
                unfinished: false,
                locked: false,
            });
        }
        let Some(current) = all.last_mut() else { continue };
        if let Some(name) = line.strip_prefix(b"branch refs/heads/") {
            current.branch = Some(String::from_utf8_lossy(name).into_owned());
        }
        current.unfinished |= line == b"locked initializing";
        current.locked |= line.starts_with(b"locked");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worktree_is_read_with_its_branch_and_state() {
        let output = b"worktree /r\0HEAD 12\0branch refs/heads/main\0\0worktree /w/a b\nc\0HEAD 34\0detached\0locked initializing\0\0worktree /bare\0bare\0\0";
        let all = parse(output);
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].branch.as_deref(), all[0].unfinished), (Some("main"), false));
        assert_eq!(
            (all[1].path.to_str(), all[1].branch.as_deref(), all[1].unfinished),
            (Some("/w/a b\nc"), None, true)
        );
        assert_eq!(parse(b""), []);
    }
}
