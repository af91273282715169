//! Reads what makes the configuration from this machine: the file, what is sealed, the environment, and the panel's
//! last answer.
//!
//! A file that cannot be used does not stop `cyrus`: the last good one, kept beside it, stays in force, and the
//! troubles say so. Nothing here talks to the panel; [`super::remote`] does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shared::worker_config::WorkerConfig;

use super::layers::{self, Inputs, Merged};
use super::secrets::{Secrets, write_private};
use super::trouble::{Level, Source, Trouble};
use super::{Config, ConfigError, remote};

/// Where a configuration is read from.
#[derive(Clone)]
pub struct Sources {
    /// The file.
    pub path: PathBuf,
    /// The folder of `cyrus`.
    pub home: PathBuf,
    /// The environment.
    pub variable: fn(&str) -> Option<String>,
}

/// A configuration as it was read.
pub struct Reading {
    /// The configuration.
    pub config: Config,
    /// What is wrong; an error: the last good file is in force in the place of this one.
    pub troubles: Vec<Trouble>,
    /// The text that is in force.
    pub text: String,
    /// What the panel last said.
    pub panel: Option<WorkerConfig>,
}

impl Sources {
    /// This file, or the usual one.
    pub fn of(path: Option<PathBuf>) -> Self {
        Self { path: path.unwrap_or_else(super::usual_path), home: super::home(), variable: super::variable }
    }

    /// Where the last good file is kept.
    pub fn good_path(&self) -> PathBuf {
        self.path.with_extension("good.json")
    }

    /// Keeps a text that proved good.
    pub fn keep(&self, text: &str) {
        let path = self.good_path();
        if !text.is_empty() && std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
            // A folder that cannot be written is no reason not to run.
            if let Err(error) = write_private(&path, text.as_bytes()) {
                tracing::debug!("the last good configuration is not kept: {error}");
            }
        }
    }

    /// Reads everything. `must_exist`: a missing file is an error, else it is an empty one.
    pub fn read(&self, must_exist: bool) -> Result<Reading, ConfigError> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            // Without a file the environment may say all that is needed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => String::new(),
            Err(source) => return Err(ConfigError::Read { path: self.path.clone(), source }),
        };
        let broken = match self.judge(text) {
            Ok(reading) => return Ok(reading),
            Err(troubles) => troubles,
        };
        let of_file =
            broken.iter().any(|trouble| trouble.level == Level::Error && trouble.source == Source::File);
        let good = std::fs::read_to_string(self.good_path()).ok().filter(|_| of_file);
        match good.map(|good| self.judge(good)) {
            Some(Ok(mut reading)) => {
                reading.troubles = broken;
                reading.troubles.push(Trouble::warning(Source::File, "", LAST_GOOD));
                Ok(reading)
            }
            _ => Err(ConfigError::Broken { path: self.path.clone(), troubles: broken }),
        }
    }

    fn judge(&self, text: String) -> Result<Reading, Vec<Trouble>> {
        // The state folder, which the text names, holds the rest.
        let alone = self.merge(&text, None, &BTreeMap::new())?;
        let secrets = Secrets::of(&alone.config.state_dir);
        let (sealed, of_secrets) = secrets.all();
        let panel = remote::kept(&secrets).filter(|_| alone.config.panel_url.is_some());
        let merged = self.merge(&text, panel.as_ref(), &sealed);
        // An answer that was fine for an older version of cyrus does not stop this one.
        let (merged, panel) = match merged {
            Err(_) if panel.is_some() => (self.merge(&text, None, &sealed)?, None),
            merged => (merged?, panel),
        };
        let Merged { config, mut troubles } = merged;
        troubles.extend(of_secrets);
        Ok(Reading { config, troubles, text, panel })
    }

    /// Puts a text, the panel's answer and the sealed secrets together.
    pub fn merge(
        &self,
        text: &str,
        panel: Option<&WorkerConfig>,
        sealed: &BTreeMap<String, super::Secret>,
    ) -> Result<Merged, Vec<Trouble>> {
        let (path, home): (&Path, &Path) = (&self.path, &self.home);
        layers::merge(&Inputs { text, path, home, variable: &self.variable, panel, sealed })
    }
}

/// What is said while the last good file is in force.
pub const LAST_GOOD: &str = "cyrus goes on with the last good one until this is mended";
