//! Finds a Chromium for the browser tests, or installs one where that needs no questions.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::progress::Progress;
use crate::tools::which;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const ON_MACOS: [&str; 2] = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/// The browser's path.
pub fn ensure(progress: &Progress) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CYRUS_CHROMIUM").map(PathBuf::from) {
        if path.is_file() {
            return Ok(path);
        }
        bail!("CYRUS_CHROMIUM is {}, and there is no such program", path.display());
    }
    if let Some(path) = find() {
        return Ok(path);
    }
    let mend = "set CYRUS_CHROMIUM to the path of a Chromium or Chrome";
    if which("apt-get").is_none() {
        bail!("no Chromium was found; install one (macOS: `brew install --cask chromium`), or {mend}");
    }
    let command = "apt-get update && apt-get install -y --no-install-recommends chromium";
    if !nix::unistd::geteuid().is_root() {
        bail!("no Chromium was found; run `sudo sh -c '{command}'`, or {mend}");
    }
    progress.step("installing Chromium");
    let output = Command::new("sh")
        .args(["-c", command])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("apt-get did not start")?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("`{command}` failed; run it by hand, or {mend}:\n{}", told.trim());
    }
    progress.done();
    find().with_context(|| format!("apt-get installed no chromium here; {mend}"))
}

fn find() -> Option<PathBuf> {
    let on_macos = || ON_MACOS.into_iter().map(Path::new).find(|path| path.is_file()).map(Path::to_path_buf);
    NAMES.into_iter().find_map(which).or_else(on_macos)
}
