//! The workshop of `cyrus start`: agents in worktrees, answers in Linear, records in the panel.

use std::sync::Arc;

use anyhow::Context;
use futures_util::future::BoxFuture;
use shared::api::NewRepository;
use shared::id::{AgentSessionId, SessionKey, WorkerId};
use shared::stream::PROTOCOL;
use shared::worker::Registration;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::boot_clock::BootClock;
use super::leases::Leases;
use super::linear_budget::LinearUse;
use super::slots::Slots;
use super::standalone::{self, Order, Over, Screen, Wish};
use super::workshop::{Tools, Verdict, Workshop};
use super::{Station, fresh_uuid};
use crate::config::live::{Changes, Live};
use crate::config::reading::{Reading, Sources};
use crate::config::watch::Watch;
use crate::config::{Config, RepositoryConfig, Secret};
use crate::control::words::RunRequest;
use crate::executor::Executor;
use crate::executor::claude::{Claude, ClaudeConfig};
use crate::http;
use crate::journal::Journal;
use crate::journal::event::Taken;
use crate::linear::LinearClient;
use crate::outbox::Outside;
use crate::panel::PanelClient;
use crate::proxy::client::ProxyClient;
use crate::session::recovery::Recoveries;
use crate::session::route::{self, Decision};
use crate::session::{self, Means, Told};

/// What all sessions share.
struct Sessions {
    config: Live,
    journal: Journal,
    outside: Outside,
    executor: Arc<dyn Executor>,
    executor_version: Option<String>,
}

/// Everything of a worker as it is configured.
pub async fn station(sources: Sources, reading: Reading) -> anyhow::Result<Station> {
    let config = reading.config.clone();
    let (proxy_url, key) = config.connection()?;
    let journal = Journal::open(&config.state_dir, WorkerId::from_uuid(fresh_uuid()))?;
    journal.redactor().learn(crate::redact::of_environment());
    journal.redactor().learn(config.secrets().iter().map(Secret::reveal));
    let http = http::client().context("no HTTP client")?;
    let proxy = ProxyClient::new(http.clone(), proxy_url, key.clone(), journal.worker_id());
    let panel = config.panel_url.clone().map(|url| PanelClient::new(http.clone(), url, key));
    let executor = Claude::new(ClaudeConfig {
        binary: config.claude.clone(),
        keeper: crate::sandbox::keeper(),
        ..ClaudeConfig::default()
    });
    let executor_version = match executor.version().await {
        Ok(version) => Some(version),
        Err(error) => {
            warn!("{error}; sessions will fail until it is there");
            None
        }
    };
    info!(
        "cyrus {} as {} ({}), claude {}",
        env!("CARGO_PKG_VERSION"),
        config.name,
        journal.worker_id(),
        executor_version.as_deref().unwrap_or("missing"),
    );
    let registration = registration(&config, journal.worker_id(), executor.name()).await;
    let clock = Arc::new(BootClock);
    let leases = Leases::new(Arc::clone(&clock) as Arc<_>);
    let linear_use = LinearUse::default();
    let linear =
        Some(LinearClient::new(http, proxy.clone(), linear_use.clone()).secret_in(journal.redactor()));
    let outside = Outside { linear, panel, screen: None };
    let transport = config.transport;
    let (changes, live) = Changes::begin(config);
    let asked = outside.panel.clone().map(|panel| (panel, journal.worker_id()));
    tokio::spawn(Watch::new(sources, reading, asked, changes).run());
    let workshop = Sessions {
        config: live,
        journal: journal.clone(),
        outside,
        executor: Arc::new(executor),
        executor_version,
    };
    Ok(Station {
        journal,
        proxy,
        registration,
        transport,
        clock,
        leases,
        linear_use,
        workshop: Arc::new(workshop),
    })
}

/// What a tag may call the repositories: their names and their remotes. Teams are left out: a tag, a label or a project
/// may bring an issue of any team here, and the router rejects what is not served.
async fn served(repositories: &[RepositoryConfig]) -> Vec<String> {
    let mut served: Vec<String> = repositories.iter().map(|repository| repository.name.clone()).collect();
    served.extend(route::all_remotes(repositories).await.into_iter().flatten());
    served.sort_unstable();
    served.dedup();
    served
}

/// What a worker tells of itself.
async fn registration(config: &Config, worker: WorkerId, executor: &str) -> Registration {
    Registration {
        worker_id: Some(worker),
        name: config.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        repositories: served(&config.repositories).await,
        teams: Vec::new(),
        executors: vec![executor.to_owned()],
        slots: config.slots,
        weight: config.weight,
    }
}

/// How many slots there are, and how many of them each repository may take.
fn fit(slots: &Slots, config: &Config) {
    let capped = config.repositories.iter().filter_map(|one| Some((one.name.clone(), one.max_sessions?)));
    slots.resize(config.slots, capped.collect());
}

impl Sessions {
    fn means(&self, tools: Tools) -> Means {
        let Tools { journal, leases, linear_use, slots, done, ending } = tools;
        Means {
            config: self.config.clone(),
            journal,
            outside: self.outside.clone(),
            executor: Arc::clone(&self.executor),
            executor_version: self.executor_version.clone(),
            slots,
            done,
            ending,
            leases,
            linear_use,
        }
    }
}

impl Workshop for Sessions {
    fn weigh(&self, offer: Taken, tools: Tools) -> BoxFuture<'static, Verdict> {
        let means = self.means(tools);
        Box::pin(async move {
            match route::decide(&means, &offer.event).await {
                Decision::Served(assignment) => {
                    Verdict::Take { repository: assignment.map(|one| one.kept()), ask: false }
                }
                Decision::NotServed if offer.ask => Verdict::Take { repository: None, ask: true },
                Decision::NotServed => Verdict::NotServed,
            }
        })
    }

    fn work(&self, key: SessionKey, inbox: mpsc::Receiver<Told>, tools: Tools) -> BoxFuture<'static, ()> {
        Box::pin(session::run(self.means(tools), key, inbox))
    }

    fn begins(&self, tools: Tools) -> BoxFuture<'static, ()> {
        let means = self.means(tools);
        Box::pin(async move { session::clear_all(&means).await })
    }

    fn tells_changes(&self, tools: &Tools, told: watch::Sender<Registration>) {
        let (slots, journal, executor) = (tools.slots.clone(), tools.journal.clone(), self.executor.name());
        let mut config = self.config.clone();
        fit(&slots, &config.now());
        tokio::spawn(async move {
            loop {
                let now = config.changed().await;
                fit(&slots, &now);
                journal.redactor().learn(now.secrets().iter().map(Secret::reveal));
                let new = registration(&now, journal.worker_id(), executor).await;
                told.send_if_modified(|known| std::mem::replace(known, new.clone()) != new);
            }
        });
    }

    fn panel_is_at(&self, etag: String) {
        self.config.watched().panel_is_at(etag);
    }

    fn run_here(
        &self,
        tools: Tools,
        request: RunRequest,
        wishes: mpsc::UnboundedReceiver<Wish>,
        screen: Screen,
    ) -> Option<BoxFuture<'static, anyhow::Result<Over>>> {
        let repository = request.repository(&self.config.now().repositories);
        let RunRequest { session, prompt, goes_on, .. } = request;
        let order = Order { session: AgentSessionId(session), prompt, repository, goes_on };
        Some(Box::pin(standalone::work(self.means(tools), order, wishes, screen)))
    }

    fn registered(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let recoveries = Recoveries {
                journal: self.journal.clone(),
                config: self.config.clone(),
                panel: self.outside.panel.clone(),
            };
            // It ends with this process; what it had not finished begins again at the next start.
            tokio::spawn(recoveries.run());
            let Some(panel) = &self.outside.panel else { return };
            let settings = self.config.now();
            let remotes = route::all_remotes(&settings.repositories).await;
            for (repository, remote) in settings.repositories.iter().zip(remotes) {
                let new = NewRepository {
                    name: repository.name.clone(),
                    path: repository.repository_path.display().to_string(),
                    remote,
                    base_branch: repository.base_branch.clone(),
                    linear_workspace_id: repository.linear_workspace_id.clone(),
                };
                if let Err(error) = panel.add_repository(&new).await {
                    warn!("the panel does not know {} yet: {error}", repository.name);
                }
            }
        })
    }
}
