//! One running system: `xtask up --json` as a child in a process group of its own, in a folder of its own.
//!
//! It is stopped by SIGTERM and, if that takes too long, by SIGKILL of its group; always before the test ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::edge::{self, Edge, EdgeLine};
use crate::poll;

/// With everything built.
const START: Duration = Duration::from_secs(120);
/// When `up` has to build first.
const START_AND_BUILD: Duration = Duration::from_secs(15 * 60);
/// For everything that `up` started to end.
const STOP: Duration = Duration::from_secs(20);

/// The one line that `up --json` prints.
#[derive(Debug, Clone, Deserialize)]
pub struct UpLine {
    pub proxy_url: String,
    pub panel_url: String,
    pub sign_in_url: String,
    pub owner_api_key: String,
    pub worker_key: String,
    pub webhook_secrets: Secrets,
    pub linear_url: String,
    pub linear_organization_id: String,
    pub linear_app_user_id: String,
    pub model_url: String,
    pub state_dir: PathBuf,
    pub workerd_pid: i32,
    pub edges: Vec<EdgeLine>,
    pub repositories: Vec<RepositoryLine>,
}

/// What webhooks are signed with.
#[derive(Debug, Clone, Deserialize)]
pub struct Secrets {
    pub linear: String,
    pub github: String,
}

/// A repository that the edges serve.
#[derive(Debug, Clone, Deserialize)]
pub struct RepositoryLine {
    pub id: String,
    pub name: String,
    pub path: PathBuf,
    pub remote: Option<String>,
}

/// The running system.
pub struct System {
    pub up: UpLine,
    pub http: reqwest::Client,
    child: Option<Child>,
    folder: Option<TempDir>,
    stderr: PathBuf,
    keep: bool,
    /// Edges that a test has run again; they end before the rest.
    edges: Mutex<Vec<Edge>>,
}

impl Drop for System {
    fn drop(&mut self) {
        self.edges.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(mut child) = self.child.take() {
            end_group(&mut child);
        }
        if self.keep
            && let Some(folder) = self.folder.take()
        {
            eprintln!("--- the end of xtask's stderr\n{}", tail(&self.stderr));
            eprintln!("--- state and logs are kept in {}", folder.keep().display());
        }
    }
}

/// An HTTP client that follows no redirect and keeps no cookie, so that a test sees what was answered.
pub fn client() -> reqwest::Client {
    // Fails only when another part of this process was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .no_proxy()
        // Each request on a connection of its own: a server that did not read a body it refused may hang up.
        .pool_max_idle_per_host(0)
        .build()
        .expect("a plain client")
}

/// The path of `xtask`: `CYRUS_XTASK`, else beside this test binary.
pub fn xtask() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CYRUS_XTASK") {
        return Ok(path.into());
    }
    let test = std::env::current_exe().context("this test's own path")?;
    let path = test.ancestors().nth(2).unwrap_or(Path::new(".")).join("xtask");
    ensure!(
        path.is_file(),
        "{} is missing; build it with `cargo build -p xtask`, or set CYRUS_XTASK",
        path.display()
    );
    Ok(path)
}

impl System {
    /// Starts `up --json` with these further arguments and waits for its line.
    pub async fn start(arguments: &[&str]) -> Result<Self> {
        let http = client();
        let folder = tempfile::Builder::new().prefix("cyrus-e2e-").tempdir()?;
        let stderr = folder.path().join("up.err");
        let mut command = Command::new(xtask()?);
        command
            .args(["up", "--json", "--state-dir"])
            .arg(folder.path().join("state"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr)?)
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().context("xtask did not start")?;
        let out = child.stdout.take().context("no stdout")?;
        let deadline = if std::env::var_os("CYRUS_PREBUILT").is_some() { START } else { START_AND_BUILD };
        let mut lines = BufReader::new(out).lines();
        let line = tokio::time::timeout(deadline, lines.next_line()).await;
        // Whatever else it prints is read and dropped, so that it never waits for us.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let up = match line {
            Ok(Ok(Some(line))) => {
                serde_json::from_str::<UpLine>(&line).map_err(|error| anyhow!("its line: {error}: {line}"))
            }
            Ok(Ok(None)) => Err(anyhow!("it ended without a line")),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(anyhow!("no line within {deadline:?}")),
        };
        match up {
            Ok(up) => Ok(Self {
                up,
                http,
                child: Some(child),
                folder: Some(folder),
                stderr,
                keep: false,
                edges: Mutex::default(),
            }),
            Err(error) => {
                end_group(&mut child);
                bail!("`xtask up --json {}`: {error:#}\n{}", arguments.join(" "), tail(&stderr))
            }
        }
    }

    /// Keeps the folder and shows what `up` said, once the system has stopped.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Kills the edge that runs now by SIGKILL: the one that `up` printed, or the one that a test has run since.
    pub async fn kill_edge(&self) -> Result<()> {
        let again = self.edges.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match again {
            // Its value is dropped only once it is gone.
            Some(edge) => edge::kill_hard(edge.pid()?).await,
            None => edge::kill_hard(self.edge_line()?.pid).await,
        }
    }

    /// Runs the first edge's printed command again. It ends with the system.
    pub fn run_edge_again(&self) -> Result<()> {
        let log = self.up.state_dir.join("edge-again.log");
        let edge = Edge::start(self.edge_line()?, &log)?;
        self.edges.lock().unwrap_or_else(PoisonError::into_inner).push(edge);
        Ok(())
    }

    fn edge_line(&self) -> Result<&EdgeLine> {
        self.up.edges.first().context("this system has no edge")
    }

    /// `GET` at the panel as the owner; anything but 200 is an error.
    pub async fn owner_get(&self, path: &str) -> Result<Value> {
        let response = self
            .http
            .get(format!("{}{path}", self.up.panel_url))
            .bearer_auth(&self.up.owner_api_key)
            .timeout(Duration::from_secs(20))
            .send()
            .await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status == 200, "GET {path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// The sessions that the panel lists for an agent session.
    pub async fn sessions_of(&self, agent_session: &str) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.owner_get(&format!("/api/sessions?limit=200{cursor}")).await?;
            let items = page["items"].as_array().context("no items")?;
            found.extend(items.iter().filter(|item| item["agentSessionId"] == agent_session).cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(found),
            }
        }
    }

    /// The pid of the workerd that runs now.
    pub fn workerd_pid(&self) -> Result<i32> {
        let path = self.up.state_dir.join("workerd.pid");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        text.trim().parse().with_context(|| format!("{}: {text:?}", path.display()))
    }

    /// Kills workerd by SIGKILL and waits until another one serves on the same ports. `up` promises 10 s.
    pub async fn kill_workerd(&self) -> Result<()> {
        let before = self.workerd_pid()?;
        kill(Pid::from_raw(before), Signal::SIGKILL).context("killing workerd")?;
        poll::until("a new workerd on the same ports", Duration::from_secs(60), async || {
            if self.workerd_pid()? == before {
                return Ok(None);
            }
            for base in [&self.up.proxy_url, &self.up.panel_url] {
                let answer =
                    self.http.get(format!("{base}/healthz")).timeout(Duration::from_secs(2)).send().await?;
                ensure!(answer.status() == 200, "{base}: {}", answer.status());
            }
            Ok(Some(()))
        })
        .await
    }

    /// What the agent told in an agent session, oldest first, at the stand-in Linear.
    pub async fn activities(&self, agent_session: &str) -> Result<Vec<Value>> {
        let url = format!("{}/_test/agent-sessions/{agent_session}", self.up.linear_url);
        let told: Value = self.http.get(url).timeout(Duration::from_secs(10)).send().await?.json().await?;
        Ok(told["activities"].as_array().context("no activities")?.clone())
    }

    /// How many runs of an agent the scripted model has seen.
    pub async fn model_runs(&self) -> Result<u64> {
        let url = format!("{}/_test/requests", self.up.model_url);
        let counts: Value = self.http.get(url).timeout(Duration::from_secs(10)).send().await?.json().await?;
        counts["runs"].as_u64().context("no runs")
    }
}

/// Waits without the runtime, which may be on its way out.
fn end_group(child: &mut Child) {
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw) else { return };
    let _ = kill(pid, Signal::SIGTERM);
    let begun = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if begun.elapsed() > STOP {
            eprintln!("xtask did not stop within {STOP:?} of SIGTERM; its group is killed");
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // What it left behind, if anything.
    let _ = killpg(pid, Signal::SIGKILL);
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
