//! What is made once and kept from start to start: secrets, ids, ports.
//!
//! All in one file of the state folder that only its owner can read. Nothing of it goes to a log.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ports::Ports;
use super::state::{StateDir, write_private};

/// Everything that is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Signs Linear's webhooks.
    pub linear_webhook_secret: String,
    /// Signs GitHub's webhooks.
    pub github_webhook_secret: String,
    /// The operator's token for the set-up routes.
    pub setup_token: String,
    /// The Workers' `ENCRYPTION_KEYS`.
    pub encryption_keys: String,
    /// The stand-in workspace.
    pub linear: Workspace,
    /// Where everything listens.
    pub ports: Ports,
    /// The edges' key, once the panel has made it.
    pub worker_key: Option<WorkerKey>,
    /// How many demo issues were made.
    #[serde(default)]
    pub demos: u32,
    #[serde(skip)]
    path: PathBuf,
}

/// Whom the stand-in Linear plays.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    /// The workspace's id.
    pub organization_id: String,
    /// The agent's user.
    pub app_user_id: String,
    /// The token that it takes.
    pub access_token: String,
}

/// A key, good for one organization.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerKey {
    /// The panel's organization.
    pub organization_id: String,
    /// The key itself.
    pub key: String,
}

impl Kept {
    /// Reads the file, or makes everything anew.
    pub fn load_or_make(state: &StateDir) -> Result<Self> {
        let path = state.join("secrets.json");
        let mut kept = if path.exists() {
            let read = || serde_json::from_slice::<Self>(&fs::read(&path)?).map_err(anyhow::Error::from);
            read().with_context(|| {
                format!("{} cannot be read; remove {} to begin anew", path.display(), state.path().display())
            })?
        } else {
            Self::make()?
        };
        kept.path = path;
        kept.ports.free_up()?;
        kept.save()?;
        Ok(kept)
    }

    fn make() -> Result<Self> {
        Ok(Self {
            linear_webhook_secret: format!("lin_wh_{}", random_hex()),
            github_webhook_secret: random_hex(),
            setup_token: random_hex(),
            encryption_keys: format!("k1:{}", random_hex()),
            linear: Workspace {
                organization_id: Uuid::new_v4().to_string(),
                app_user_id: Uuid::new_v4().to_string(),
                access_token: format!("lin_oauth_{}", random_hex()),
            },
            ports: Ports::choose()?,
            worker_key: None,
            demos: 0,
            path: PathBuf::new(),
        })
    }

    /// Writes the file.
    pub fn save(&self) -> Result<()> {
        write_private(&self.path, &serde_json::to_vec_pretty(self)?)
    }
}

/// 256 bits as 64 hex digits.
fn random_hex() -> String {
    let mut hash = Sha256::new();
    for _ in 0..3 {
        hash.update(Uuid::new_v4().as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_ports_are_the_same_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let text = |kept: &Kept| serde_json::to_string(kept).unwrap();
        let first = Kept::load_or_make(&state).unwrap();
        let second = Kept::load_or_make(&state).unwrap();
        assert_eq!(text(&first), text(&second));
        let other = StateDir::open(&folder.path().join("other")).unwrap();
        assert_ne!(first.setup_token, Kept::load_or_make(&other).unwrap().setup_token);
    }

    #[test]
    fn a_broken_file_is_an_error_that_names_the_mend() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        fs::write(state.join("secrets.json"), b"{").unwrap();
        let error = Kept::load_or_make(&state).err().map(|error| format!("{error:#}")).unwrap();
        assert!(error.contains("remove"), "{error}");
    }
}
