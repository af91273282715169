//! The keys of the configuration file, by the names that upstream's users know. What is absent has the default that
//! its description names. The published JSON Schema is made from these types.
//!
//! Only shapes live here; [`super::layers`] puts file, environment and panel together. Keys that are not known stay
//! in the file untouched, since older and newer programs share it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::proxy::stream::transport::Transport;

/// The configuration of `cyrus`.
///
/// Every key may also be set by the variable CYRUS_ and its name in capitals (`sandbox.level`: CYRUS_SANDBOX_LEVEL);
/// lists by commas or as JSON, objects as JSON.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct File {
    /// What people call this worker. Default: the name of the machine.
    pub name: Option<String>,
    /// The proxy's address. Needed by `cyrus start`, not by `cyrus run --repo`.
    pub proxy_url: Option<String>,
    /// The panel: where sessions are shown, and what may set some of this.
    pub control_panel: ControlPanel,
    /// Journal, worktrees and transcripts. Default: the folder `~/.cyrus`.
    pub state_dir: Option<PathBuf>,
    /// Worktrees, where they are not to be in the state folder.
    pub worktrees_dir: Option<PathBuf>,
    /// Sessions at once. Default: 2. The panel may set another number.
    #[schemars(range(min = 1, max = 256))]
    pub slots: Option<u32>,
    /// This worker's share of new sessions against other workers. Default: 1.
    #[schemars(range(min = 1, max = 1000))]
    pub weight: Option<u32>,
    /// How events come: `auto`, `ndjson` or `websocket`. Default: `auto`.
    pub transport: Option<Transport>,
    /// The repositories that it serves.
    pub repositories: Vec<RepositoryConfig>,
    /// The executor. Default: `claude`.
    pub default_runner: Option<Runner>,
    /// The `claude` program.
    pub claude: ClaudeConfig,
    /// The model for runs whose repository names none. Default: the program's own choice.
    pub claude_default_model: Option<String>,
    /// The model that takes over when the first one is overloaded.
    pub claude_default_fallback_model: Option<String>,
    /// Tools that agents use without asking, for repositories that name none.
    pub default_allowed_tools: Option<Tools>,
    /// Tools that agents never get, for repositories that name none.
    pub default_disallowed_tools: Option<Vec<String>>,
    /// What becomes of a tool call that no rule names. Default: `deny`.
    pub permissions: Option<PermissionMode>,
    /// The box that agents run in.
    pub sandbox: SandboxConfig,
    /// What happens when a subscription's limit is reached.
    pub usage_limit: UsageLimit,
    /// Files with MCP servers for all repositories; a later one wins.
    pub mcp_config_path: Option<OneOrMany>,
    /// Whether agents get the configured MCP servers. Default: true.
    pub use_mcp_servers: Option<bool>,
    /// A program that prepares every new worktree, before the repository's own `cyrus-setup.sh`.
    pub global_setup_script: Option<PathBuf>,
    /// What all worktrees may take on the disk, in GB. Default: no limit.
    #[schemars(range(min = 0.0))]
    pub disk_quota_gb: Option<f64>,
    /// After how long without a word in Linear a run that goes on says so, in ms. Default: 1,200,000 (20 minutes).
    #[schemars(range(min = 1))]
    pub sign_of_life_ms: Option<u64>,
    /// Whether a change of an issue's title or text begins a finished session anew. Default: false.
    pub issue_update_trigger: Option<bool>,
    /// Traces and metrics by OpenTelemetry. Default: false.
    pub enable_tracing: Option<bool>,
    /// Runs in the cloud.
    pub codegen: Codegen,
    /// Who may give work, where a repository does not say.
    pub user_access_control: Option<UserAccess>,
}

/// One repository.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryConfig {
    /// What people call it.
    pub name: String,
    /// Its folder on this machine.
    pub repository_path: PathBuf,
    /// The id that older tools gave it.
    pub id: Option<String>,
    /// The branch that work starts from; the repository's default when absent.
    pub base_branch: Option<String>,
    /// Its page on GitHub.
    pub github_url: Option<String>,
    /// Its page on GitLab.
    pub gitlab_url: Option<String>,
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
    /// False: it is left out. Default: true.
    pub is_active: Option<bool>,
    /// The folder for its worktrees.
    pub workspace_base_dir: Option<PathBuf>,
    /// The model for its runs.
    pub model: Option<String>,
    /// The model that takes over when the first one is overloaded.
    pub fallback_model: Option<String>,
    /// Tools that agents use without asking.
    pub allowed_tools: Option<Tools>,
    /// Tools that agents never get.
    pub disallowed_tools: Option<Vec<String>>,
    /// What becomes of a tool call that no rule names.
    pub permissions: Option<PermissionMode>,
    /// Files with MCP servers; a later one wins.
    pub mcp_config_path: Option<OneOrMany>,
    /// Whether agents get the configured MCP servers.
    pub use_mcp_servers: Option<bool>,
    /// Words that are added to the agent's instructions.
    pub append_instruction: Option<String>,
    /// A program that prepares a new worktree, in the place of the repository's `cyrus-setup.sh`.
    pub setup_script: Option<PathBuf>,
    /// Sessions at once in this repository. Default: as many as there are slots.
    #[schemars(range(min = 1, max = 256))]
    pub max_sessions: Option<u32>,
    /// Who may give work.
    pub user_access_control: Option<UserAccess>,
}

/// Where the panel is.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ControlPanel {
    /// False: nothing is reported to it and nothing is taken from it. Default: true.
    pub enabled: Option<bool>,
    /// Its address.
    pub api_url: Option<String>,
    /// The worker key for proxy and panel. Better kept by `cyrus login`, which seals it.
    pub api_key: Option<Secret>,
}

/// The `claude` program.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaudeConfig {
    /// Its path. Default: the `claude` on the path.
    pub path: Option<PathBuf>,
}

/// Executors that there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// Claude Code.
    #[default]
    Claude,
}

/// Tools by rules, or by one of upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of tool rules, or `readOnly`, `safe`, `all` or `coordinator`")]
pub enum Tools {
    /// `Read`, `Bash(git *)` …
    Rules(Vec<String>),
    /// A usual set.
    Preset(Preset),
}

/// Usual sets of tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Preset {
    /// Reads files and pages.
    ReadOnly,
    /// Reads and edits; runs no programs.
    Safe,
    /// Everything.
    All,
    /// Reads, and runs programs; edits nothing itself.
    Coordinator,
}

const READING: &[&str] = &["Read", "Glob", "Grep", "WebFetch", "WebSearch", "TodoWrite", "Task"];
const EDITING: &[&str] = &["Write", "Edit", "NotebookEdit"];
const RUNNING: &[&str] = &["Bash"];

impl Tools {
    /// The rules.
    pub fn rules(&self) -> Vec<String> {
        let parts: &[&[&str]] = match self {
            Self::Rules(rules) => return rules.clone(),
            Self::Preset(Preset::ReadOnly) => &[READING],
            Self::Preset(Preset::Safe) => &[READING, EDITING],
            Self::Preset(Preset::Coordinator) => &[READING, RUNNING],
            Self::Preset(Preset::All) => &[READING, EDITING, RUNNING],
        };
        parts.concat().into_iter().map(str::to_owned).collect()
    }
}

/// What becomes of a tool call that no rule names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PermissionMode {
    /// It is refused at once, and the agent finds another way.
    #[default]
    Deny,
    /// The person who follows the session is asked.
    Ask,
}

impl From<shared::worker_config::Permissions> for PermissionMode {
    fn from(set: shared::worker_config::Permissions) -> Self {
        use shared::worker_config::Permissions;
        match set {
            Permissions::Ask => Self::Ask,
            Permissions::Deny | Permissions::Unknown => Self::Deny,
        }
    }
}

/// The box that agents run in.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SandboxConfig {
    /// How it is built. Default: `auto`.
    pub level: Option<SandboxLevel>,
    /// Hosts that agents may reach, beside the model: `github.com`, `*.npmjs.org`. Default: none.
    pub egress: Vec<String>,
    /// Files and folders that agents may read, beside the usual ones.
    pub read: Vec<PathBuf>,
    /// Folders that agents may write, beside their worktree.
    pub write: Vec<PathBuf>,
    /// Upstream's switch: false is the level `none`.
    pub enabled: Option<bool>,
    /// Upstream's rules for hosts; the allowed ones are added to `egress`.
    pub network_policy: Option<NetworkPolicy>,
}

/// Upstream's rules for hosts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicy {
    /// `trusted`: upstream's list of some 200 hosts. Not kept here: name the hosts.
    pub preset: Option<String>,
    /// Allowed hosts, as a list, or as an object whose keys are hosts.
    pub allow: Option<Hosts>,
    /// Allowed networks. Not used: hosts are judged by name.
    pub subnets: Option<serde_json::Value>,
}

/// Hosts, as upstream writes them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of hosts, or an object with hosts as keys")]
pub enum Hosts {
    /// By name.
    Names(Vec<String>),
    /// With rules for each.
    Rules(serde_json::Map<String, serde_json::Value>),
}

impl SandboxConfig {
    /// How the box is built.
    pub fn level(&self) -> SandboxLevel {
        match (self.level, self.enabled) {
            (Some(level), _) => level,
            (None, Some(false)) => SandboxLevel::None,
            (None, _) => SandboxLevel::Auto,
        }
    }

    /// All hosts that agents may reach beside the model.
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts = self.egress.clone();
        match self.network_policy.as_ref().and_then(|policy| policy.allow.as_ref()) {
            Some(Hosts::Names(names)) => hosts.extend(names.iter().cloned()),
            Some(Hosts::Rules(rules)) => hosts.extend(rules.keys().cloned()),
            None => {}
        }
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

/// How the box is built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SandboxLevel {
    /// The best that this machine can.
    #[default]
    Auto,
    /// With bubblewrap, or not at all.
    Bubblewrap,
    /// With Landlock, or not at all.
    Landlock,
    /// No box: agents see what this user sees.
    None,
}

/// What happens when a subscription's limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageLimit {
    /// Whether the session waits for the reset and goes on. Default: false.
    pub resume: bool,
    /// How often one turn may do so. Default: 3.
    pub max_resumes: u32,
    /// The longest wait, in hours. Default: 12.
    #[schemars(range(min = 0.0, max = 168.0))]
    pub max_wait_hours: f64,
}

impl Default for UsageLimit {
    fn default() -> Self {
        Self { resume: false, max_resumes: 3, max_wait_hours: 12.0 }
    }
}

/// One path, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a path or a list of paths")]
pub enum OneOrMany {
    /// One.
    One(PathBuf),
    /// Several.
    Many(Vec<PathBuf>),
}

impl OneOrMany {
    /// All of them.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }
}

/// Runs in the cloud.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Codegen {
    /// Whether there are any. Default: false.
    pub enabled: Option<bool>,
    /// The organization there.
    pub org_id: Option<String>,
    /// The token. Better kept by `cyrus key set CODEGEN_API_TOKEN`, which seals it.
    pub api_token: Option<Secret>,
    /// The address, where it is not the public one.
    pub api_base_url: Option<String>,
    /// `local-only`, `cloud-only`, `hybrid-smart`, `hybrid-parallel`, `cost-optimized`.
    pub strategy: Option<String>,
    /// The most that one task may cost, in US dollars.
    #[schemars(range(min = 0.0))]
    pub max_cost_per_task: Option<f64>,
    /// The most that a day may cost, in US dollars.
    #[schemars(range(min = 0.0))]
    pub max_cost_per_day: Option<f64>,
    /// Its switches.
    pub features: CodegenFeatures,
}

/// Switches of runs in the cloud.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CodegenFeatures {
    /// Several agents for one issue.
    pub parallel_execution: Option<bool>,
}

/// Who may give work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UserAccess {
    /// Only these, when there are any: by id or address.
    pub allowed_users: Option<Vec<UserName>>,
    /// Never these.
    pub blocked_users: Option<Vec<UserName>>,
    /// What others notice. Default: `silent`.
    pub block_behavior: Option<BlockBehavior>,
    /// What is said to them.
    pub block_message: Option<String>,
}

/// A person of Linear.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected an id, an address, or an object with `id` or `email`")]
pub enum UserName {
    /// An id or an address.
    Text(String),
    /// The one or the other.
    Named {
        /// The id.
        id: Option<String>,
        /// The address.
        email: Option<String>,
    },
}

/// What those notice who may not give work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BlockBehavior {
    /// Nothing.
    #[default]
    Silent,
    /// A comment.
    Comment,
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value; to be handed to whom it is for, and to nobody else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
