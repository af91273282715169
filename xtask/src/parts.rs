//! The parts that a running system is made of, built or found: both Workers, the panel's client, `cyrus`.

use std::fs::{self, File};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress::Progress;
use crate::tools::{self, Tools};
use crate::wasm::{self, Built, Profile};

/// Set to skip every build: whoever sets it has built everything before.
pub const PREBUILT: &str = "CYRUS_PREBUILT";
/// Set to run this `cyrus` instead of the one built here.
pub const BINARY: &str = "CYRUS_BINARY";

/// Where everything is.
#[derive(Clone)]
pub struct Parts {
    /// Tools that the parts need while they run.
    pub tools: Tools,
    /// Workers and client.
    pub workers: Built,
    /// The program `cyrus`; it exists only if it was asked for.
    pub cyrus: PathBuf,
}

impl Parts {
    /// Builds what is not up to date. Without `with_cyrus` the program is left alone.
    pub fn build(with_cyrus: bool, progress: &Progress) -> Result<Self> {
        if std::env::var_os(PREBUILT).is_some() {
            return Self::find(with_cyrus);
        }
        let tools = Tools::ensure(progress)?;
        let _lock = lock(&tools, progress)?;
        let workers = wasm::build(&tools, Profile::Dev, progress)?;
        let cyrus = cyrus(&tools);
        if with_cyrus && std::env::var_os(BINARY).is_none() {
            progress.step("building cyrus");
            cargo(&tools, &["build", "-p", "edge-worker"])?;
            progress.done();
        }
        Ok(Self { tools, workers, cyrus })
    }

    /// Builds `cyrus` as released, unless one is given.
    pub fn release_cyrus(tools: &Tools, progress: &Progress) -> Result<PathBuf> {
        if let Some(given) = std::env::var_os(BINARY) {
            return Ok(given.into());
        }
        progress.step("building cyrus as released");
        cargo(tools, &["build", "--release", "-p", "edge-worker"])?;
        progress.done();
        Ok(tools.target.join("release/cyrus"))
    }

    fn find(with_cyrus: bool) -> Result<Self> {
        let tools = Tools::find()?;
        let workers = Built::at(&tools, Profile::Dev);
        let parts = Self { cyrus: cyrus(&tools), tools, workers };
        let mut needed = vec![&parts.workers.proxy, &parts.workers.panel, &parts.workers.assets];
        needed.extend(with_cyrus.then_some(&parts.cyrus));
        for path in needed {
            if !path.exists() {
                bail!("{PREBUILT} is set, but {} is not there; unset it", path.display());
            }
        }
        Ok(parts)
    }
}

fn cyrus(tools: &Tools) -> PathBuf {
    std::env::var_os(BINARY).map_or_else(|| tools.target.join("debug/cyrus"), PathBuf::from)
}

/// The program that plays a recorded agent, built unless everything is.
pub fn player(tools: &Tools, progress: &Progress) -> Result<PathBuf> {
    if std::env::var_os(PREBUILT).is_none() {
        progress.step("building the capture player");
        cargo(tools, &["build", "-p", "testkit", "--bin", "capture-player"])?;
        progress.done();
    }
    let player = tools.target.join("debug/capture-player");
    if !player.exists() {
        bail!("{PREBUILT} is set, but {} is not there; unset it", player.display());
    }
    Ok(player)
}

/// Only one command writes to `build/` at a time.
pub fn lock(tools: &Tools, progress: &Progress) -> Result<File> {
    let folder = tools.root.join("build");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join(".lock"))?;
    if lock.try_lock().is_err() {
        progress.step("waiting for another build");
        lock.lock().context("the build folder cannot be locked")?;
        progress.done();
    }
    Ok(lock)
}

/// Runs cargo; its messages go to stderr. In a terminal its own progress is shown.
pub fn cargo(tools: &Tools, arguments: &[&str]) -> Result<()> {
    let status = Command::new(tools::cargo())
        .args(arguments)
        .env("CARGO_TERM_QUIET", if std::io::stderr().is_terminal() { "false" } else { "true" })
        .current_dir(&tools.root)
        .status()
        .context("cargo did not start")?;
    if !status.success() {
        bail!("`cargo {}` failed; its messages are above", arguments.join(" "));
    }
    Ok(())
}
