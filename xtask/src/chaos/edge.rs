//! One edge of a round: its process, its link, and what the plan does to both.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, sleep_until};

use super::link::{Injected, Link};
use super::plan::fault::{EdgeFault, HELD_MS, Harm};

/// How one is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// `cyrus-chaos-edge`.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its key.
    pub key: String,
    /// While this file is there it takes events and handles none.
    pub hold: PathBuf,
    /// Its output.
    pub log: PathBuf,
}

/// A running one. It is killed when dropped.
pub struct Edge {
    /// Its way to the proxy.
    pub link: Link,
    launch: Launch,
    child: Child,
    injected: Injected,
    /// How often it ended by itself, which it never should.
    pub ended_by_itself: Vec<String>,
}

impl Edge {
    /// Starts it.
    pub fn start(launch: Launch, link: Link, injected: Injected) -> Result<Self> {
        let child = launch.spawn()?;
        Ok(Self { link, launch, child, injected, ended_by_itself: Vec::new() })
    }

    /// Does to it what the plan says, then gives it back, well.
    pub async fn suffer(mut self, faults: Vec<EdgeFault>, begun: Instant) -> Result<Self> {
        for fault in faults {
            self.alive_until(begun + Duration::from_millis(fault.at)).await?;
            self.harm(fault.harm).await?;
        }
        Ok(self)
    }

    /// Waits; starts it again if it ends meanwhile.
    pub async fn alive_until(&mut self, when: Instant) -> Result<()> {
        loop {
            let how = tokio::select! {
                () = sleep_until(when) => return Ok(()),
                how = self.child.wait() => how?,
            };
            self.ended_by_itself.push(how.to_string());
            sleep(Duration::from_millis(500)).await;
            self.child = self.launch.spawn()?;
        }
    }

    async fn harm(&mut self, harm: Harm) -> Result<()> {
        // A fault is to find events that are taken and not yet handled.
        std::fs::write(&self.launch.hold, "")?;
        sleep(Duration::from_millis(HELD_MS)).await;
        let outcome = self.harm_now(harm).await;
        std::fs::remove_file(&self.launch.hold)?;
        outcome
    }

    async fn harm_now(&mut self, harm: Harm) -> Result<()> {
        match harm {
            Harm::Killed(time) => {
                self.child.kill().await?;
                self.injected.count(harm.name());
                sleep(Duration::from_millis(time)).await;
                self.child = self.launch.spawn()?;
            }
            Harm::Paused(time) => {
                self.signal(Signal::SIGSTOP)?;
                self.injected.count(harm.name());
                sleep(Duration::from_millis(time)).await;
                self.signal(Signal::SIGCONT)?;
            }
            Harm::Cut(times) => {
                for _ in 0..times {
                    self.link.cut();
                    sleep(Duration::from_millis(500)).await;
                }
            }
            Harm::Stalled(time) => self.link.stall(Duration::from_millis(time)).await,
            Harm::HalfOpen(time) => self.link.half_open(Duration::from_millis(time)).await,
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).context("the edge is gone")?;
        Ok(kill(Pid::from_raw(pid), signal)?)
    }

    /// Ends it.
    pub async fn stop(mut self) {
        // It may have ended.
        let _ = self.child.kill().await;
    }
}

impl Launch {
    fn spawn(&self) -> Result<Child> {
        let log = std::fs::File::options().append(true).create(true).open(&self.log)?;
        Command::new(&self.program)
            .args(&self.arguments)
            .env("CONTROL_PANEL_API_KEY", &self.key)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} did not start", self.program.display()))
    }
}
