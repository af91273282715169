//! A scripted stand-in for the Messages API, streaming and not.
//!
//! `conversation` reads a request, `script` holds steps that a prompt carries, `task` those that survive a cut, `unscripted` makes a sensible edit
//! and commit where none is carried, `wire` writes the answer. No session state is kept: the step follows from
//! the messages alone, so resuming, forking and retrying work by themselves.

mod conversation;
mod endpoint;
mod script;
mod task;
mod unscripted;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::server::Server;

/// What was asked since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelCounts {
    /// Requests for a message, however they were answered.
    pub requests: u64,
    /// Distinct sessions of the client that asked for one.
    pub runs: u64,
    /// Requests for a message by the client's session id.
    pub by_session: BTreeMap<String, u64>,
}

/// What the endpoints share.
#[derive(Default)]
struct Stage {
    counts: Mutex<ModelCounts>,
    /// How often a scripted HTTP error was served, by session, script and step.
    errors_served: Mutex<HashMap<String, u64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts stand-ins.
pub struct ScriptedModel;

impl ScriptedModel {
    /// Serves on `port` of 127.0.0.1 (0: a free one) until the handle is dropped or stopped. Fails when the port
    /// is taken.
    pub async fn start(port: u16) -> io::Result<ModelHandle> {
        let stage = Arc::new(Stage::default());
        let server = Server::start(port, endpoint::routes(Arc::clone(&stage))).await?;
        Ok(ModelHandle { server, stage })
    }
}

/// A running stand-in; it ends when this is dropped.
pub struct ModelHandle {
    server: Server,
    stage: Arc<Stage>,
}

impl ModelHandle {
    /// Base URL without a slash at the end, as for `ANTHROPIC_BASE_URL`.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// What was asked since the start.
    pub fn requests(&self) -> ModelCounts {
        lock(&self.stage.counts).clone()
    }

    /// Stops taking connections and waits up to a second for the open ones.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
