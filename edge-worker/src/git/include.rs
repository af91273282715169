//! Ignored files that a worktree needs all the same, such as `.env`: those that the checkout's `.worktreeinclude` names, by
//! git's own matching of such patterns.
//! Neighbours: the workplace calls it once for a new worktree, before the set-up script.
//! It must never follow a link, replace a file, or bring one in that the worktree's branch would commit.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use super::command::paths;
use super::{GitError, Repository, Worktree};

/// The file with the patterns, at the top of the checkout.
const LIST: &str = ".worktreeinclude";
/// The most that is copied, in bytes.
pub const LARGEST: u64 = 256 * 1024 * 1024;
/// The most files that are copied.
pub const MOST: usize = 5000;

/// What was brought into a worktree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Included {
    /// How many files were copied.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Files that were left out, each with the reason; at most 20.
    pub left_out: Vec<(PathBuf, &'static str)>,
}

/// Copies what the list names and git ignores, both in the checkout and in the worktree.
pub async fn include(repository: &Repository, tree: &Worktree) -> Result<Included, GitError> {
    let Ok(top) = repository.git(["rev-parse", "--show-toplevel"]).line().await else {
        return Ok(Included::default()); // A bare repository has no files.
    };
    let top = PathBuf::from(top);
    let list = top.join(LIST);
    if !list.symlink_metadata().is_ok_and(|meta| meta.is_file()) || top == tree.path {
        return Ok(Included::default());
    }
    let of = |rule: &str| {
        let args = ["ls-files", "--others", "--ignored", "-z", rule].map(str::to_owned);
        async { super::command::Git::new(&top, args).output().await }
    };
    let ignored = of("--exclude-standard").await?;
    let named = of(&format!("--exclude-from={}", list.display())).await?;
    let ignored: BTreeSet<PathBuf> = paths(&ignored).collect();
    let wanted: Vec<PathBuf> = paths(&named).filter(|path| ignored.contains(path)).collect();
    if wanted.is_empty() {
        return Ok(Included::default());
    }
    let mut asked = Vec::new();
    for path in &wanted {
        asked.extend_from_slice(path.as_os_str().as_encoded_bytes());
        asked.push(0);
    }
    // Exit code 1: none of them is ignored there.
    let answer = tree.dirs.git(["check-ignore", "-z", "--stdin"]).stdin(asked).answer().await?;
    let there: BTreeSet<PathBuf> = paths(&answer.stdout).collect();
    let to = tree.path.clone();
    tokio::task::spawn_blocking(move || copy_all(&top, &to, &wanted, &there))
        .await
        .map_err(|error| GitError::Start(std::io::Error::other(error)))
}

fn copy_all(from: &Path, to: &Path, wanted: &[PathBuf], ignored: &BTreeSet<PathBuf>) -> Included {
    let mut included = Included::default();
    for path in wanted {
        let room = LARGEST.saturating_sub(included.bytes);
        let outcome = match () {
            () if !ignored.contains(path) => Err("the branch does not ignore it, so it would be committed"),
            () if included.files >= MOST => Err("there are too many files"),
            () => copy(from, to, path, room),
        };
        match outcome {
            Ok(Some(bytes)) => {
                included.files += 1;
                included.bytes += bytes;
            }
            Ok(None) => {}
            Err(reason) if included.left_out.len() < 20 => included.left_out.push((path.clone(), reason)),
            Err(_) => {}
        }
    }
    included
}

/// Copies one file and gives its size; `None` when the worktree has it already.
fn copy(from: &Path, to: &Path, path: &Path, room: u64) -> Result<Option<u64>, &'static str> {
    let names: Vec<&std::ffi::OsStr> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) if name != ".git" => Ok(name),
            _ => Err("its path leads elsewhere"),
        })
        .collect::<Result<_, _>>()?;
    let Some((name, folders)) = names.split_last() else { return Err("its path is empty") };
    let (mut source, mut target) = (from.to_owned(), to.to_owned());
    for folder in folders {
        source.push(folder);
        target.push(folder);
        if !source.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            return Err("a link is on its path");
        }
        match target.symlink_metadata() {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err("a link or a file is on its path in the worktree"),
            Err(_) => std::fs::create_dir(&target).map_err(|_| "its folder cannot be made")?,
        }
    }
    source.push(name);
    target.push(name);
    let meta = source.symlink_metadata().map_err(|_| "it cannot be read")?;
    if !meta.is_file() {
        return Err("it is a link, or no plain file");
    }
    if meta.len() > room {
        return Err("it is too large");
    }
    if target.symlink_metadata().is_ok() {
        return Ok(None);
    }
    let failed = |_| "it cannot be copied";
    let mut reader = std::fs::File::open(&source).map_err(failed)?;
    let mut writer =
        std::fs::OpenOptions::new().write(true).create_new(true).open(&target).map_err(failed)?;
    let bytes = std::io::copy(&mut reader, &mut writer).map_err(failed)?;
    writer.flush().and_then(|()| std::fs::set_permissions(&target, meta.permissions())).map_err(failed)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::git::worktree::tests::{Scene, commit, git};

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    async fn included(scene: &Scene) -> (Worktree, Included) {
        let repository = Repository::open(&scene.path("repo")).await.unwrap();
        let tree = scene.ensure("ENG-1", "eng-1").await.unwrap();
        let included = include(&repository, &tree).await.unwrap();
        (tree, included)
    }

    #[tokio::test]
    async fn ignored_files_that_are_named_come_along_and_nothing_else_does() {
        let scene = Scene::new();
        let repo = scene.path("repo");
        std::fs::write(repo.join(".gitignore"), ".env*\n*.local\nnode_modules/\nlinks\n").unwrap();
        commit(
            &repo,
            ".worktreeinclude",
            "# for work\n.env\n.env.*\n!.env.prod\nconfig/*.local\nplain.txt\nlinks\n-x.local\n",
        );
        for name in [
            ".env",
            ".env.test",
            ".env.prod",
            "config/a\n;b.local",
            "deep/b.local",
            "node_modules/x/.env",
            "-x.local",
        ] {
            write(&repo.join(name), name);
        }
        write(&repo.join("plain.txt"), "neither ignored nor committed");
        std::fs::set_permissions(repo.join(".env"), std::fs::Permissions::from_mode(0o600)).unwrap();
        symlink("/etc/passwd", repo.join("links")).unwrap();
        let (tree, included) = included(&scene).await;
        for (name, here) in [
            (".env", true),
            (".env.test", true),
            ("config/a\n;b.local", true),
            ("-x.local", true),
            (".env.prod", false),
            ("deep/b.local", false),
            ("plain.txt", false),
            ("links", false),
        ] {
            assert_eq!(tree.path.join(name).symlink_metadata().is_ok(), here, "{name}");
        }
        assert_eq!(std::fs::metadata(tree.path.join(".env")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(included.left_out.len(), 1, "{included:?}");
        assert!(!tree.is_dirty().await.unwrap());
    }

    #[tokio::test]
    async fn what_the_branch_would_commit_stays_out_and_what_is_there_stays_as_it_is() {
        let scene = Scene::new();
        let repo = scene.path("repo");
        // Ignored in this checkout alone, so a commit in the worktree would take it.
        write(&repo.join(".git/info/only-here"), ".env\n");
        git(&repo, &["config", "core.excludesFile", repo.join(".git/info/only-here").to_str().unwrap()]);
        std::fs::write(repo.join(".gitignore"), "kept\n").unwrap();
        commit(&repo, ".worktreeinclude", ".env\nkept\n");
        write(&repo.join(".env"), "secret");
        write(&repo.join("kept"), "theirs");
        let (tree, _) = included(&scene).await;
        assert!(tree.path.join("kept").exists());
        std::fs::write(tree.path.join("kept"), "own").unwrap();
        std::fs::write(tree.path.join(".gitignore"), "kept\n!.env\n").unwrap();
        let _ = std::fs::remove_file(tree.path.join(".env"));
        let repository = Repository::open(&repo).await.unwrap();
        let again = include(&repository, &tree).await.unwrap();
        assert_eq!((again.files, again.left_out.len()), (0, 1), "{again:?}");
        assert!(!tree.path.join(".env").exists());
        assert_eq!(std::fs::read_to_string(tree.path.join("kept")).unwrap(), "own");
    }

    #[tokio::test]
    async fn a_link_in_the_worktree_leads_nothing_out_of_it() {
        let scene = Scene::new();
        let repo = scene.path("repo");
        std::fs::create_dir(scene.path("outside")).unwrap();
        symlink(scene.path("outside"), repo.join("config")).unwrap();
        std::fs::write(repo.join(".gitignore"), "*.local\n").unwrap();
        commit(&repo, ".worktreeinclude", "*.local\n");
        std::fs::remove_file(repo.join("config")).unwrap();
        write(&repo.join("config/a.local"), "secret");
        let (_, included) = included(&scene).await;
        assert_eq!((included.files, included.left_out.len()), (0, 1), "{included:?}");
        assert_eq!(std::fs::read_dir(scene.path("outside")).unwrap().count(), 0);
    }

    #[test]
    fn a_path_that_leads_elsewhere_or_a_file_that_is_too_large_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::create_dir(&to).unwrap();
        write(&from.join("a"), "12345");
        for path in ["../a", "/etc/passwd", "b/../a", ".git/config", ""] {
            assert!(copy(&from, &to, Path::new(path), 100).is_err(), "{path}");
        }
        assert_eq!(copy(&from, &to, Path::new("a"), 4), Err("it is too large"));
        assert_eq!(copy(&from, &to, Path::new("a"), 5), Ok(Some(5)));
        assert_eq!(copy(&from, &to, Path::new("a"), 5), Ok(None));
    }
}
