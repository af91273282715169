//! The room that an agent works in, and the program that keeps its processes together.
//!
//! `cyrus` starts every agent through itself: `cyrus __inside` is the parent of all that the agent starts, holds the
//! run's lock and watches a socket to `cyrus`, the lifeline. When that closes, for whatever reason, it ends them all.
//! Parts: [`boxed`] (the host's side), [`inside`] (the other), [`wire`] (what goes between them), [`lock`] (how a
//! later `cyrus` knows that nothing of a run is left). Nothing here knows what the agent is or what it works on.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

#[cfg_attr(not(target_os = "linux"), path = "sandbox/absent.rs")]
pub mod boxed;
#[cfg(target_os = "linux")]
mod inside;
pub mod lock;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod wire;

/// What `cyrus __inside` returns when it could not begin. The reason is told over the lifeline.
#[cfg(target_os = "linux")]
const COULD_NOT_BEGIN: u8 = 71;

static KEEPER: OnceLock<PathBuf> = OnceLock::new();

/// To be called first in `main`, before logging, threads and the command line: does the work of the hidden commands
/// that the program starts itself with, and returns their exit code. `None`: this is an ordinary start.
pub fn dispatch() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let hidden = arguments.next();
    match hidden.as_deref().and_then(std::ffi::OsStr::to_str) {
        #[cfg(target_os = "linux")]
        Some("__inside") => Some(inside::run(arguments.collect())),
        _ => {
            // The running program, even when its file has been replaced since.
            #[cfg(target_os = "linux")]
            let _ = KEEPER.set(PathBuf::from("/proc/self/exe"));
            None
        }
    }
}

/// The program that understands the hidden commands; `None` where that is not this one, as in tests of the library,
/// or where the system has no such means.
pub fn keeper() -> Option<PathBuf> {
    KEEPER.get().cloned()
}
