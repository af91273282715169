//! The state folder: who may use it, and where things are in it.
//!
//! Only its owner can read it. A lock, let go by the system when its holder ends, keeps a second `up` out.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A folder that is ours while this lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the folder where there is none, and takes its lock.
    pub fn open(folder: &Path) -> Result<Self> {
        let cannot = || format!("the state folder {} cannot be used", folder.display());
        fs::create_dir_all(folder).with_context(cannot)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).with_context(cannot)?;
        let path = folder.canonicalize().with_context(cannot)?;
        let file = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .with_context(cannot)?;
        if lock.try_lock().is_err() {
            let pid = fs::read_to_string(&file).unwrap_or_default();
            bail!(
                "another `up` with pid {pid} uses {}; stop it with `kill {pid}`, or give this one its own folder by --state-dir",
                path.display(),
                pid = pid.trim()
            );
        }
        lock.set_len(0).with_context(cannot)?;
        write!(lock, "{}", std::process::id()).with_context(cannot)?;
        Ok(Self { path, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Something in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file to append log lines to.
    pub fn log(&self, name: &str) -> Result<File> {
        let path = self.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Replaces a file whole, or not at all, readable by its owner only.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("new");
    let cannot = || format!("cannot write {}", path.display());
    // A leftover of an interrupted write could have other permissions.
    let _ = fs::remove_file(&fresh);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).with_context(cannot)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(cannot)?;
    fs::rename(&fresh, path).with_context(cannot)
}

/// The last lines of a log file, for an error message.
pub fn last_lines(path: &Path, count: usize) -> String {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(count)).map(|line| format!("\n  {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_up_on_the_same_folder_is_refused_with_the_first_ones_pid() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateDir::open(folder.path()).unwrap();
        let refusal = StateDir::open(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains(&format!("kill {}", std::process::id())), "{refusal}");
        drop(first);
        StateDir::open(folder.path()).unwrap();
    }

    #[test]
    fn nobody_else_can_read_the_folder_or_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(&folder.path().join("a/b")).unwrap();
        let file = state.join("x.json");
        write_private(&file, b"1").unwrap();
        write_private(&file, b"2").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(state.path()), mode(&file)), (0o700, 0o600));
        assert_eq!(fs::read(file).unwrap(), b"2");
    }

    #[test]
    fn the_end_of_a_log_is_what_an_error_shows() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        fs::write(&log, b"a\nb\xff\nc\n").unwrap();
        assert_eq!(last_lines(&log, 2), "\n  b\u{fffd}\n  c");
        assert_eq!(last_lines(&folder.path().join("none"), 2), "");
    }
}
