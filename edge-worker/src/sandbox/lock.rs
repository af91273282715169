//! The lock that says whether anything of a run still lives. It is taken before the run starts and held by
//! `cyrus __inside`, which lets go of it when the last process of the run is gone.
//! It must never be unlocked by `cyrus`, which only closes its own hold on it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the end of a run's processes may take after their `cyrus` has gone. It takes some 20 ms.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

/// Where the lock of a run lies: beside its run file.
pub fn path(run_file: &Path) -> PathBuf {
    let mut name = run_file.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// Takes the lock of a run. Whoever holds a copy of the file holds the lock.
pub fn take(run_file: &Path) -> std::io::Result<File> {
    let file = File::options().write(true).create(true).truncate(false).open(path(run_file))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(std::io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether somebody holds the lock of a run.
pub fn is_held(run_file: &Path) -> bool {
    File::options()
        .write(true)
        .open(path(run_file))
        .is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Waits until nobody holds the lock, at most 10 s. Whether that is so.
pub async fn released(run_file: &Path) -> bool {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while is_held(run_file) {
        if tokio::time::Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_is_held_until_its_last_copy_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let run_file = dir.path().join("run.ndjson");
        assert!(!is_held(&run_file) && released(&run_file).await, "no lock, no run");
        let held = take(&run_file).unwrap();
        let copy = held.try_clone().unwrap();
        drop(held);
        assert!(is_held(&run_file));
        assert!(take(&run_file).is_err(), "a run is started once");
        let waiting = tokio::spawn(async move { released(&run_file).await });
        tokio::task::yield_now().await;
        drop(copy);
        assert!(waiting.await.unwrap());
    }
}
