//! The panel's part of the configuration: asked for by its version, kept sealed in the state folder, so that a start
//! without the panel begins with what was last in force.

use std::path::PathBuf;

use shared::id::WorkerId;
use shared::problem::ProblemCode;
use shared::worker_config::WorkerConfig;

use super::secrets::{Secrets, write_private};
use crate::http::HttpError;
use crate::panel::PanelClient;

/// The name under which the answer is sealed; no variable can be called so.
const PLACE: &str = "panel answer";

/// What the panel says.
#[derive(Debug)]
pub enum Answer {
    /// Nothing new.
    Same,
    /// This.
    New(WorkerConfig),
    /// It sets nothing: it is older than that.
    Nothing,
}

/// Asks the panel.
pub async fn ask(panel: &PanelClient, worker: WorkerId, known: Option<&str>) -> Result<Answer, HttpError> {
    match panel.configuration(worker, known).await {
        Ok(None) => Ok(Answer::Same),
        Ok(Some(config)) => Ok(Answer::New(config)),
        Err(error) if error.is(ProblemCode::NotFound) => Ok(Answer::Nothing),
        Err(error) => Err(error),
    }
}

/// What the panel last said.
pub fn kept(secrets: &Secrets) -> Option<WorkerConfig> {
    let envelope = std::fs::read_to_string(path(secrets)).ok()?;
    match secrets.unseal(PLACE, envelope.trim()) {
        Ok(bytes) => serde_json::from_slice(&bytes).ok(),
        Err(error) => {
            tracing::debug!("the panel's last answer is not used: {error}");
            None
        }
    }
}

/// Keeps what the panel said.
pub fn keep(secrets: &Secrets, config: &WorkerConfig) {
    let keep = || -> anyhow::Result<()> {
        let envelope = secrets.seal(PLACE, &serde_json::to_vec(config)?)?;
        Ok(write_private(&path(secrets), envelope.as_bytes())?)
    };
    if let Err(error) = keep() {
        tracing::warn!("the panel's configuration is not kept for a start without the panel: {error:#}");
    }
}

fn path(secrets: &Secrets) -> PathBuf {
    secrets.file().with_file_name("panel-config.sealed")
}
