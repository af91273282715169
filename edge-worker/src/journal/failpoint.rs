//! Where chaos tests kill this program: at the n-th commit of the journal, before or after it is on disk.
//!
//! Only a build with the feature `chaos` looks at `CYRUS_FAILPOINT` (`<n>` or `<n>:before` or `<n>:after`); in any
//! other these functions are empty.

#[cfg(feature = "chaos")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    static COMMITS: AtomicU64 = AtomicU64::new(0);
    static POINT: OnceLock<Option<(u64, bool)>> = OnceLock::new();

    fn point() -> Option<(u64, bool)> {
        *POINT.get_or_init(|| {
            let text = std::env::var("CYRUS_FAILPOINT").ok()?;
            let (number, when) = text.split_once(':').unwrap_or((&text, "after"));
            Some((number.parse().ok()?, when == "before"))
        })
    }

    fn die() {
        // As a crash would: nothing is tidied up, nothing is flushed.
        let _ = kill(Pid::this(), Signal::SIGKILL);
    }

    pub fn before_commit() {
        let number = COMMITS.fetch_add(1, Ordering::SeqCst) + 1;
        if point() == Some((number, true)) {
            die();
        }
    }

    pub fn after_commit() {
        if point() == Some((COMMITS.load(Ordering::SeqCst), false)) {
            die();
        }
    }
}

#[cfg(feature = "chaos")]
pub(super) use armed::{after_commit, before_commit};

#[cfg(not(feature = "chaos"))]
pub(super) fn before_commit() {}

#[cfg(not(feature = "chaos"))]
pub(super) fn after_commit() {}
