//! How much disk the worktrees take, and whether another one may be made.
//! Neighbours: `cleanup` makes room; the workplace asks before a new worktree.
//! It must never follow a link, nor stop work that is under way.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The size of the blocks that a file's metadata counts, in bytes.
const BLOCK: u64 = 512;
/// How many worktrees a report names.
const NAMED: usize = 5;

/// What the worktrees take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// All of them, in bytes on the disk.
    pub bytes: u64,
    /// What they may take; `None`: as much as there is.
    pub limit: Option<u64>,
    /// Each with its bytes, the largest first.
    pub worktrees: Vec<(PathBuf, u64)>,
}

impl Report {
    /// True when there is no room for another worktree.
    pub fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.bytes >= limit)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} worktrees take {}", self.worktrees.len(), Size(self.bytes))?;
        if let Some(limit) = self.limit {
            write!(f, " of {}", Size(limit))?;
        }
        for (place, (path, bytes)) in self.worktrees.iter().take(NAMED).enumerate() {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            write!(f, "{} {name} {}", if place == 0 { ", the largest:" } else { "," }, Size(*bytes))?;
        }
        Ok(())
    }
}

/// There is no room for a new worktree.
#[derive(Debug, thiserror::Error)]
#[error(
    "the disk quota for worktrees is used up: {0}; close issues that are done, remove worktrees that nobody needs, or raise `diskQuotaGb`"
)]
pub struct Full(pub Report);

/// Measures the worktrees below `bases`, each of which holds a folder for each repository. Reads the whole trees: not for
/// a thread that others wait for.
pub fn measure<P: AsRef<Path>>(bases: &[P], limit: Option<u64>) -> Report {
    let mut seen = BTreeSet::new();
    let mut worktrees: Vec<(PathBuf, u64)> = bases
        .iter()
        .flat_map(|base| folders(base.as_ref()).collect::<Vec<_>>())
        .flat_map(|repository| folders(&repository).collect::<Vec<_>>())
        .map(|tree| {
            let bytes = size(&tree, &mut seen);
            (tree, bytes)
        })
        .collect();
    worktrees.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Report { bytes: worktrees.iter().map(|(_, bytes)| bytes).sum(), limit, worktrees }
}

/// The plain folders in a folder, without those of cyrus's own records.
fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

/// Allocated bytes; a file with several names counts once.
fn size(tree: &Path, seen: &mut BTreeSet<(u64, u64)>) -> u64 {
    let mut bytes = 0;
    let mut open = vec![tree.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(meta) = path.symlink_metadata() else { continue };
        if meta.nlink() > 1 && !meta.is_dir() && !seen.insert((meta.dev(), meta.ino())) {
            continue;
        }
        bytes += meta.blocks() * BLOCK;
        if meta.is_dir() {
            open.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    bytes
}

/// Bytes as people read them.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            0..1_000_000 => (1_000, "kB"),
            1_000_000..1_000_000_000 => (1_000_000, "MB"),
            _ => (1_000_000_000, "GB"),
        };
        let tenths = self.0 * 10 / unit;
        write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worktree_is_measured_by_what_it_takes_on_the_disk_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let trees = dir.path().join("worktrees");
        for name in ["app/ENG-1/deep", "app/ENG-2", "app/.records", "lib/ENG-3"] {
            std::fs::create_dir_all(trees.join(name)).unwrap();
        }
        std::fs::write(dir.path().join("big"), vec![1; 5_000_000]).unwrap();
        std::fs::write(trees.join("app/.records/x"), vec![1; 5_000_000]).unwrap();
        std::fs::write(trees.join("app/ENG-1/deep/a"), vec![1; 1_000_000]).unwrap();
        std::fs::hard_link(trees.join("app/ENG-1/deep/a"), trees.join("app/ENG-1/b")).unwrap();
        std::fs::write(trees.join("lib/ENG-3/c"), vec![1; 2_000_000]).unwrap();
        std::os::unix::fs::symlink(dir.path().join("big"), trees.join("app/ENG-2/link")).unwrap();
        std::os::unix::fs::symlink(dir.path(), trees.join("app/ENG-2/up")).unwrap();
        let report = measure(&[&trees], Some(4_000_000));
        let names: Vec<_> =
            report.worktrees.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["ENG-3", "ENG-1", "ENG-2"]);
        assert!((3_000_000..3_300_000).contains(&report.bytes), "{report}");
        assert!(
            !report.is_full()
                && measure(&[&trees], Some(3_000_000)).is_full()
                && !measure(&[&trees], None).is_full()
        );
        assert!(report.to_string().starts_with("3 worktrees take 3."), "{report}");
        assert!(measure(&[dir.path().join("none")], Some(1)).worktrees.is_empty());
    }

    #[test]
    fn the_report_names_the_largest_and_the_mend() {
        let worktrees =
            vec![(PathBuf::from("/w/app/ENG-1"), 12_340_000_000), (PathBuf::from("/w/app/ENG-2"), 999)];
        let report = Report { bytes: 12_340_000_999, limit: Some(10_000_000_000), worktrees };
        assert_eq!(
            Full(report).to_string(),
            "the disk quota for worktrees is used up: 2 worktrees take 12.3 GB of 10.0 GB, the largest: ENG-1 12.3 GB, ENG-2 0.9 kB; \
             close issues that are done, remove worktrees that nobody needs, or raise `diskQuotaGb`"
        );
    }
}
