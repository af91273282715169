//! Puts file, panel, sealed secrets and environment together. The panel wins over the file for what it sets, the
//! environment over all; where each value came from is remembered.
//!
//! Nothing here reads anything: texts come in, a configuration or the troubles come out. Aliases are dissolved first,
//! so only a key's own name is looked at after that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use shared::worker_config::{RepositorySettings, WorkerConfig, flaw_of_slots, flaw_of_text, flaw_of_tools};
use shared::worker_key::WorkerKey;

use super::environment::{self, put};
use super::file::{File, OneOrMany, RepositoryConfig, Secret, Tools, UserAccess};
use super::schema::{self, ALIASES};
use super::trouble::{Level, Source, Trouble, nearest};
use super::{Config, upstream};

/// Variables that agents need for the model, beside what the box gives them.
pub const MODEL_ACCESS: &[&str] = &["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "CLAUDE_CODE_OAUTH_TOKEN"];
/// The worker key's name among the sealed secrets and in the environment.
pub const WORKER_KEY: &str = "CONTROL_PANEL_API_KEY";

/// What is put together.
pub struct Inputs<'a> {
    /// The file's text; empty where there is none.
    pub text: &'a str,
    /// The file.
    pub path: &'a Path,
    /// The folder of `cyrus`: `~/.cyrus`.
    pub home: &'a Path,
    /// The environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// What the panel sets.
    pub panel: Option<&'a WorkerConfig>,
    /// What is sealed on this machine, by name.
    pub sealed: &'a BTreeMap<String, Secret>,
}

/// Where values come from, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, Source>);

impl Origins {
    /// Where a key's value comes from.
    pub fn of(&self, key: &str) -> Source {
        let mut key = key;
        loop {
            if let Some(source) = self.0.get(key) {
                return *source;
            }
            match key.rsplit_once('.') {
                Some((outer, _)) => key = outer,
                None => return Source::Default,
            }
        }
    }

    fn set(&mut self, key: impl Into<String>, source: Source) {
        self.0.insert(key.into(), source);
    }
}

/// A configuration, and what is odd about it.
pub struct Merged {
    /// The configuration.
    pub config: Config,
    /// Warnings.
    pub troubles: Vec<Trouble>,
}

/// Puts everything together. The troubles hold at least one error where there is no configuration.
pub fn merge(inputs: &Inputs<'_>) -> Result<Merged, Vec<Trouble>> {
    let schema = schema::schema();
    let mut troubles = Vec::new();
    let mut tree = read(inputs.text).map_err(|trouble| vec![trouble])?;
    unknown(&Value::Object(tree.clone()), &schema, "", &mut troubles);
    dissolve_aliases(&mut tree);
    let mut origins = Origins::default();
    remember(&tree, "", &mut origins);
    for key in environment::lay_over(&mut tree, &schema, inputs.variable, &mut troubles) {
        origins.set(key, Source::Environment);
    }
    let mut file = match typed(&Value::Object(tree), &origins) {
        Ok(file) => file,
        Err(trouble) => {
            troubles.push(trouble);
            return Err(troubles);
        }
    };
    flaws(&file, &origins, &mut troubles);
    if let Some(panel) = inputs.panel {
        let found = panel.flaws();
        if found.is_empty() {
            lay_panel_over(&mut file, panel, &mut origins);
        }
        troubles.extend(found.into_iter().map(|flaw| Trouble::error(Source::Panel, "", flaw)));
    }
    if troubles.iter().any(|trouble| trouble.level == Level::Error) {
        return Err(troubles);
    }
    let config = resolve(file, inputs, origins, &mut troubles);
    Ok(Merged { config, troubles })
}

fn read(text: &str) -> Result<Map<String, Value>, Trouble> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(tree)) => Ok(tree),
        Ok(_) => Err(Trouble::error(Source::File, "", "is not a JSON object; begin it with `{`")),
        Err(error) => Err(Trouble::error(Source::File, "", format!("is not JSON: {error}"))),
    }
}

/// Keys that nobody knows, with the one that may have been meant.
fn unknown(value: &Value, schema: &Value, place: &str, troubles: &mut Vec<Trouble>) {
    let inner = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    match value {
        Value::Object(object) => {
            let Some(known) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, value) in object {
                match known.get(name) {
                    Some(schema) => unknown(value, schema, &inner(name), troubles),
                    None if name == "$schema" || upstream::why_unused(&inner(name)).is_some() => {}
                    None => {
                        let what = match nearest(name, known.keys().map(String::as_str)) {
                            Some(meant) => format!("unknown key; did you mean `{meant}`?"),
                            None => "unknown key; it is left alone".to_owned(),
                        };
                        troubles.push(Trouble::warning(Source::File, inner(&shown(name)), what));
                    }
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (number, item) in items.iter().enumerate() {
                unknown(item, schema, &format!("{place}[{number}]"), troubles);
            }
        }
        _ => {}
    }
}

fn shown(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(60).collect()
}

fn dissolve_aliases(tree: &mut Map<String, Value>) {
    for (alias, key) in ALIASES {
        let Some(value) = take(tree, alias) else { continue };
        if !value.is_null() && get(tree, key).is_none_or(Value::is_null) {
            put(tree, key, value);
        }
    }
}

fn get<'a>(tree: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => tree.get(key),
        Some((first, rest)) => get(tree.get(first)?.as_object()?, rest),
    }
}

/// Takes a key out.
pub(super) fn take(tree: &mut Map<String, Value>, key: &str) -> Option<Value> {
    match key.split_once('.') {
        None => tree.remove(key),
        Some((first, rest)) => take(tree.get_mut(first)?.as_object_mut()?, rest),
    }
}

fn remember(tree: &Map<String, Value>, before: &str, origins: &mut Origins) {
    for (name, value) in tree {
        let key = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        match value {
            Value::Object(inner) => remember(inner, &key, origins),
            Value::Null => {}
            _ => origins.set(key, Source::File),
        }
    }
}

fn typed(tree: &Value, origins: &Origins) -> Result<File, Trouble> {
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let place = match error.path().to_string() {
            whole if whole == "." => String::new(),
            place => place,
        };
        let outer = place.split('[').next().unwrap_or_default();
        let source = match origins.of(outer) {
            Source::Environment => Source::Environment,
            _ => Source::File,
        };
        Trouble::error(source, place, told(error.inner()))
    })
}

/// What the parser says, without the value that it found: that may be a secret in the wrong place.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match (text.find("string \""), text.find("\", expected")) {
        (Some(from), Some(to)) if from < to => {
            let (before, after) =
                (text.get(..from).unwrap_or_default(), text.get(to + 1..).unwrap_or_default());
            format!("{before}a text{after}")
        }
        _ => text,
    }
}

/// What has the right shape and cannot be used all the same.
fn flaws(file: &File, origins: &Origins, troubles: &mut Vec<Trouble>) {
    let mut judge = |key: &str, place: String, flaw: Option<String>| {
        if let Some(flaw) = flaw {
            let source = origins.of(key).max(Source::File);
            troubles.push(Trouble::error(source, place, flaw));
        }
    };
    let own = |key: &str| key.to_owned();
    judge("slots", own("slots"), flaw_of_slots("slots", file.slots));
    for (key, model) in [
        ("claudeDefaultModel", &file.claude_default_model),
        ("claudeDefaultFallbackModel", &file.claude_default_fallback_model),
    ] {
        judge(key, own(key), flaw_of_text(key, model.as_deref()));
    }
    for (key, rules) in [
        ("defaultAllowedTools", file.default_allowed_tools.as_ref().map(Tools::rules)),
        ("defaultDisallowedTools", file.default_disallowed_tools.clone()),
    ] {
        judge(key, own(key), flaw_of_tools(key, &rules.unwrap_or_default()));
    }
    let wait = file.usage_limit.max_wait_hours;
    let hours = (!(0.0..=168.0).contains(&wait)).then(|| "is not from 0 to 168 hours".to_owned());
    judge("usageLimit.maxWaitHours", own("usageLimit.maxWaitHours"), hours);
    let quota = file.disk_quota_gb.filter(|quota| !quota.is_finite() || *quota < 0.0);
    judge("diskQuotaGb", own("diskQuotaGb"), quota.map(|_| "is less than nothing".to_owned()));
    for host in &file.sandbox.hosts() {
        judge("sandbox.egress", own("sandbox.egress"), flaw_of_host(host));
    }
    for (number, repository) in file.repositories.iter().enumerate() {
        let place = |key: &str| format!("repositories[{number}].{key}");
        let as_set = RepositorySettings {
            model: repository.model.clone(),
            fallback_model: repository.fallback_model.clone(),
            allowed_tools: repository.allowed_tools.as_ref().map(Tools::rules),
            disallowed_tools: repository.disallowed_tools.clone(),
            max_sessions: repository.max_sessions,
            ..RepositorySettings::default()
        };
        for flaw in as_set.flaws() {
            judge("repositories", format!("repositories[{number}]"), Some(flaw));
        }
        let nameless = repository.name.trim().is_empty().then(|| "is empty".to_owned());
        judge("repositories", place("name"), nameless);
        let nowhere = repository.repository_path.as_os_str().is_empty().then(|| "is empty".to_owned());
        judge("repositories", place("repositoryPath"), nowhere);
    }
    for (number, repository) in file.repositories.iter().enumerate() {
        if file.repositories.iter().take(number).any(|other| other.name == repository.name) {
            let what = "another repository has this name too; the first one is taken where a name is given";
            troubles.push(Trouble::warning(Source::File, format!("repositories[{number}].name"), what));
        }
    }
    let guarded = |access: &Option<UserAccess>| access.is_some();
    if guarded(&file.user_access_control)
        || file.repositories.iter().any(|repository| guarded(&repository.user_access_control))
    {
        let what = "is not enforced yet: whoever may give the agent work in Linear may do so here";
        troubles.push(Trouble::warning(Source::File, "userAccessControl", what));
    }
    if file.sandbox.network_policy.as_ref().is_some_and(|policy| policy.preset.is_some()) {
        let what = "no list of hosts is kept here; name those that agents may reach in `sandbox.egress`";
        troubles.push(Trouble::warning(Source::File, "sandbox.networkPolicy.preset", what));
    }
}

fn flaw_of_host(host: &str) -> Option<String> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let name =
        name.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(name, |(name, _)| name);
    let fine = !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    (!fine).then(|| format!("`{}` is no host; write `github.com` or `*.npmjs.org`", shown(host)))
}

fn lay_panel_over(file: &mut File, panel: &WorkerConfig, origins: &mut Origins) {
    if let Some(slots) = panel.slots
        && origins.of("slots") != Source::Environment
    {
        file.slots = Some(slots);
        origins.set("slots", Source::Panel);
    }
    if origins.of("repositories") == Source::Environment {
        return;
    }
    for repository in &mut file.repositories {
        let Some(set) = settings_of(repository, &panel.repositories) else { continue };
        let mut from_panel = |key: &str| {
            origins.set(format!("repositories[{}].{key}", repository.name), Source::Panel);
        };
        if set.model.is_some() {
            repository.model = set.model.clone();
            from_panel("model");
        }
        if set.fallback_model.is_some() {
            repository.fallback_model = set.fallback_model.clone();
            from_panel("fallbackModel");
        }
        if let Some(rules) = &set.allowed_tools {
            repository.allowed_tools = Some(Tools::Rules(rules.clone()));
            from_panel("allowedTools");
        }
        if set.disallowed_tools.is_some() {
            repository.disallowed_tools = set.disallowed_tools.clone();
            from_panel("disallowedTools");
        }
        if let Some(permissions) = set.permissions {
            repository.permissions = Some(permissions.into());
            from_panel("permissions");
        }
        if set.max_sessions.is_some() {
            repository.max_sessions = set.max_sessions;
            from_panel("maxSessions");
        }
    }
}

/// What the panel sets for a repository: by its remote, else by its name.
fn settings_of<'a>(
    repository: &RepositoryConfig,
    all: &'a [RepositorySettings],
) -> Option<&'a RepositorySettings> {
    let by_name = || all.iter().find(|set| set.name == repository.name);
    let remotes: Vec<&str> = all.iter().filter_map(|set| set.remote.as_deref()).collect();
    if remotes.is_empty() {
        return by_name();
    }
    let remote = super::remote_of(repository);
    all.iter().find(|set| set.remote.is_some() && set.remote == remote).or_else(by_name)
}

fn resolve(mut file: File, inputs: &Inputs<'_>, mut origins: Origins, troubles: &mut Vec<Trouble>) -> Config {
    let places = Places::of(inputs);
    // What the environment says for all repositories is not to be undone by one of them.
    let by_environment = |key: &str| origins.of(key) == Source::Environment;
    for repository in &mut file.repositories {
        if by_environment("claudeDefaultModel") {
            repository.model = None;
        }
        if by_environment("claudeDefaultFallbackModel") {
            repository.fallback_model = None;
        }
        if by_environment("defaultAllowedTools") {
            repository.allowed_tools = None;
        }
        if by_environment("defaultDisallowedTools") {
            repository.disallowed_tools = None;
        }
        if by_environment("permissions") {
            repository.permissions = None;
        }
        if by_environment("useMcpServers") {
            repository.use_mcp_servers = None;
        }
        places.mend(&mut repository.repository_path);
        places.mend_some(&mut repository.workspace_base_dir);
        places.mend_some(&mut repository.setup_script);
        places.mend_all(&mut repository.mcp_config_path);
    }
    file.repositories.retain(|repository| repository.is_active != Some(false));
    for path in file.sandbox.read.iter_mut().chain(&mut file.sandbox.write) {
        places.mend(path);
    }
    places.mend_some(&mut file.global_setup_script);
    // One word is a program to be found on the path.
    if file.claude.path.as_ref().is_some_and(|path| path.components().count() > 1) {
        places.mend_some(&mut file.claude.path);
    }
    places.mend_some(&mut file.state_dir);
    places.mend_some(&mut file.worktrees_dir);
    places.mend_all(&mut file.mcp_config_path);
    let key = key_of(&file, inputs, &mut origins, troubles);
    let credentials = credentials(inputs, &mut origins);
    let state_dir = file.state_dir.unwrap_or_else(|| inputs.home.to_owned());
    let panel_url = file.control_panel.api_url.filter(|_| file.control_panel.enabled != Some(false));
    Config {
        path: inputs.path.to_owned(),
        name: file.name.unwrap_or_else(super::host_name),
        proxy_url: file.proxy_url.map(without_slash),
        panel_url: panel_url.map(without_slash),
        key,
        worktrees_dir: file.worktrees_dir.unwrap_or_else(|| state_dir.join("worktrees")),
        state_dir,
        slots: file.slots.unwrap_or(2).max(1),
        weight: file.weight.unwrap_or(1).max(1),
        transport: file.transport.unwrap_or_default(),
        claude: file.claude.path,
        model: file.claude_default_model,
        fallback_model: file.claude_default_fallback_model,
        allowed_tools: file.default_allowed_tools.map(|tools| tools.rules()),
        disallowed_tools: file.default_disallowed_tools.unwrap_or_default(),
        permissions: file.permissions.unwrap_or_default(),
        sandbox: file.sandbox,
        usage_limit: file.usage_limit,
        mcp_config_path: file.mcp_config_path.map(|paths| paths.paths().to_vec()).unwrap_or_default(),
        use_mcp_servers: file.use_mcp_servers.unwrap_or(true),
        global_setup_script: file.global_setup_script,
        disk_quota_bytes: file.disk_quota_gb.map(bytes),
        sign_of_life: Duration::from_millis(file.sign_of_life_ms.unwrap_or(1_200_000).max(1)),
        issue_update_trigger: file.issue_update_trigger.unwrap_or(false),
        enable_tracing: file.enable_tracing.unwrap_or(false),
        codegen: file.codegen,
        user_access: file.user_access_control,
        repositories: file.repositories,
        credentials,
        origins,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is finite and not negative, and too much is the most that there is"
)]
fn bytes(gigabytes: f64) -> u64 {
    (gigabytes * 1e9) as u64
}

fn key_of(
    file: &File,
    inputs: &Inputs<'_>,
    origins: &mut Origins,
    troubles: &mut Vec<Trouble>,
) -> Option<WorkerKey> {
    let given = file.control_panel.api_key.as_ref().filter(|key| !key.reveal().trim().is_empty());
    let source = origins.of("controlPanel.apiKey").max(Source::File);
    let sealed = inputs.sealed.get(WORKER_KEY);
    let (text, source) = match (given, sealed) {
        // What `cyrus login` sealed came after what the file says.
        (Some(given), Some(sealed)) if source == Source::File => {
            let differ = given != sealed;
            if differ {
                let what = "the key that `cyrus login` sealed counts; take this one out of the file";
                troubles.push(Trouble::warning(Source::File, "controlPanel.apiKey", what));
            }
            (sealed, Source::Sealed)
        }
        (Some(given), _) => (given, source),
        (None, Some(sealed)) => (sealed, Source::Sealed),
        (None, None) => return None,
    };
    origins.set("controlPanel.apiKey", source);
    let key = WorkerKey::parse(text.reveal().trim()).ok();
    if key.is_none() {
        let what = "is not a worker key (`cyw_…`); make one in the panel under Workers";
        troubles.push(Trouble::warning(source, "controlPanel.apiKey", what));
    }
    key
}

/// The environment first, then the panel, then what is sealed here.
fn credentials(inputs: &Inputs<'_>, origins: &mut Origins) -> BTreeMap<String, Secret> {
    let mut found: BTreeMap<String, Secret> = inputs
        .sealed
        .iter()
        .filter(|(name, _)| *name != WORKER_KEY)
        .map(|(n, s)| (n.clone(), s.clone()))
        .collect();
    for name in found.keys() {
        origins.set(format!("credentials.{name}"), Source::Sealed);
    }
    for credential in inputs.panel.map(|panel| panel.executors.as_slice()).unwrap_or_default() {
        found.insert(credential.variable.clone(), Secret::new(credential.value.clone()));
        origins.set(format!("credentials.{}", credential.variable), Source::Panel);
    }
    let names: Vec<String> =
        found.keys().cloned().chain(MODEL_ACCESS.iter().map(|name| (*name).to_owned())).collect();
    for name in names {
        if let Some(value) = (inputs.variable)(&name) {
            origins.set(format!("credentials.{name}"), Source::Environment);
            found.insert(name, Secret::new(value));
        }
    }
    found
}

fn without_slash(url: String) -> String {
    url.trim_end_matches('/').to_owned()
}

/// What paths in the file are counted from.
struct Places {
    user: Option<PathBuf>,
    file: PathBuf,
}

impl Places {
    fn of(inputs: &Inputs<'_>) -> Self {
        Self {
            user: std::env::home_dir(),
            file: inputs.path.parent().map(Path::to_owned).unwrap_or_default(),
        }
    }

    /// `~/` is the user's home; what is not absolute is counted from the file's folder.
    fn mend(&self, path: &mut PathBuf) {
        if let (Ok(rest), Some(user)) = (path.strip_prefix("~"), &self.user) {
            *path = user.join(rest);
        } else if path.is_relative() && !path.as_os_str().is_empty() {
            *path = self.file.join(&*path);
        }
    }

    fn mend_some(&self, path: &mut Option<PathBuf>) {
        if let Some(path) = path {
            self.mend(path);
        }
    }

    fn mend_all(&self, paths: &mut Option<OneOrMany>) {
        match paths {
            Some(OneOrMany::One(path)) => self.mend(path),
            Some(OneOrMany::Many(paths)) => paths.iter_mut().for_each(|path| self.mend(path)),
            None => {}
        }
    }
}
