//! The process `cyrus` of a round: its lives, and the agents that must not outlive them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::up::plan::LOGINS;

/// Ends the process at a commit of its journal: `<n>:before` or `<n>:after`.
const FAILPOINT: &str = "CYRUS_FAILPOINT";
/// What marks every process of a run, in its environment.
const RUN_MARK: &[u8] = b"CYRUS_RUN_ID=";

/// How `cyrus` is started.
pub struct Launch {
    /// A launcher without arguments.
    pub command: PathBuf,
    /// What it needs in its environment.
    pub env: BTreeMap<&'static str, String>,
    /// Its folder.
    pub folder: PathBuf,
}

/// One life. It is killed when dropped.
pub struct Life {
    child: Child,
}

impl Launch {
    /// Starts it; it kills itself at the failpoint, if one is given.
    pub fn start(&self, failpoint: Option<(u32, bool)>) -> Result<Life> {
        let log = std::fs::File::options().append(true).create(true).open(self.folder.join("log"))?;
        let mut command = Command::new(&self.command);
        for name in LOGINS {
            command.env_remove(name);
        }
        command.envs(&self.env);
        if let Some((number, after)) = failpoint {
            command.env(FAILPOINT, format!("{number}:{}", if after { "after" } else { "before" }));
        }
        let child = command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} did not start", self.command.display()))?;
        Ok(Life { child })
    }

    /// Agents of this system that run now, as `pid program`.
    pub fn agents(&self) -> Vec<String> {
        let root = self.folder.as_os_str().as_encoded_bytes();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
        let ours = pids.filter(|pid| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let holds = |needle: &[u8]| environ.windows(needle.len()).any(|part| part == needle);
            holds(RUN_MARK) && holds(root)
        });
        ours.map(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&line).replace('\0', " ");
            format!("{pid} {}", words.chars().take(60).collect::<String>())
        })
        .collect()
    }
}

impl Life {
    /// Ends it by SIGKILL.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Waits until it ends by itself, at most so long.
    pub async fn ends_within(&mut self, time: Duration) -> Result<Option<ExitStatus>> {
        match tokio::time::timeout(time, self.child.wait()).await {
            Ok(status) => Ok(Some(status?)),
            Err(_) => Ok(None),
        }
    }

    /// Asks it to end in order; kills it when it does not.
    pub async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// Kills a process that another one started, and waits until it is gone.
pub async fn kill_foreign(pid: i32) -> Result<()> {
    kill(Pid::from_raw(pid), Signal::SIGKILL).context("killing the first life")?;
    while Path::new(&format!("/proc/{pid}/exe")).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
