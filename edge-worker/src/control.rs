//! The control socket: how a command speaks to the `cyrus` that runs.
//!
//! One connection a call: a line of JSON in, lines of JSON out. The socket lies in the state folder, only its owner
//! may open it, and who calls must be of the same user. What needs no live fact is read from the journal instead.

pub mod client;
pub mod server;
pub mod words;

use std::path::{Path, PathBuf};

/// Where it is.
pub fn path(state: &Path) -> PathBuf {
    state.join("control.sock")
}
