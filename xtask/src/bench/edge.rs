//! The program `cyrus` as released: its size, the time to `--version`, and its memory while it waits for work.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::Figure;
use super::sample::median;
use crate::parts::BINARY;
use crate::process::resident_bytes;
use crate::progress::Progress;

const RUNS: usize = 10;
/// After this the program has settled.
const SETTLE: Duration = Duration::from_secs(5);

/// Measures.
pub fn figures(cyrus: &Path, progress: &Progress) -> Result<Vec<Figure>> {
    let version = Figure::new("cyrusVersionMs", version_ms(cyrus)?, 30.0);
    let idle = Figure::new("cyrusIdleRssBytes", idle_rss(cyrus, progress)?, 20_000_000.0);
    Ok(vec![binary_size(cyrus)?, version, idle])
}

/// The program's bytes on disk.
pub fn binary_size(cyrus: &Path) -> Result<Figure> {
    let bytes = std::fs::metadata(cyrus).with_context(|| format!("no {}", cyrus.display()))?.len();
    Ok(Figure::new("cyrusBytes", bytes as f64, 20_000_000.0))
}

/// The median of some runs, after one that fills the caches.
fn version_ms(cyrus: &Path) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..=RUNS {
        let began = Instant::now();
        let output = Command::new(cyrus).arg("--version").output()?;
        if !output.status.success() {
            bail!("`cyrus --version` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times.remove(0);
    Ok(median(&times))
}

/// Starts a system of its own with this program as its edge, and asks the operating system.
fn idle_rss(cyrus: &Path, progress: &Progress) -> Result<f64> {
    progress.step("measuring cyrus while it waits for work");
    let state = std::env::temp_dir().join(format!("cyrus-bench-{}", std::process::id()));
    let mut child = Command::new(std::env::current_exe()?)
        .args(["up", "--json", "--state-dir"])
        .arg(&state)
        .env(BINARY, cyrus)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let measured = measure(&mut child);
    if let Ok(pid) = i32::try_from(child.id()) {
        // It stops all that it started.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let _ = child.wait();
    let _ = std::fs::remove_dir_all(&state);
    progress.done();
    measured
}

fn measure(child: &mut Child) -> Result<f64> {
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
    let ready: Value = serde_json::from_str(&line).context("the system did not start")?;
    let pid = ready["edges"][0]["pid"].as_i64().context("the system has no edge")?;
    std::thread::sleep(SETTLE);
    let bytes = resident_bytes(i32::try_from(pid)?).context("the edge has ended")?;
    Ok(bytes as f64)
}
