//! Finds the tools that `npm install` puts beside the project.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a parent").to_owned()
}

/// A path under `node_modules`, or `None` after a line that says what is skipped.
pub(crate) fn module(path: &str, skipped: &str) -> Option<PathBuf> {
    let found = root().join("node_modules").join(path);
    if found.exists() {
        return Some(found);
    }
    skip(&format!("{skipped}: node_modules/{path} is missing; run `npm install`"));
    None
}

/// Says what is skipped and why, past the capture of a passing test's output.
pub(crate) fn skip(what: &str) {
    writeln!(std::io::stderr(), "skipped: {what}").ok();
}

fn platform() -> String {
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    format!("{os}-{arch}")
}

/// The installed Node, else the one on the path.
pub(crate) fn node() -> PathBuf {
    let own = root().join(format!("node_modules/node-{}/bin/node", platform()));
    if own.exists() { own } else { "node".into() }
}

/// The real `claude`, or `None` after a line that says what is skipped.
pub(crate) fn claude() -> Option<PathBuf> {
    module(
        &format!("@anthropic-ai/claude-code-{}/claude", platform()),
        "the real claude against the scripted model",
    )
}
