//! A real edge worker as `up` started it: killed by its pid, run again by its printed command.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::process::{Child, Command};

use crate::poll;

/// An edge in the line of `up --json`.
#[derive(Debug, Clone, Deserialize)]
pub struct EdgeLine {
    pub pid: i32,
    pub worker_id: String,
    /// The path of a launcher that wants no arguments.
    pub command: PathBuf,
    pub env: BTreeMap<String, String>,
}

/// Kills a process by SIGKILL and waits until it is gone, or only waits for its parent to notice.
pub async fn kill_hard(pid: i32) -> Result<()> {
    kill(Pid::from_raw(pid), Signal::SIGKILL).with_context(|| format!("killing {pid}"))?;
    poll::until("the killed process to be gone", Duration::from_secs(10), async || {
        Ok((!runs(pid)).then_some(()))
    })
    .await
}

/// Whether a process of this pid runs. One that has ended and waits for its parent does not.
fn runs(pid: i32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
        // Without /proc the signal tells, and a zombie counts as running until its parent looks.
        Err(_) if cfg!(target_os = "linux") => false,
        Err(_) => kill(Pid::from_raw(pid), None).is_ok(),
    }
}

/// An edge that the test itself runs; it ends with this value.
pub struct Edge {
    child: Child,
}

impl Edge {
    /// Runs the printed command with the printed environment. What it says goes to `log`.
    pub fn start(line: &EdgeLine, log: &std::path::Path) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let child = Command::new(&line.command)
            .envs(&line.env)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| line.command.display().to_string())?;
        Ok(Self { child })
    }

    /// Its pid.
    pub fn pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.child.id().context("the edge has ended")?)?)
    }
}
