//! Keeps the Workers running: starts `host.mjs`, and starts it again on the same ports and state when it ends.
//!
//! The child leads a process group of its own, so that Ctrl-C reaches only this program, which then ends the
//! child by closing its stdin. What is left of the group when the child has ended is killed: a workerd that
//! lost its host.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::state::{last_lines, write_private};

/// How `host.mjs` is called and what it is told.
#[derive(Clone)]
pub struct HostPlan {
    /// Node.
    pub node: PathBuf,
    /// The repository, where the script and its packages are.
    pub root: PathBuf,
    /// The one line that it reads.
    pub config: Value,
    /// The Workers' log lines go to its end.
    pub log: PathBuf,
    /// Always holds the pid of the workerd that runs.
    pub pid_file: PathBuf,
}

/// Longest wait for a start.
const START: Duration = Duration::from_secs(30);
/// Longest wait for a graceful end.
const END: Duration = Duration::from_secs(10);
/// A first start is tried this often.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    workerd_pid: u32,
}

enum Stand {
    Starting,
    Ready(u32),
    Failed(String),
}

/// A host that is kept running until it is stopped.
pub struct Host {
    stand: watch::Receiver<Stand>,
    /// While this is true, workerd is not started again.
    held: watch::Sender<bool>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Host {
    /// Begins; [`Host::ready`] waits.
    pub fn start(plan: HostPlan) -> Self {
        let (told, stand) = watch::channel(Stand::Starting);
        let (stop, stopped) = oneshot::channel();
        let (held, hold) = watch::channel(false);
        Self { stand, held, stop, task: tokio::spawn(keep(plan, told, hold, stopped)) }
    }

    /// Kills workerd by SIGKILL, keeps it down for at least `hold` and waits until it serves again.
    pub async fn outage(&self, hold: Duration) -> Result<()> {
        let mut stand = self.stand.clone();
        let before = match &*stand.borrow_and_update() {
            Stand::Ready(pid) => *pid,
            _ => bail!("the Workers do not run"),
        };
        self.held.send_replace(true);
        // It may have died just now, which is as good.
        let _ = kill(Pid::from_raw(i32::try_from(before)?), Signal::SIGKILL);
        tokio::time::sleep(hold).await;
        self.held.send_replace(false);
        let again = |stand: &Stand| matches!(stand, Stand::Ready(pid) if *pid != before);
        stand.wait_for(again).await.context("the Workers' host is gone")?;
        Ok(())
    }

    /// Waits for the first start. Gives workerd's pid.
    pub async fn ready(&mut self) -> Result<u32> {
        let stand = self.stand.wait_for(|stand| !matches!(stand, Stand::Starting)).await;
        match &*stand.context("the Workers' host is gone")? {
            Stand::Ready(pid) => Ok(*pid),
            Stand::Failed(reason) => bail!("{reason}"),
            Stand::Starting => bail!("the Workers did not start"),
        }
    }

    /// Ends the Workers and waits until nothing of them is left.
    pub async fn stop(self) {
        // The task may have given up already.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn keep(
    plan: HostPlan,
    told: watch::Sender<Stand>,
    mut hold: watch::Receiver<bool>,
    mut stopped: oneshot::Receiver<()>,
) {
    let (mut pause, mut tries, mut was_ready) = (FIRST_PAUSE, 0, false);
    loop {
        let begun = Instant::now();
        let reason = match Instance::spawn(&plan) {
            Err(error) => error,
            Ok(mut instance) => {
                let ended = tokio::select! {
                    _ = &mut stopped => None,
                    ended = instance.run(&plan, |pid| { told.send_replace(Stand::Ready(pid)); was_ready = true; }) => Some(ended),
                };
                instance.end().await;
                match ended {
                    None => return,
                    Some(reason) => reason,
                }
            }
        };
        tries += 1;
        if !was_ready && tries >= TRIES {
            let lines = last_lines(&plan.log, 8);
            told.send_replace(Stand::Failed(format!(
                "the Workers did not start: {reason:#}; the end of {}:{lines}",
                plan.log.display()
            )));
            return;
        }
        if was_ready {
            eprintln!("  the Workers ended ({reason:#}); starting them again");
        }
        pause = if begun.elapsed() > Duration::from_secs(30) { FIRST_PAUSE } else { pause };
        tokio::select! {
            _ = &mut stopped => return,
            () = tokio::time::sleep(pause) => {}
        }
        tokio::select! {
            _ = &mut stopped => return,
            _ = hold.wait_for(|held| !held) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One life of the host.
struct Instance {
    child: Child,
    group: Option<Pid>,
    stdin: Option<ChildStdin>,
}

impl Instance {
    fn spawn(plan: &HostPlan) -> Result<Self> {
        let log = File::options().append(true).create(true).open(&plan.log)?;
        let mut child = Command::new(&plan.node)
            .arg(plan.root.join("xtask/workerd/host.mjs"))
            .current_dir(&plan.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("node did not start")?;
        let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let stdin = child.stdin.take();
        Ok(Self { child, group, stdin })
    }

    /// Runs until the child ends; gives the reason.
    async fn run(&mut self, plan: &HostPlan, ready: impl FnOnce(u32)) -> anyhow::Error {
        match tokio::time::timeout(START, self.introduce(plan)).await {
            Err(_) => return anyhow!("not ready after {} s", START.as_secs()),
            Ok(Err(error)) => return error,
            Ok(Ok(pid)) => {
                if let Err(error) = write_private(&plan.pid_file, pid.to_string().as_bytes()) {
                    return error;
                }
                ready(pid);
            }
        }
        match self.child.wait().await {
            Ok(status) if status.code() == Some(75) => anyhow!("workerd died"),
            Ok(status) => anyhow!("{status}"),
            Err(error) => error.into(),
        }
    }

    async fn introduce(&mut self, plan: &HostPlan) -> Result<u32> {
        let stdin = self.stdin.as_mut().context("no stdin")?;
        stdin.write_all(format!("{}\n", plan.config).as_bytes()).await?;
        stdin.flush().await?;
        let stdout = self.child.stdout.take().context("no stdout")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let line = line.context("it ended before it was ready")?;
        let ready: Ready = serde_json::from_str(&line).with_context(|| format!("unexpected: {line}"))?;
        Ok(ready.workerd_pid)
    }

    /// Ends the child if it still runs, and what it left.
    async fn end(&mut self) {
        drop(self.stdin.take());
        // An error means that it was waited for already.
        let _ = tokio::time::timeout(END, self.child.wait()).await;
        if let Some(group) = self.group {
            // No such group: everything has ended.
            let _ = killpg(group, Signal::SIGKILL);
        }
        let _ = self.child.wait().await;
    }
}
