//! Configuration: a JSON file (`~/.cyrus/config.json`), then the environment over it.
//!
//! Unknown keys are left alone, since the file is shared with older tools. Secrets come from the environment
//! or the file and are never printed.

pub mod live;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use shared::worker_key::WorkerKey;

use crate::proxy::stream::transport::Transport;

/// Everything that `cyrus start` needs to know.
#[derive(Clone)]
pub struct Config {
    /// What people call this worker.
    pub name: String,
    /// The proxy's address, without a slash at the end.
    pub proxy_url: String,
    /// The panel's address; `None`: nothing is reported.
    pub panel_url: Option<String>,
    /// The key for both.
    pub key: WorkerKey,
    /// Journal, worktrees, transcripts.
    pub state_dir: PathBuf,
    /// Sessions at once.
    pub slots: u32,
    /// This worker's share against others.
    pub weight: u32,
    /// How the stream of events comes.
    pub transport: Transport,
    /// The `claude` program; `None`: the one on the path.
    pub claude: Option<PathBuf>,
    /// The model to ask for; `None`: the program's default.
    pub model: Option<String>,
    /// The repositories that it serves.
    pub repositories: Vec<RepositoryConfig>,
}

/// One repository.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryConfig {
    /// What people call it.
    pub name: String,
    /// Its folder on this machine.
    pub repository_path: PathBuf,
    /// The branch that work starts from; the repository's default when absent.
    pub base_branch: Option<String>,
    /// The Linear workspace whose issues it serves; all when absent.
    pub linear_workspace_id: Option<String>,
    /// Teams whose issues it serves, by key (`ENG`).
    #[serde(default)]
    pub team_keys: Vec<String>,
    /// Labels whose issues it serves, by name.
    #[serde(default)]
    pub routing_labels: Vec<String>,
    /// Projects whose issues it serves, by name.
    #[serde(default)]
    pub project_keys: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}; write it, or name another file with --config")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("the configuration {path} is not of the right shape; mend the line that is named")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Where and what.
        #[source]
        source: serde_json::Error,
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
    /// No such transport.
    #[error("CYRUS_TRANSPORT is `{given}`; it is `auto`, `ndjson` or `websocket`")]
    NotATransport {
        /// What was given, cut short.
        given: String,
    },
    /// There is no usable worker key.
    #[error("no worker key: make one in the panel under Workers and put it into CONTROL_PANEL_API_KEY")]
    NoKey,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct File {
    name: Option<String>,
    proxy_url: Option<String>,
    state_dir: Option<PathBuf>,
    slots: Option<u32>,
    weight: Option<u32>,
    transport: Option<Transport>,
    claude: ClaudeFile,
    control_panel: PanelFile,
    repositories: Vec<RepositoryConfig>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ClaudeFile {
    path: Option<PathBuf>,
    model: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PanelFile {
    enabled: Option<bool>,
    api_url: Option<String>,
    api_key: Option<String>,
}

impl Config {
    /// Reads the file at `path`, else `~/.cyrus/config.json`, and the environment.
    pub fn load(path: Option<PathBuf>) -> Result<Self, ConfigError> {
        let home = std::env::home_dir().unwrap_or_default().join(".cyrus");
        let path = path.unwrap_or_else(|| home.join("config.json"));
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        Self::parse(&text, &path, &home, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// The configuration of a file's text and an environment.
    pub fn parse(
        text: &str,
        path: &Path,
        home: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let file: File = serde_json::from_str(text)
            .map_err(|source| ConfigError::Shape { path: path.to_owned(), source })?;
        let missing = |key, variable| ConfigError::Missing { key, variable, path: path.to_owned() };
        let proxy_url = variable("CYRUS_PROXY_URL")
            .or(file.proxy_url)
            .ok_or_else(|| missing("proxyUrl", "CYRUS_PROXY_URL"))?;
        let panel_url = variable("CONTROL_PANEL_URL").or(file.control_panel.api_url);
        let key =
            variable("CONTROL_PANEL_API_KEY").or(file.control_panel.api_key).ok_or(ConfigError::NoKey)?;
        let slots = match variable("CYRUS_SLOTS") {
            Some(text) => Some(text.parse().map_err(|_| missing("slots", "CYRUS_SLOTS"))?),
            None => file.slots,
        };
        let transport = match variable("CYRUS_TRANSPORT") {
            Some(text) => {
                text.parse().map_err(|()| ConfigError::NotATransport { given: shortened(&text) })?
            }
            None => file.transport.unwrap_or_default(),
        };
        Ok(Self {
            name: variable("CYRUS_NAME").or(file.name).unwrap_or_else(host_name),
            proxy_url: without_slash(proxy_url),
            panel_url: panel_url.filter(|_| file.control_panel.enabled != Some(false)).map(without_slash),
            key: WorkerKey::parse(&key).map_err(|_| ConfigError::NoKey)?,
            state_dir: variable("CYRUS_STATE_DIR")
                .map(PathBuf::from)
                .or(file.state_dir)
                .unwrap_or_else(|| home.to_owned()),
            slots: slots.unwrap_or(2).max(1),
            weight: file.weight.unwrap_or(1).max(1),
            transport,
            claude: file.claude.path,
            model: variable("CYRUS_MODEL").or(file.claude.model),
            repositories: file.repositories,
        })
    }

    /// The repository that serves a workspace's issues, if one does.
    pub fn repository_for(&self, workspace: &str) -> Option<&RepositoryConfig> {
        self.repositories
            .iter()
            .find(|repository| repository.linear_workspace_id.as_deref() == Some(workspace))
            .or_else(|| self.repositories.iter().find(|repository| repository.linear_workspace_id.is_none()))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

fn without_slash(url: String) -> String {
    url.trim_end_matches('/').to_owned()
}

fn host_name() -> String {
    std::fs::read_to_string("/etc/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "cyrus".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> String {
        format!("cyw_01h455vb4pex5vsknk084sn02q_{}", "ab".repeat(32))
    }

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Config::parse(text, Path::new("config.json"), Path::new("/home/x/.cyrus"), find)
    }

    #[test]
    fn the_environment_wins_over_the_file_and_unknown_keys_are_left_alone() {
        let file =
            r#"{"proxyUrl":"http://a/","someday":1,"controlPanel":{"apiUrl":"http://p/"},"repositories":[]}"#;
        let key = key();
        let config =
            parse(file, &[("CYRUS_PROXY_URL", "http://b"), ("CONTROL_PANEL_API_KEY", &key)]).unwrap();
        assert_eq!(config.proxy_url, "http://b");
        assert_eq!(config.panel_url.as_deref(), Some("http://p"));
    }

    #[test]
    fn what_is_missing_is_named_with_both_places_to_set_it() {
        let error = parse("{}", &[]).err().unwrap().to_string();
        assert!(error.contains("proxyUrl") && error.contains("CYRUS_PROXY_URL"), "{error}");
        assert!(matches!(parse(r#"{"proxyUrl":"x"}"#, &[]), Err(ConfigError::NoKey)));
        assert!(matches!(parse("not json", &[]), Err(ConfigError::Shape { .. })));
        assert!(matches!(parse(r#"{"slots":-1}"#, &[]), Err(ConfigError::Shape { .. })));
    }

    #[test]
    fn the_transport_is_auto_unless_file_or_environment_say_otherwise() {
        let key = key();
        let of = |file: &str, transport: Option<&str>| {
            let mut variables = vec![("CONTROL_PANEL_API_KEY", key.as_str())];
            variables.extend(transport.map(|transport| ("CYRUS_TRANSPORT", transport)));
            parse(file, &variables).map(|config| config.transport)
        };
        assert_eq!(of(r#"{"proxyUrl":"x"}"#, None).unwrap(), Transport::Auto);
        let file = r#"{"proxyUrl":"x","transport":"websocket"}"#;
        assert_eq!(of(file, None).unwrap(), Transport::WebSocket);
        assert_eq!(of(file, Some("ndjson")).unwrap(), Transport::Ndjson);
        assert!(of(file, Some("pigeon")).is_err_and(|error| error.to_string().contains("`websocket`")));
        assert!(of(r#"{"proxyUrl":"x","transport":"pigeon"}"#, None).is_err());
    }

    #[test]
    fn a_bad_key_is_refused_without_being_repeated() {
        let error = parse(r#"{"proxyUrl":"x"}"#, &[("CONTROL_PANEL_API_KEY", "cyw_secret")]).err().unwrap();
        assert!(!error.to_string().contains("cyw_secret"));
    }

    #[test]
    fn a_repository_of_the_workspace_comes_before_one_for_all() {
        let file = r#"{"proxyUrl":"x","repositories":[
            {"name":"all","repositoryPath":"/a"},{"name":"mine","repositoryPath":"/b","linearWorkspaceId":"w"}]}"#;
        let config = parse(file, &[("CONTROL_PANEL_API_KEY", &key())]).unwrap();
        assert_eq!(config.repository_for("w").map(|found| found.name.as_str()), Some("mine"));
        assert_eq!(config.repository_for("other").map(|found| found.name.as_str()), Some("all"));
    }
}
