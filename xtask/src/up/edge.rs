//! Edge workers: `cyrus start`, each with a folder, a configuration and a launcher of its own.
//!
//! An edge is started once and never again: whoever watches it decides. It leads a process group, so that an
//! interrupt of the terminal does not reach it before it is stopped in order.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::plan::{LOGINS, Model};
use super::state::{StateDir, write_private};

mod leftover;

/// How long an edge may take to end its runs and say good-bye.
const GRACE: Duration = Duration::from_secs(15);

/// What is needed to start one.
pub struct EdgePlan {
    /// From 1.
    pub number: usize,
    /// `config.json`.
    pub config: Value,
    /// Laid over the environment.
    pub env: BTreeMap<&'static str, String>,
    /// Which model it talks to.
    pub model: Model,
}

/// One that was started.
pub struct Edge {
    /// As the panel shows it.
    pub name: String,
    /// Its process.
    pub pid: i32,
    /// Starts it again: one path, no arguments.
    pub command: PathBuf,
    /// What it needs in its environment.
    pub env: BTreeMap<&'static str, String>,
    /// Its output.
    pub log: PathBuf,
    ended: watch::Receiver<Option<String>>,
    task: JoinHandle<()>,
}

/// The name of edge `number`.
pub fn name(number: usize) -> String {
    format!("edge-{number}")
}

/// The folder of edge `number`.
pub fn folder(state: &StateDir, number: usize) -> PathBuf {
    state.join("edges").join(number.to_string())
}

impl Edge {
    /// Writes its folder and starts it.
    pub async fn start(state: &StateDir, cyrus: &Path, plan: EdgePlan) -> Result<Self> {
        let folder = folder(state, plan.number);
        fs::create_dir_all(&folder)?;
        if let Some(home) = plan.env.get("HOME") {
            fs::create_dir_all(home)?;
        }
        leftover::end(&folder).await;
        write_private(&folder.join("config.json"), &serde_json::to_vec_pretty(&plan.config)?)?;
        let command = folder.join("start");
        write_private(&command, launcher(cyrus).as_bytes())?;
        fs::set_permissions(&command, fs::Permissions::from_mode(0o700))?;
        let log = state.log(&format!("edges/{}/log", plan.number))?;
        let mut process = Command::new(&command);
        if plan.model == Model::Scripted {
            // A login of this machine must not reach a run that says it is scripted.
            LOGINS.iter().for_each(|name| {
                process.env_remove(name);
            });
        }
        let mut child = process
            .envs(&plan.env)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} did not start", cyrus.display()))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).context("it ended at once")?;
        leftover::note(&folder, pid);
        let (tell, ended) = watch::channel(None);
        // Waits at once, so that an edge that was killed does not stay as a zombie.
        let task = tokio::spawn(async move {
            let how = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
            tell.send_replace(Some(how));
        });
        Ok(Self {
            name: name(plan.number),
            pid,
            command,
            env: plan.env,
            log: folder.join("log"),
            ended,
            task,
        })
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<String> {
        self.ended.borrow().clone()
    }

    /// Asks it to end; after the grace ends it and everything that descends from it.
    pub async fn stop(self) {
        let Self { pid, mut ended, task, .. } = self;
        if ended.borrow().is_none() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            if tokio::time::timeout(GRACE, ended.wait_for(Option::is_some)).await.is_err() {
                leftover::kill_tree(pid);
            }
        }
        // No such group: everything has ended.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        let _ = task.await;
    }
}

/// A script that becomes `cyrus start`.
fn launcher(cyrus: &Path) -> String {
    let path = cyrus.display().to_string().replace('\'', r"'\''");
    format!("#!/bin/sh\nexec '{path}' start \"$@\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_launcher_runs_a_program_whose_path_has_blanks_and_quotes() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("it's a $HOME `x` \"program\"");
        fs::write(&program, "#!/bin/sh\necho \"$@\"\n").unwrap();
        let script = folder.path().join("start");
        fs::write(&script, launcher(&program)).unwrap();
        for path in [&program, &script] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let output = std::process::Command::new("sh").arg(&script).arg("a b").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "start a b\n");
    }
}
