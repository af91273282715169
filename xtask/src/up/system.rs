//! The running system: starts its parts in order, holds what is running, stops it in the opposite order.
//!
//! Whatever is started is stored here at once, so that an interrupt in the middle of a start finds it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use shared::api::NewRepository;
use shared::worker::WorkerState;

use super::cast::Cast;
use super::edge::{self, Edge, EdgePlan};
use super::host::{Host, HostPlan};
use super::kept::{Kept, WorkerKey};
use super::panel::{Panel, SetUp};
use super::plan::{Model, Plan};
use super::repository::{self, Repository};
use super::state::{StateDir, last_lines};
use crate::parts::Parts;
use crate::progress::Progress;

/// Longest wait for the edges to be on line.
const EDGES_ON_LINE: Duration = Duration::from_secs(60);

/// Everything of one `up`.
pub struct System {
    /// What was asked for.
    pub plan: Plan,
    /// Its folder.
    pub state: StateDir,
    /// Secrets, ids, ports.
    pub kept: Kept,
    /// What it is made of.
    pub parts: Parts,
    /// Tells what is going on.
    pub progress: Progress,
    /// The stand-ins, once they run.
    pub cast: Option<Cast>,
    host: Option<Host>,
    edges: Vec<Edge>,
}

/// What can be told when all is ready.
pub struct Ready {
    /// Speaks to the Workers.
    pub panel: Panel,
    /// The panel's first answer.
    pub set_up: SetUp,
    /// The edges' key.
    pub worker_key: String,
    /// Where the agents' model is.
    pub model_url: String,
    /// workerd's pid at the start.
    pub workerd_pid: u32,
    /// The edges, as they are told.
    pub edges: Vec<ReadyEdge>,
    /// Repositories with the panel's ids.
    pub repositories: Vec<(String, Repository)>,
}

/// An edge that is on line.
pub struct ReadyEdge {
    /// Its process.
    pub pid: i32,
    /// The worker's id.
    pub worker_id: String,
    /// Starts it again.
    pub command: PathBuf,
    /// What it needs in its environment.
    pub env: BTreeMap<&'static str, String>,
}

impl System {
    /// Nothing runs yet.
    pub fn new(plan: Plan, state: StateDir, kept: Kept, parts: Parts, progress: Progress) -> Self {
        Self { plan, state, kept, parts, progress, cast: None, host: None, edges: Vec::new() }
    }

    /// Starts everything and waits until it is ready.
    pub async fn start(&mut self) -> Result<Ready> {
        self.progress.step("starting the stand-ins");
        let cast = self.cast.insert(Cast::start(&self.kept, &self.plan).await?);
        let linear_url = cast.linear.url().to_owned();
        let model_url = cast.model_url().map_or_else(real_model_url, str::to_owned);

        self.progress.step("starting the Workers");
        let plan = self.host_plan(&linear_url);
        let workerd_pid = self.host.insert(Host::start(plan)).ready().await?;

        self.progress.step("setting up");
        let ports = self.kept.ports;
        let panel = Panel::new(local(ports.panel), local(ports.proxy))?;
        let set_up = panel.set_up(&self.kept.setup_token).await?;
        let worker_key = self.worker_key(&panel, &set_up).await?;
        self.connect(&panel, &set_up).await?;
        let repositories = self.repositories(&panel, &worker_key).await?;

        if !self.plan.weights.is_empty() {
            self.progress.step("starting the edges");
        }
        let edges: Vec<Repository> = repositories.iter().map(|(_, repository)| repository.clone()).collect();
        for (index, weight) in self.plan.weights.clone().into_iter().enumerate() {
            let plan = self.edge_plan(index + 1, weight, &panel, &worker_key, &edges)?;
            self.edges.push(Edge::start(&self.state, &self.parts.cyrus, plan).await?);
        }
        let edges = self.on_line(&panel, &set_up.owner_api_key).await?;
        self.progress.done();
        Ok(Ready { panel, set_up, worker_key, model_url, workerd_pid, edges, repositories })
    }

    /// Tells of edges that ended; does not return by itself.
    pub async fn serve(&self) -> Result<ExitCode> {
        let mut told = vec![false; self.edges.len()];
        loop {
            for (edge, told) in self.edges.iter().zip(&mut told) {
                if let (Some(how), false) = (edge.ended(), *told) {
                    *told = true;
                    self.progress.say(&format!(
                        "  {} ended ({how}); it is not started again. Start it by {}, its log is {}",
                        edge.name,
                        edge.command.display(),
                        edge.log.display()
                    ));
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Stops all that was started; afterwards nothing of it is left.
    pub async fn stop(self) {
        self.progress.step("stopping");
        let stops: Vec<_> = self.edges.into_iter().map(|edge| tokio::spawn(edge.stop())).collect();
        for stop in stops {
            let _ = stop.await;
        }
        if let Some(host) = self.host {
            host.stop().await;
        }
        if let Some(cast) = self.cast {
            cast.stop().await;
        }
        self.progress.done();
    }

    /// Kills workerd by SIGKILL and keeps it down for at least `hold`; returns when it serves again.
    pub async fn outage(&self, hold: Duration) -> Result<()> {
        self.host.as_ref().context("the Workers do not run")?.outage(hold).await
    }

    fn host_plan(&self, linear_url: &str) -> HostPlan {
        let (kept, parts) = (&self.kept, &self.parts);
        let config = json!({
            "persist": self.state.join("workers"),
            "migrations": parts.tools.root.join("migrations"),
            "ports": {"panel": kept.ports.panel, "proxy": kept.ports.proxy},
            "proxy": {"main": parts.workers.proxy, "vars": {
                "LINEAR_WEBHOOK_SECRETS": kept.linear_webhook_secret,
                "SETUP_TOKEN": kept.setup_token,
                "ENCRYPTION_KEYS": kept.encryption_keys,
                "LINEAR_API_URL": format!("{linear_url}/graphql"),
                "PANEL_URL": local(kept.ports.panel),
                "CYRUS_SETTINGS": self.plan.settings,
            }},
            "panel": {"main": parts.workers.panel, "assets": parts.workers.assets, "vars": {
                "SETUP_TOKEN": kept.setup_token,
                "ENCRYPTION_KEYS": kept.encryption_keys,
                "CYRUS_SETTINGS": self.plan.settings,
            }},
        });
        HostPlan {
            node: parts.tools.node.clone(),
            root: parts.tools.root.clone(),
            config,
            log: self.state.join("workerd.log"),
            pid_file: self.state.join("workerd.pid"),
        }
    }

    /// The kept key while the panel knows it, else a new one.
    async fn worker_key(&mut self, panel: &Panel, set_up: &SetUp) -> Result<String> {
        if let Some(kept) = &self.kept.worker_key
            && kept.organization_id == set_up.organization_id
            && panel.knows(&kept.key).await?
        {
            return Ok(kept.key.clone());
        }
        let key = panel.new_worker_key(&set_up.owner_api_key).await?;
        self.kept.worker_key =
            Some(WorkerKey { organization_id: set_up.organization_id.clone(), key: key.clone() });
        self.kept.save()?;
        Ok(key)
    }

    async fn connect(&self, panel: &Panel, set_up: &SetUp) -> Result<()> {
        let linear = &self.kept.linear;
        let connection = json!({
            "organizationId": set_up.organization_id,
            "workspaceId": linear.organization_id,
            "authorization": format!("Bearer {}", linear.access_token),
            "appUserId": linear.app_user_id,
        });
        panel.connect_linear(&self.kept.setup_token, &connection).await
    }

    async fn repositories(&self, panel: &Panel, worker_key: &str) -> Result<Vec<(String, Repository)>> {
        let found: Vec<Repository> = if self.plan.repositories.is_empty() {
            vec![repository::scratch(&self.state.join("repositories/demo"))?]
        } else {
            self.plan.repositories.iter().map(|path| repository::given(path)).collect::<Result<_>>()?
        };
        let mut known = Vec::new();
        for repository in found {
            let new = NewRepository {
                name: repository.name.clone(),
                path: repository.path.display().to_string(),
                remote: repository.remote.clone(),
                base_branch: Some(repository.base_branch.clone()),
                linear_workspace_id: Some(self.kept.linear.organization_id.clone()),
            };
            let added = panel.add_repository(worker_key, &new).await?;
            known.push((added.id.to_string(), repository));
        }
        Ok(known)
    }

    fn edge_plan(
        &self,
        number: usize,
        weight: u32,
        panel: &Panel,
        worker_key: &str,
        repositories: &[Repository],
    ) -> Result<EdgePlan> {
        let folder = edge::folder(&self.state, number);
        let repositories: Vec<Value> = repositories
            .iter()
            .map(|repository| {
                json!({
                    "name": repository.name,
                    "repositoryPath": repository.path,
                    "baseBranch": repository.base_branch,
                    "linearWorkspaceId": self.kept.linear.organization_id,
                })
            })
            .collect();
        let agent = match &self.plan.agent {
            Some(agent) => agent.clone(),
            None => self.parts.tools.claude()?,
        };
        let config = json!({
            "name": edge::name(number),
            "proxyUrl": panel.proxy_url,
            "stateDir": folder,
            "slots": self.plan.slots,
            "weight": weight,
            "claude": {"path": agent},
            "controlPanel": {"enabled": true, "apiUrl": panel.panel_url},
            "repositories": repositories,
        });
        let mut env = BTreeMap::from([
            ("CYRUS_CONFIG_PATH", folder.join("config.json").display().to_string()),
            ("CONTROL_PANEL_API_KEY", worker_key.to_owned()),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
        ]);
        if let Some(url) = self.cast.as_ref().and_then(Cast::model_url) {
            env.insert("ANTHROPIC_API_KEY", "sk-ant-scripted-model".to_owned());
            env.insert("ANTHROPIC_BASE_URL", url.to_owned());
            // Nothing of this machine's user belongs to a scripted run: no login, and no start-up files of a shell.
            env.insert("HOME", folder.join("home").display().to_string());
        }
        Ok(EdgePlan { number, config, env, model: self.plan.model })
    }

    async fn on_line(&self, panel: &Panel, key: &str) -> Result<Vec<ReadyEdge>> {
        let deadline = Instant::now() + EDGES_ON_LINE;
        let mut ready: Vec<ReadyEdge> = Vec::new();
        for edge in &self.edges {
            loop {
                if let Some(how) = edge.ended() {
                    let lines = last_lines(&edge.log, 12);
                    bail!(
                        "{} ended before it was on line ({how}); the end of {}:{lines}",
                        edge.name,
                        edge.log.display()
                    );
                }
                // The Workers may be starting again just now.
                let workers = panel.workers(key).await.unwrap_or_default();
                let online = workers.into_iter().find(|worker| {
                    worker.name == edge.name
                        && matches!(worker.state, WorkerState::Online | WorkerState::Working)
                });
                if let Some(worker) = online {
                    ready.push(ReadyEdge {
                        pid: edge.pid,
                        worker_id: worker.id.to_string(),
                        command: edge.command.clone(),
                        env: edge.env.clone(),
                    });
                    break;
                }
                if Instant::now() > deadline {
                    let lines = last_lines(&edge.log, 12);
                    bail!("{} is not on line yet; the end of {}:{lines}", edge.name, edge.log.display());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(ready)
    }

    /// The scripted model is in use.
    pub fn is_scripted(&self) -> bool {
        self.plan.model == Model::Scripted
    }

    /// The stand-in Linear.
    pub fn cast(&self) -> Result<&Cast> {
        self.cast.as_ref().context("the stand-ins do not run")
    }

    /// Where the logs are, for a message.
    pub fn log_paths(&self) -> String {
        let edges = self.edges.iter().map(|edge| edge.log.display().to_string());
        edges.chain([self.state.join("workerd.log").display().to_string()]).collect::<Vec<_>>().join(", ")
    }
}

fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn real_model_url() -> String {
    std::env::var("ANTHROPIC_BASE_URL").unwrap_or_else(|_| "https://api.anthropic.com".to_owned())
}
