//! Where git keeps what belongs to a worktree, by this program's own record: an agent can write in its worktree and in
//! git's folder for it, so what stands there is not believed.
//! Neighbours: `worktree` runs every git command with these folders; the records lie beside the worktrees, not in them.
//! It must never follow what an agent wrote, nor throw anything away: what is in the way is moved into the records.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::GitError;
use super::command::Git;

/// The folder of the records, in the folder that holds the worktrees. No worktree's name begins with a dot.
const RECORDS: &str = ".records";
/// The end of the name of the list of a worktree's commits of work in progress.
const WIPS: &str = "wips";
/// The end of the name of the file that is written when a worktree is used.
const USED: &str = "used";
/// The end of the name of the file with the branch that a worktree's work started from.
const BASE: &str = "base";
/// The end of the name of the file that says that the issue is closed.
const CLOSED: &str = "closed";
/// The end of the name of the file that says that a worktree is being removed.
const REMOVING: &str = "removing";
/// The end of the name of the file that says that a worktree is yet to be prepared.
const RAW: &str = "raw";
/// The longest of git's small files that is kept, in bytes.
const LONGEST: u64 = 64 * 1024;

/// A worktree and git's folders for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    tree: PathBuf,
    own: PathBuf,
    common: PathBuf,
}

/// What git wrote when it made the worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    own: PathBuf,
    common: PathBuf,
    /// The worktree's `.git` file.
    dot_git: String,
    /// `gitdir` in git's folder for it.
    gitdir: String,
    /// `commondir` there.
    commondir: String,
    /// `config.worktree` there, which git reads in repositories that ask for it.
    config: Option<String>,
}

impl Dirs {
    /// The worktree's folder.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Git's folder for this worktree alone, `<common>/worktrees/<name>`.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// Git's folder of the whole repository.
    pub fn common(&self) -> &Path {
        &self.common
    }

    /// A git command in the worktree that asks nothing there where the repository is. Git's small files are mended
    /// first: whatever it is told, git finds the branches by `commondir`.
    pub(super) fn git<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Git {
        match self.repair() {
            Ok(true) => {
                warn!("git's files of {} had been changed; they are as they were", self.tree.display())
            }
            Ok(false) => {}
            Err(error) => warn!("git's files of {} cannot be mended: {error}", self.tree.display()),
        }
        Git::new(&self.tree, args)
            .env("GIT_DIR", &self.own)
            .env("GIT_COMMON_DIR", &self.common)
            .env("GIT_WORK_TREE", &self.tree)
    }

    /// The folders of the worktree at `tree`: as recorded, or found among the repository's worktrees and recorded now.
    pub(super) fn of(common: &Path, tree: &Path) -> Result<Self, GitError> {
        if let Some(record) = read(tree).filter(|record| record.common == common && record.own.is_dir()) {
            return Ok(Self::from(tree, record));
        }
        let record = discover(common, tree)?;
        write(tree, &record).map_err(|source| GitError::Folder { path: place(tree), source })?;
        Ok(Self::from(tree, record))
    }

    fn from(tree: &Path, record: Record) -> Self {
        Self { tree: tree.to_owned(), own: record.own, common: record.common }
    }

    /// Removes the locks of a git that was killed. Only to be called while nothing runs in the worktree.
    pub(super) fn unlock(&self, branch: &str) {
        let locks = [self.own.join("index.lock"), self.own.join("HEAD.lock")];
        for lock in locks.into_iter().chain([self.common.join(format!("refs/heads/{branch}.lock"))]) {
            if std::fs::remove_file(&lock).is_ok() {
                warn!("removed {}, which a killed git left", lock.display());
            }
        }
    }

    /// Writes git's small files again as they were. True when something had been changed.
    pub fn repair(&self) -> Result<bool, GitError> {
        match read(&self.tree) {
            Some(record) => repair(&self.tree, &record),
            None => Ok(false),
        }
    }
}

/// Repairs all worktrees in `folder`: one with a wrong `commondir` breaks git's commands for every worktree.
pub(super) fn repair_all(folder: &Path) {
    let Ok(records) = std::fs::read_dir(folder.join(RECORDS)) else { return };
    for entry in records.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
        let tree = folder.join(name);
        let Some(record) = read(&tree).filter(|record| tree.is_dir() && record.own.is_dir()) else {
            continue;
        };
        match repair(&tree, &record) {
            Ok(true) => warn!("git's files of {} had been changed; they are as they were", tree.display()),
            Ok(false) => {}
            Err(error) => warn!("git's files of {} cannot be mended: {error}", tree.display()),
        }
    }
}

/// Forgets a worktree that is gone.
pub(super) fn forget(tree: &Path) {
    // One that stays is passed over, since its folder is gone.
    let _ = std::fs::remove_file(place(tree));
    for name in [WIPS, USED, RAW, BASE, CLOSED, REMOVING] {
        let _ = std::fs::remove_file(beside(tree, name));
    }
}

/// The worktrees in `folder` that have a record.
pub(super) fn recorded(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join(RECORDS)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut all: Vec<PathBuf> = names
        .filter_map(|name| Some(folder.join(name.strip_suffix(".json")?)))
        .filter(|tree| tree.is_dir())
        .collect();
    all.sort();
    all
}

/// Somebody works there now; `new`: nobody did before, so it is yet to be prepared.
pub(super) fn touch(tree: &Path, new: bool) {
    if let Some(folder) = place(tree).parent() {
        // Without it the writing below fails, and says so.
        let _ = std::fs::create_dir_all(folder);
    }
    // Work on it again opens it again.
    let _ = std::fs::remove_file(beside(tree, CLOSED));
    for name in [Some(USED), new.then_some(RAW)].into_iter().flatten() {
        if let Err(error) = std::fs::write(beside(tree, name), "") {
            warn!("cannot write {}: {error}", beside(tree, name).display());
        }
    }
}

/// Remembers the branch that work there starts from; the first word stays.
pub(super) fn note_base(tree: &Path, base: &str) {
    let path = beside(tree, BASE);
    if !path.exists()
        && let Err(error) = std::fs::write(&path, base)
    {
        warn!("cannot write {}: {error}", path.display());
    }
}

/// The branch that work there started from.
pub(super) fn base(tree: &Path) -> Option<String> {
    std::fs::read_to_string(beside(tree, BASE)).ok()
}

/// The issue is closed: once all of it is safe, the worktree may go.
pub(super) fn close(tree: &Path) {
    if let Err(error) = std::fs::write(beside(tree, CLOSED), "") {
        warn!("cannot write {}: {error}", beside(tree, CLOSED).display());
    }
}

/// Whether the issue is closed, as far as is known.
pub(super) fn is_closed(tree: &Path) -> bool {
    beside(tree, CLOSED).exists()
}

/// It is being removed: nothing is in it that is not safe elsewhere.
pub(super) fn removing(tree: &Path) -> std::io::Result<()> {
    std::fs::write(beside(tree, REMOVING), "")
}

/// Whether its removal was cut off, so that files may be missing.
pub(super) fn is_half_removed(tree: &Path) -> bool {
    beside(tree, REMOVING).exists()
}

/// It is whole again.
pub(super) fn is_whole(tree: &Path) {
    // One that stays does no harm but to bring files back once more.
    let _ = std::fs::remove_file(beside(tree, REMOVING));
}

/// Whether it is yet to be prepared.
pub(super) fn is_raw(tree: &Path) -> bool {
    beside(tree, RAW).exists()
}

/// It needs no preparing any more.
pub(super) fn prepared(tree: &Path) {
    // Where it was prepared before, there is nothing to remove.
    let _ = std::fs::remove_file(beside(tree, RAW));
}

/// For how long nobody worked there; none at all when it cannot be told.
pub(super) fn idle(tree: &Path) -> Duration {
    let used = std::fs::metadata(beside(tree, USED)).or_else(|_| std::fs::metadata(place(tree)));
    used.and_then(|meta| meta.modified())
        .ok()
        .and_then(|at| SystemTime::now().duration_since(at).ok())
        .unwrap_or_default()
}

/// A file of ours about a worktree, where no agent can write.
pub(super) fn beside(tree: &Path, end: &str) -> PathBuf {
    place(tree).with_file_name(format!("{}-{end}", file_name(tree)))
}

/// Remembers a commit of work in progress that this worktree was in.
pub(super) fn note(tree: &Path, commit: &str) -> std::io::Result<()> {
    if noted(tree).contains(commit) {
        return Ok(());
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(beside(tree, WIPS))?;
    file.write_all(format!("{commit}\n").as_bytes())
}

/// The commits of work in progress that this worktree was in.
pub(super) fn noted(tree: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(beside(tree, WIPS)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Finds git's folder for a worktree among those of the repository: an agent cannot make another one there, nor is its
/// worktree asked.
fn discover(common: &Path, tree: &Path) -> Result<Record, GitError> {
    let unknown = || GitError::NotOurs { path: tree.to_owned() };
    let named = |own: &Path| {
        let text = small(&own.join("gitdir"))?;
        let dot_git = own.join(text.trim_end_matches(['\r', '\n']));
        let parent = dot_git.parent()?;
        (std::fs::canonicalize(parent).ok()? == tree && dot_git.file_name() == Some(OsStr::new(".git")))
            .then_some(text)
    };
    let all = std::fs::read_dir(common.join("worktrees")).map_err(|_| unknown())?;
    let mut found = all.flatten().filter_map(|entry| Some((named(&entry.path())?, entry.path())));
    let (Some((gitdir, own)), None) = (found.next(), found.next()) else { return Err(unknown()) };
    Ok(Record {
        common: common.to_owned(),
        dot_git: small(&tree.join(".git")).ok_or_else(unknown)?,
        gitdir,
        commondir: small(&own.join("commondir")).ok_or_else(unknown)?,
        config: small(&own.join("config.worktree")),
        own,
    })
}

fn repair(tree: &Path, record: &Record) -> Result<bool, GitError> {
    let aside = |name: &str| beside(tree, name);
    let mut changed = false;
    for (path, text, aside) in [
        (tree.join(".git"), Some(&record.dot_git), aside("git")),
        (record.own.join("gitdir"), Some(&record.gitdir), aside("gitdir")),
        (record.own.join("commondir"), Some(&record.commondir), aside("commondir")),
        (record.own.join("config.worktree"), record.config.as_ref(), aside("config")),
    ] {
        changed |= restore(&path, text.map(String::as_str), &aside)
            .map_err(|source| GitError::Folder { path: path.clone(), source })?;
    }
    Ok(changed)
}

/// Makes `path` a plain file with this text, or nothing at all. What was there is moved away: it may be somebody's work.
fn restore(path: &Path, text: Option<&str>, aside: &Path) -> std::io::Result<bool> {
    let is_there = path.symlink_metadata().is_ok();
    if small(path).as_deref() == text && is_there == text.is_some() {
        return Ok(false);
    }
    if is_there {
        let free = (1..)
            .map(|number| aside.with_extension(number.to_string()))
            .find(|to| to.symlink_metadata().is_err())
            .unwrap_or_else(|| aside.to_owned());
        std::fs::rename(path, free)?;
    }
    if let Some(text) = text {
        // Only a file that is new here is written to: nobody can have put a link in its place.
        std::fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())?;
    }
    Ok(true)
}

/// The text of a small plain file; a link is not followed.
fn small(path: &Path) -> Option<String> {
    let meta = path.symlink_metadata().ok()?;
    (meta.is_file() && meta.len() <= LONGEST).then(|| std::fs::read_to_string(path).ok()).flatten()
}

/// The folder's name, which no other worktree of the repository has.
pub(super) fn file_name(tree: &Path) -> String {
    tree.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn place(tree: &Path) -> PathBuf {
    let folder = tree.parent().unwrap_or(tree);
    folder.join(RECORDS).join(format!("{}.json", file_name(tree)))
}

fn read(tree: &Path) -> Option<Record> {
    serde_json::from_slice(&std::fs::read(place(tree)).ok()?).ok()
}

fn write(tree: &Path, record: &Record) -> std::io::Result<()> {
    let path = place(tree);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("new");
    std::fs::write(&new, serde_json::to_vec(record)?)?;
    std::fs::rename(new, path)
}
