//! One proxy in a workerd of its own: ours or the JavaScript one of `xtask/bench-worker`, started in the same way.
//!
//! `xtask/workerd/bench.mjs` runs it; a [`Tenant`] is a fresh hub with a workspace and a worker key. What was
//! started is killed when this is dropped. Nothing here measures.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use reqwest::Client;
use serde_json::{Map, Value, json};
use shared::id::{KeyId, OrgId};
use shared::worker_key::WorkerKey;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use uuid::Uuid;

use crate::tools::Tools;
use crate::wasm::{Built, Profile};

/// Longest wait for a start.
const START: Duration = Duration::from_secs(60);

/// Whose proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The project's, as released.
    Ours,
    /// The idiomatic JavaScript Worker.
    Theirs,
}

impl Whose {
    /// Both, ours first.
    pub const BOTH: [Self; 2] = [Self::Ours, Self::Theirs];

    /// The word in tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        }
    }

    fn main(self, tools: &Tools) -> PathBuf {
        match self {
            Self::Ours => std::env::var_os("CYRUS_BENCH_PROXY")
                .map_or_else(|| Built::at(tools, Profile::Release).proxy, PathBuf::from),
            Self::Theirs => tools.root.join("xtask/bench-worker/worker.mjs"),
        }
    }
}

/// A running proxy.
pub struct Side {
    /// Whose it is.
    pub whose: Whose,
    /// workerd's own pid.
    pub pid: i32,
    /// Where it listens.
    pub address: SocketAddr,
    /// The secret that its webhooks are signed with.
    pub secret: String,
    /// For calls that are not measured.
    pub http: Client,
    /// Its state.
    pub state: PathBuf,
    tools: Tools,
    settings: Value,
    setup_token: String,
    encryption_keys: String,
    host: Option<Host>,
}

struct Host {
    group: Option<Pid>,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // No such group: it has ended already.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// An organization of its own on one side: an empty hub, a workspace, a worker key.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its Linear workspace.
    pub workspace: String,
    /// Its worker key in the clear.
    pub key: String,
    /// What the hub knows of the key.
    pub key_hash: String,
}

impl Side {
    /// Starts it on an empty state under `folder`. `settings` are keys of `CYRUS_SETTINGS`, beyond those that keep timers quiet.
    pub async fn start(tools: &Tools, whose: Whose, folder: &Path, settings: &Value) -> Result<Self> {
        let hex = || format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        // The first thought is off: it posts to Linear, which only one of the two does. The rate limit is out of the way.
        let mut all = Map::from_iter([
            ("firstThoughtMs".to_owned(), json!(3_600_000)),
            ("webhooksPerMinute".to_owned(), json!(100_000_000)),
        ]);
        all.extend(settings.as_object().cloned().unwrap_or_default());
        let mut side = Self {
            whose,
            pid: 0,
            address: free_address()?,
            secret: format!("lin_wh_{}", hex()),
            http: Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?,
            state: folder.join(whose.name()),
            tools: tools.clone(),
            settings: Value::Object(all),
            setup_token: hex(),
            encryption_keys: format!("k1:{}", hex()),
            host: None,
        };
        side.wake().await?;
        Ok(side)
    }

    /// Kills workerd; its state stays.
    pub fn kill(&mut self) {
        self.host = None;
    }

    /// Starts it again on the same state and address, with these settings changed.
    pub async fn restart(&mut self, settings: &Value) -> Result<()> {
        self.kill();
        if let (Some(all), Some(changed)) = (self.settings.as_object_mut(), settings.as_object()) {
            all.extend(changed.clone());
        }
        self.wake().await
    }

    async fn wake(&mut self) -> Result<()> {
        let main = self.whose.main(&self.tools);
        ensure!(main.exists(), "{} is not there; build it by `cargo xtask bench size`", main.display());
        // Miniflare's own scratch goes into the state, so that it is removed with it.
        let scratch = self.state.join("tmp");
        std::fs::create_dir_all(&scratch)?;
        let log = std::fs::File::options().append(true).create(true).open(self.log())?;
        let mut child = Command::new(&self.tools.node)
            .arg(self.tools.root.join("xtask/workerd/bench.mjs"))
            .current_dir(&self.tools.root)
            .env("TMPDIR", scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("node did not start")?;
        let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        self.host = Some(Host { group, stdin, stdout, _child: child });
        let config = json!({
            "main": main, "port": self.address.port(), "persist": self.state,
            "vars": {
                "LINEAR_WEBHOOK_SECRETS": self.secret, "SETUP_TOKEN": self.setup_token, "ENCRYPTION_KEYS": self.encryption_keys,
                "LINEAR_API_URL": "http://127.0.0.1:9/graphql", "CYRUS_SETTINGS": self.settings.to_string(),
            },
        });
        let ready = self.ask(&config).await?;
        self.pid = i32::try_from(ready["workerdPid"].as_i64().context("no pid of workerd")?)?;
        Ok(())
    }

    /// Where its Workers' log lines go.
    pub fn log(&self) -> PathBuf {
        self.state.with_extension("log")
    }

    /// Adds the end of the Workers' log to an error: the folder is gone when it is read.
    pub fn explain<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.with_context(|| {
            let text = std::fs::read(self.log()).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines: Vec<&str> = text.lines().filter(|line| !line.contains(r#""level":"info""#)).collect();
            let end = lines.get(lines.len().saturating_sub(8)..).unwrap_or_default();
            format!("{}; the end of its log, without what went well: {}", self.whose.name(), end.join("\n  "))
        })
    }

    /// One line in, one line out.
    async fn ask(&mut self, line: &Value) -> Result<Value> {
        let log = self.log();
        let host = self.host.as_mut().context("it does not run")?;
        host.stdin.write_all(format!("{line}\n").as_bytes()).await?;
        host.stdin.flush().await?;
        let answer =
            tokio::time::timeout(START, host.stdout.next_line()).await.context("no answer in time")??;
        let answer = answer.with_context(|| format!("workerd ended; its log is {}", log.display()))?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// Makes an organization: an empty hub.
    pub async fn tenant(&mut self) -> Result<Tenant> {
        let org = OrgId::from_uuid(Uuid::now_v7());
        let mut random = [0; 32];
        random
            .iter_mut()
            .zip(Uuid::new_v4().as_bytes().iter().chain(Uuid::new_v4().as_bytes()))
            .for_each(|(to, from)| *to = *from);
        let key = WorkerKey::new(org, random);
        let tenant =
            Tenant { workspace: Uuid::new_v4().to_string(), key: key.reveal(), key_hash: key.hash() };
        let known = json!({"org": org, "hash": tenant.key_hash, "keyId": KeyId::from_uuid(Uuid::now_v7())});
        let answer = self.ask(&known).await?;
        ensure!(answer["status"] == 200, "the hub did not take a worker key: {answer}");
        let connection = json!({
            "organizationId": org, "workspaceId": tenant.workspace, "authorization": "Bearer bench", "appUserId": Uuid::new_v4(),
        });
        let request =
            self.http.put(self.url("/setup/linear")).bearer_auth(&self.setup_token).json(&connection);
        let response = request.send().await?;
        ensure!(response.status() == 200, "connecting a workspace: {}", response.text().await?);
        Ok(tenant)
    }

    /// A path of its public interface.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
