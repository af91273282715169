//! A stand-in for Linear's GraphQL API, answering by the project's own subset of Linear's schema.
//!
//! `endpoint` takes a request through faults, token, rate, validation and execution; `node` resolves fields from
//! the `store`; `mutation` holds what changes it; `test_surface` is what tests look at. It is as strict as
//! Linear where the contract is known, and must never be laxer to make a test pass.

mod complexity;
mod content;
mod endpoint;
mod fault;
mod file;
mod filter;
mod mutation;
mod node;
mod page;
mod refusal;
mod schema;
mod seed;
mod shelf;
mod store;
mod test_surface;
mod throttle;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub use fault::{Fault, FaultKind};
pub use file::StoredFile;
pub use seed::{SeedIssue, SeedTeam, SeededIssue};
pub use test_surface::{ActivityView, SessionView};

use crate::server::Server;
use fault::Faults;
use store::Store;
use throttle::Throttle;

/// Whom the stand-in plays and whom it lets in.
#[derive(Debug, Clone)]
pub struct LinearConfig {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Id of the workspace.
    pub organization_id: String,
    /// Name of the workspace.
    pub organization_name: String,
    /// The workspace's part of URLs.
    pub url_key: String,
    /// Id of the agent's app user, which is the viewer.
    pub app_user_id: String,
    /// Name of the agent.
    pub app_user_name: String,
    /// The token that is taken as `Authorization: Bearer …`.
    pub access_token: String,
    /// Requests an hour; the bucket is full at the start and refills steadily.
    pub requests_per_hour: u32,
    /// In the place of the bucket: so many requests within any span of this length, in real time.
    pub window: Option<(u32, Duration)>,
}

impl Default for LinearConfig {
    fn default() -> Self {
        Self {
            port: 0,
            organization_id: "5c0f5d0e-6f0a-4b1a-9a5e-2a7b8f5f9c01".into(),
            organization_name: "Demo".into(),
            url_key: "demo".into(),
            app_user_id: "9e2c7a10-4f3b-4d86-b0a5-6c1f28d7e391".into(),
            app_user_name: "cyrus".into(),
            access_token: "lin_oauth_stand_in".into(),
            requests_per_hour: 5_000,
            window: None,
        }
    }
}

/// What was asked since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestCounts {
    /// Requests to the GraphQL endpoint, however they were answered.
    pub requests: u64,
    /// Requests answered with "rate limit exceeded", by the limit itself or by a fault.
    pub over_limit: u64,
    /// Requests by operation name; unnamed and unreadable ones under "".
    pub by_operation: BTreeMap<String, u64>,
}

/// What the endpoints share.
struct World {
    store: Mutex<Store>,
    files: Mutex<file::Files>,
    faults: Mutex<Faults>,
    throttle: Mutex<Throttle>,
    counts: Mutex<RequestCounts>,
    access_token: Mutex<String>,
}

impl World {
    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts stand-ins.
pub struct LinearStandIn;

impl LinearStandIn {
    /// Serves until the handle is dropped or stopped. Fails when the port is taken.
    pub async fn start(config: LinearConfig) -> io::Result<LinearHandle> {
        let world = Arc::new(World {
            faults: Mutex::default(),
            files: Mutex::default(),
            throttle: Mutex::new(match config.window {
                Some((limit, length)) => Throttle::rolling(limit, length),
                None => Throttle::new(config.requests_per_hour),
            }),
            counts: Mutex::default(),
            access_token: Mutex::new(config.access_token.clone()),
            store: Mutex::new(Store::new(&config)),
        });
        let router = endpoint::routes()
            .merge(test_surface::routes())
            .merge(file::routes())
            .with_state(Arc::clone(&world));
        let server = Server::start(config.port, router).await?;
        server.url().clone_into(&mut lock(&world.files).base);
        Ok(LinearHandle { server, world, config })
    }
}

/// A running stand-in; it ends when this is dropped.
pub struct LinearHandle {
    server: Server,
    world: Arc<World>,
    config: LinearConfig,
}

impl LinearHandle {
    /// Base URL without a slash at the end.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// Where GraphQL is taken.
    pub fn graphql_url(&self) -> String {
        format!("{}/graphql", self.url())
    }

    /// What it was started with.
    pub const fn config(&self) -> &LinearConfig {
        &self.config
    }

    /// Stores an issue, or replaces the one of the same id.
    pub fn seed_issue(&self, issue: SeedIssue) -> SeededIssue {
        seed::put(&mut self.world.store(), issue)
    }

    /// What the agent told about a session; empty for one that it never spoke of.
    pub fn agent_session(&self, id: &str) -> SessionView {
        test_surface::session(&self.world.store(), id)
    }

    /// An issue's fields as stored (links as ids), by id or identifier; `None` when nobody spoke of it.
    pub fn issue(&self, id_or_identifier: &str) -> Option<Value> {
        self.world.store().known_issue(id_or_identifier).map(Value::Object)
    }

    /// Puts a file there, as a person who attaches it; returns its address.
    pub fn seed_file(&self, name: &str, content_type: &str, content: &[u8]) -> String {
        let mut files = lock(&self.world.files);
        let id = files.put(name, content_type, Some(content.to_vec()));
        format!("{}/uploads/{id}", files.base)
    }

    /// All files, those among them for which there is only a place.
    pub fn files(&self) -> Vec<StoredFile> {
        lock(&self.world.files).all()
    }

    /// What was asked since the start.
    pub fn requests(&self) -> RequestCounts {
        lock(&self.world.counts).clone()
    }

    /// Makes the next fitting requests fail. Faults are tried in the order in which they were set.
    pub fn set_fault(&self, fault: Fault) {
        lock(&self.world.faults).add(fault);
    }

    /// From here on nothing fails on purpose.
    pub fn clear_faults(&self) {
        lock(&self.world.faults).clear();
    }

    /// From here on only this token is taken, as after a refresh.
    pub fn set_access_token(&self, token: &str) {
        token.clone_into(&mut lock(&self.world.access_token));
    }

    /// Stops taking connections and waits up to a second for the open ones.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
