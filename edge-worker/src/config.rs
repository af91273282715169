//! Configuration: a JSON file (`~/.cyrus/config.json`), what the panel sets, what is sealed on this machine, and the
//! environment over all of it.
//!
//! Unknown keys are left alone, since the file is shared with other tools. Secrets are never printed. Parts: [`file`]
//! (the keys), [`environment`] and [`layers`] (which value counts), [`check`], [`schema`], [`trouble`] (what is wrong
//! and what mends it), [`upstream`], [`secrets`], [`reading`] (from this machine), [`remote`] (from the panel), [`watch`]
//! (changes while `cyrus` runs), [`live`] (the configuration in force).

pub mod check;
pub mod edit;
pub mod environment;
pub mod file;
pub mod import;
pub mod layers;
pub mod live;
pub mod reading;
pub mod remote;
pub mod schema;
pub mod secrets;
#[cfg(test)]
mod tests;
pub mod trouble;
pub mod upstream;
pub mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shared::route::tag::normalise;
use shared::worker_key::WorkerKey;

pub use file::{
    Codegen, PermissionMode, RepositoryConfig, SandboxConfig, SandboxLevel, Secret, Tools, UsageLimit,
    UserAccess,
};
use layers::{Inputs, Merged, Origins};
use reading::Sources;
use trouble::{Level, Trouble};

use crate::proxy::stream::transport::Transport;

/// Everything that is configured, with defaults where nothing is said.
#[derive(Clone)]
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// What people call this worker.
    pub name: String,
    /// The proxy's address, without a slash at the end; needed by `cyrus start` alone.
    pub proxy_url: Option<String>,
    /// The panel's address; `None`: nothing is reported.
    pub panel_url: Option<String>,
    /// The key for both.
    pub key: Option<WorkerKey>,
    /// Journal, worktrees, transcripts.
    pub state_dir: PathBuf,
    /// Worktrees, a folder for each repository.
    pub worktrees_dir: PathBuf,
    /// Sessions at once.
    pub slots: u32,
    /// This worker's share against others.
    pub weight: u32,
    /// How the stream of events comes.
    pub transport: Transport,
    /// The `claude` program; `None`: the one on the path.
    pub claude: Option<PathBuf>,
    /// The model where a repository names none; `None`: the program's default. See [`Config::for_runs`].
    pub model: Option<String>,
    /// The model that takes over, where a repository names none.
    pub fallback_model: Option<String>,
    /// Tools allowed without asking, where a repository names none; `None`: the executor's usual ones.
    pub allowed_tools: Option<Vec<String>>,
    /// Tools that are never given, where a repository names none.
    pub disallowed_tools: Vec<String>,
    /// What becomes of other tools, where a repository does not say.
    pub permissions: PermissionMode,
    /// The agents' box.
    pub sandbox: SandboxConfig,
    /// What happens at a subscription's limit.
    pub usage_limit: UsageLimit,
    /// Files with MCP servers for all repositories.
    pub mcp_config_path: Vec<PathBuf>,
    /// Whether agents get MCP servers, where a repository does not say.
    pub use_mcp_servers: bool,
    /// What prepares every new worktree.
    pub global_setup_script: Option<PathBuf>,
    /// What all worktrees may take, in bytes.
    pub disk_quota_bytes: Option<u64>,
    /// After how long without a word in Linear a run that goes on says so.
    pub sign_of_life: Duration,
    /// Whether an edited issue begins a finished session anew.
    pub issue_update_trigger: bool,
    /// Traces and metrics.
    pub enable_tracing: bool,
    /// Runs in the cloud.
    pub codegen: Codegen,
    /// Who may give work, where a repository does not say.
    pub user_access: Option<UserAccess>,
    /// The repositories that it serves.
    pub repositories: Vec<RepositoryConfig>,
    /// Credentials for executors by the variable that holds each: of the environment, the panel, or sealed here.
    pub credentials: BTreeMap<String, Secret>,
    /// Where each value comes from.
    pub origins: Origins,
}

/// What a run in one repository is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSettings {
    /// The model; `None`: the program's default.
    pub model: Option<String>,
    /// The model that takes over when the first one is overloaded.
    pub fallback_model: Option<String>,
    /// Tools allowed without asking; `None`: the executor's usual ones.
    pub allowed_tools: Option<Vec<String>>,
    /// Tools that are never given.
    pub disallowed_tools: Vec<String>,
    /// What becomes of other tools.
    pub permissions: PermissionMode,
    /// Files with MCP servers, in the order in which they are laid over each other; none where they are not wanted.
    pub mcp_config_path: Vec<PathBuf>,
    /// Words for the agent's instructions.
    pub append_instruction: Option<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "cannot read the configuration {path}; write it with `cyrus init`, or name another file with --config"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// Something in it cannot be used.
    #[error(
        "the configuration {path} cannot be used; mend this, `cyrus config check` tries it again:{}",
        listed(troubles)
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong; at least one of them is an error.
        troubles: Vec<Trouble>,
    },
    /// A needed value is nowhere.
    #[error("the configuration lacks `{key}`; set it in {path} or as {variable} in the environment")]
    Missing {
        /// The key.
        key: &'static str,
        /// The variable that would do as well.
        variable: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// There is no usable worker key.
    #[error(
        "no worker key: make one in the panel under Workers, then run `cyrus login`, or put it into CONTROL_PANEL_API_KEY"
    )]
    NoKey,
}

fn listed(troubles: &[Trouble]) -> String {
    let errors = troubles.iter().filter(|trouble| trouble.level == Level::Error);
    errors.map(|trouble| format!("\n  {trouble}")).collect()
}

impl Config {
    /// Reads the file at `path`, else the usual one, what is sealed beside it, and the environment. The last good file
    /// counts where this one is broken.
    pub fn load(path: Option<PathBuf>) -> Result<Self, ConfigError> {
        let must_exist = path.is_some();
        let reading = Sources::of(path).read(must_exist)?;
        for trouble in &reading.troubles {
            tracing::warn!("configuration: {trouble}");
        }
        Ok(reading.config)
    }

    /// The configuration of a file's text and an environment; `home` is the folder of `cyrus`.
    pub fn parse(
        text: &str,
        path: &Path,
        home: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let sealed = BTreeMap::new();
        let inputs = Inputs { text, path, home, variable: &variable, panel: None, sealed: &sealed };
        match layers::merge(&inputs) {
            Ok(Merged { config, .. }) => Ok(config),
            Err(troubles) => Err(ConfigError::Broken { path: path.to_owned(), troubles }),
        }
    }

    /// The proxy's address and the key, which `cyrus start` cannot do without.
    pub fn connection(&self) -> Result<(String, WorkerKey), ConfigError> {
        let proxy_url = self.proxy_url.clone().ok_or_else(|| ConfigError::Missing {
            key: "proxyUrl",
            variable: "CYRUS_PROXY_URL",
            path: self.path.clone(),
        })?;
        Ok((proxy_url, self.key.clone().ok_or(ConfigError::NoKey)?))
    }

    /// The repository that serves a workspace's issues, if one does.
    pub fn repository_for(&self, workspace: &str) -> Option<&RepositoryConfig> {
        self.repositories
            .iter()
            .find(|repository| repository.linear_workspace_id.as_deref() == Some(workspace))
            .or_else(|| self.repositories.iter().find(|repository| repository.linear_workspace_id.is_none()))
    }

    /// What runs in a repository are started with: what is set for it, else what is set for all.
    pub fn for_runs(&self, repository: &RepositoryConfig) -> RunSettings {
        let or = |own: &Option<String>, all: &Option<String>| own.clone().or_else(|| all.clone());
        let mut mcp_config_path = Vec::new();
        if repository.use_mcp_servers.unwrap_or(self.use_mcp_servers) {
            mcp_config_path.extend(self.mcp_config_path.iter().cloned());
            mcp_config_path
                .extend(repository.mcp_config_path.iter().flat_map(|paths| paths.paths().to_vec()));
        }
        RunSettings {
            model: or(&repository.model, &self.model),
            fallback_model: or(&repository.fallback_model, &self.fallback_model),
            allowed_tools: match &repository.allowed_tools {
                Some(tools) => Some(tools.rules()),
                None => self.allowed_tools.clone(),
            },
            disallowed_tools: repository
                .disallowed_tools
                .clone()
                .unwrap_or_else(|| self.disallowed_tools.clone()),
            permissions: repository.permissions.unwrap_or(self.permissions),
            mcp_config_path,
            append_instruction: repository.append_instruction.clone(),
        }
    }

    /// Every secret that is known here, to be kept out of logs and answers.
    pub fn secrets(&self) -> Vec<Secret> {
        let key = self.key.iter().map(|key| Secret::new(key.reveal()));
        let codegen = self.codegen.api_token.iter().cloned();
        let others = self.credentials.iter().filter(|(name, _)| !name.ends_with("_BASE_URL"));
        key.chain(codegen).chain(others.map(|(_, secret)| secret.clone())).collect()
    }
}

/// The folder of `cyrus`: `~/.cyrus`, or the one that CYRUS_HOME names.
pub fn home() -> PathBuf {
    variable("CYRUS_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(".cyrus"))
}

/// The file that is read when no other one is named: the one of CYRUS_CONFIG_PATH, else `config.json` in [`home`].
pub fn usual_path() -> PathBuf {
    variable("CYRUS_CONFIG_PATH").map(PathBuf::from).unwrap_or_else(|| home().join("config.json"))
}

/// A variable of the environment that is not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The normalised remote of a repository: as the configuration names it, else as its `origin` is.
pub fn remote_of(repository: &RepositoryConfig) -> Option<String> {
    let named = [&repository.github_url, &repository.gitlab_url];
    if let Some(found) = named.into_iter().flatten().find_map(|url| normalise(url)) {
        return Some(found);
    }
    let text = std::fs::read_to_string(repository.repository_path.join(".git/config")).ok()?;
    let mut in_origin = false;
    let mut url = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_origin = line.eq_ignore_ascii_case("[remote \"origin\"]");
        } else if in_origin
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "url"
        {
            url = normalise(value.trim());
        }
    }
    url
}

fn host_name() -> String {
    std::fs::read_to_string("/etc/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "cyrus".to_owned())
}
