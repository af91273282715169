//! Node for the tests that are written for it: the repository's own, since the system's may be too old.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The repository's folder.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A Node of at least version 22: the packaged one, else the one on the path.
pub fn node() -> Result<PathBuf> {
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let packaged = repository().join(format!("node_modules/node-{os}-{arch}/bin/node"));
    if packaged.is_file() {
        return Ok(packaged);
    }
    let path = std::env::var_os("PATH").context("no PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("node"))
        .find(|node| node.is_file())
        .context("no Node; `cargo xtask up` installs one, or install Node 22 from https://nodejs.org")
}
