//! Licences, bans and sources of the dependencies by `deny.toml`, and advisories when their database is in reach.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::parts::cargo;
use crate::progress::Progress;
use crate::tools::{self, Tools};

const VERSION: &str = "0.20.2";

/// Checks all.
pub fn check(tools: &Tools) -> Result<()> {
    let deny = ensure(tools)?;
    let run = |what: &[&str]| {
        Command::new(&deny)
            .args(["--log-level", "error", "--all-features", "check", "--hide-inclusion-graph"])
            .args(what)
            .env("CARGO", tools::cargo())
            // A network that swallows packets must not hold this up.
            .env("GIT_HTTP_LOW_SPEED_LIMIT", "1000")
            .env("GIT_HTTP_LOW_SPEED_TIME", "30")
            .env("GIT_TERMINAL_PROMPT", "0")
            .current_dir(&tools.root)
            .stdin(Stdio::null())
            .output()
            .context("cargo-deny did not start")
    };
    let told = |output: &std::process::Output| {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        format!("{}{}", out.trim(), err.trim())
    };
    let output = run(&["licenses", "bans", "sources"])?;
    if !output.status.success() {
        bail!("licences, bans or sources:\n{}", told(&output));
    }
    println!("licences ok, bans ok, sources ok");
    let output = run(&["advisories"])?;
    let text = told(&output);
    if output.status.success() {
        println!("advisories ok");
    } else if text.contains("failed to fetch advisory database") {
        println!("advisories not checked: their database at github.com/RustSec could not be reached");
    } else {
        bail!("advisories:\n{text}");
    }
    Ok(())
}

/// The one on the path, else one of our own, built once.
fn ensure(tools: &Tools) -> Result<PathBuf> {
    if let Some(path) = tools::which("cargo-deny") {
        return Ok(path);
    }
    let folder = tools.target.join("tools");
    let path = folder.join(format!("deny-{VERSION}/bin/cargo-deny"));
    if !path.is_file() {
        let progress = Progress::new();
        progress.step(&format!("building cargo-deny {VERSION} (once, about two minutes)"));
        let root = folder.join(format!("deny-{VERSION}")).display().to_string();
        let build = folder.join("deny-build").display().to_string();
        cargo(
            tools,
            &[
                "install",
                "--locked",
                "--debug",
                "cargo-deny",
                "--version",
                VERSION,
                "--root",
                &root,
                "--target-dir",
                &build,
            ],
        )?;
        // Only the program is of use from here on.
        let _ = std::fs::remove_dir_all(&build);
        progress.done();
    }
    Ok(path)
}
