//! Removes worktrees that nobody needs any more, and only when all that is in them is safe elsewhere.
//! Neighbours: run at the start and when an issue closes; `dirs` keeps the list of worktrees that are cyrus's own.
//! It must never remove what is not committed or not on the remote, use force, or touch a worktree that is not its own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::{info, warn};

use super::worktree::{is_dirty, registered};
use super::{Dirs, GitError, Repository, dirs};

/// How long a worktree must be unused before it goes without the issue being closed.
pub const IDLE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What is known of a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Work on it goes on, or waits.
    pub live: bool,
    /// The issue is closed.
    pub closed: bool,
    /// For how long nobody used it.
    pub idle: Duration,
    /// Somebody locked it.
    pub locked: bool,
    /// There is something that is not committed; `None`: it cannot be told.
    pub dirty: Option<bool>,
    /// There is another repository in it.
    pub nested: bool,
    /// All its commits are on the remote; `None`: it cannot be told.
    pub pushed: Option<bool>,
}

/// Whether a worktree may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Removable,
    /// It stays.
    Keep(Why),
}

/// Why a worktree stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Work goes on there.
    Live,
    /// The issue is open and the worktree was used lately.
    Wanted,
    /// Somebody locked it.
    Locked,
    /// There is uncommitted work.
    Uncommitted,
    /// There is another repository in it.
    Nested,
    /// There are commits that the remote does not have.
    Unpushed,
    /// It cannot be told whether all is safe.
    Unknown,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "work goes on there",
            Self::Wanted => "its issue is open and it was used in the last 14 days",
            Self::Locked => "it is locked",
            Self::Uncommitted => "it holds work that is not committed",
            Self::Nested => "it holds another repository",
            Self::Unpushed => "it holds commits that the remote does not have",
            Self::Unknown => "it cannot be told whether the remote has all of it",
        })
    }
}

/// The rule.
pub fn removable(state: &State) -> Verdict {
    let reasons = [
        (state.live, Why::Live),
        (!state.closed && state.idle < IDLE, Why::Wanted),
        (state.locked, Why::Locked),
        (state.dirty == Some(true), Why::Uncommitted),
        (state.nested, Why::Nested),
        (state.pushed == Some(false), Why::Unpushed),
        (state.dirty.is_none() || state.pushed.is_none(), Why::Unknown),
    ];
    match reasons.into_iter().find(|(holds, _)| *holds) {
        Some((_, why)) => Verdict::Keep(why),
        None => Verdict::Removable,
    }
}

/// What the caller knows of a worktree, by its folder's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Work on it goes on, or waits.
    Live,
    /// Nothing is known against it.
    Idle,
    /// Its issue is closed.
    Closed,
}

/// Looks at all of cyrus's own worktrees of a repository and removes those that may go. What stays is named with its reason.
pub async fn sweep(
    repository: &Repository,
    folder: &Path,
    used: impl Fn(&str) -> Use,
) -> Result<Vec<(PathBuf, Verdict)>, GitError> {
    let Ok(folder) = tokio::fs::canonicalize(folder).await else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    let mut wanted = Vec::new();
    for tree in dirs::recorded(&folder) {
        let known = used(&dirs::file_name(&tree));
        if known == Use::Closed {
            dirs::close(&tree);
        }
        match removable(&state_of(&tree, known)) {
            Verdict::Keep(why) => all.push((tree, Verdict::Keep(why))),
            Verdict::Removable => wanted.push((tree, known)),
        }
    }
    if wanted.is_empty() {
        return Ok(all);
    }
    // Nobody waits for the lock while the remote is asked.
    let remote = Remote::ask(repository).await;
    let _guard = repository.lock().await;
    dirs::repair_all(&folder);
    let registered = registered::list(repository).await?;
    for (tree, known) in wanted {
        let Some(found) = registered.iter().find(|one| one.path == tree) else { continue };
        let locked = found.locked || found.unfinished;
        if !locked {
            found.repair(repository).await?;
        }
        let mut verdict = look(repository, &tree, known, locked, &remote).await;
        if verdict == Verdict::Removable {
            let args = ["worktree".as_ref(), "remove".as_ref(), "--".as_ref(), tree.as_os_str()];
            let removed = match dirs::removing(&tree) {
                Ok(()) => repository.git(args).output().await,
                Err(source) => Err(GitError::Folder { path: tree.clone(), source }),
            };
            match removed {
                Ok(_) => {
                    dirs::forget(&tree);
                    info!("removed the worktree {}: the remote has all of it", tree.display());
                }
                Err(error) => {
                    warn!("the worktree {} stays: {error}", tree.display());
                    verdict = Verdict::Keep(Why::Unknown);
                }
            }
        }
        all.push((tree, verdict));
    }
    Ok(all)
}

/// What is known without asking git.
fn state_of(tree: &Path, known: Use) -> State {
    State {
        live: known == Use::Live,
        closed: dirs::is_closed(tree),
        idle: dirs::idle(tree),
        locked: false,
        dirty: Some(false),
        nested: false,
        pushed: Some(true),
    }
}

async fn look(repository: &Repository, tree: &Path, known: Use, locked: bool, remote: &Remote) -> Verdict {
    let mut state = State { locked, ..state_of(tree, known) };
    if let Verdict::Keep(why) = removable(&state) {
        return Verdict::Keep(why); // It was used or locked since.
    }
    let Ok(dirs) = Dirs::of(repository.common(), tree) else { return Verdict::Keep(Why::Unknown) };
    state.dirty = is_dirty(&dirs).await.ok();
    let listed = dirs.git(["ls-files", "--stage", "-z"]).output().await.unwrap_or_default();
    state.nested = listed.split(|byte| *byte == 0).any(|entry| entry.starts_with(b"160000 "));
    if removable(&state) == Verdict::Removable {
        state.pushed = remote.has(&dirs).await;
    }
    removable(&state)
}

/// The remote's commits. What this repository says of them is not believed: an agent can write there.
enum Remote {
    None,
    Away,
    Has(Vec<String>),
}

impl Remote {
    async fn ask(repository: &Repository) -> Self {
        match repository.remote().await {
            Ok(Some(name)) => match Self::list(repository, &name).await {
                Ok(known) => Self::Has(known),
                Err(error) => {
                    info!("the remote cannot tell what it has: {error}");
                    Self::Away
                }
            },
            Ok(None) => Self::None,
            Err(_) => Self::Away,
        }
    }

    async fn list(repository: &Repository, name: &str) -> Result<Vec<String>, GitError> {
        let listed = repository.network(["ls-remote", "--quiet", "--", name]).await?.output().await?;
        let ids: std::collections::BTreeSet<String> = String::from_utf8_lossy(&listed)
            .lines()
            .filter_map(|line| line.split('\t').next())
            .filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .map(str::to_owned)
            .collect();
        let asked: String = ids.iter().map(|id| format!("{id}^{{commit}}\n")).collect();
        // Only what is here too can be compared.
        let known = repository.git(["cat-file", "--batch-check=%(objectname)"]).stdin(asked).output().await?;
        let known = String::from_utf8_lossy(&known);
        Ok(known.lines().filter(|line| !line.contains(' ')).map(str::to_owned).collect())
    }

    /// Whether the remote has all commits of a worktree; `None`: it cannot be told.
    async fn has(&self, dirs: &Dirs) -> Option<bool> {
        let known = match self {
            Self::None => return Some(false),
            Self::Away => return None,
            Self::Has(known) => known,
        };
        let wanted: String = known.iter().map(|id| format!("^{id}\n")).collect();
        let args = ["rev-list", "--max-count=1", "--stdin"];
        let missing = dirs.git(args).stdin(format!("HEAD\n{wanted}")).output().await.ok()?;
        Some(missing.is_empty())
    }
}

#[cfg(test)]
mod tests;
