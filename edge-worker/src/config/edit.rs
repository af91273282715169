//! What `cyrus config get` shows and what `cyrus config set` writes.
//!
//! Secrets are shown as being there, never as they are; a change that would break the file is refused.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::environment::{put, read_as};
use super::trouble::{Level, Source, Trouble, nearest};
use super::{Config, check, schema};

/// A value in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Its key; of a repository `repositories[name].key`.
    pub key: String,
    /// The value, after defaults; a secret is `"set"`.
    pub value: Value,
    /// Where it comes from.
    pub source: Source,
}

/// Every value in force and where it comes from.
pub fn show(config: &Config) -> Vec<Shown> {
    let mut shown = Vec::new();
    let mut add = |key: &str, value: Value| {
        shown.push(Shown { key: key.to_owned(), value, source: config.origins.of(key) });
    };
    add("name", json!(config.name));
    add("proxyUrl", json!(config.proxy_url));
    add("controlPanel.apiUrl", json!(config.panel_url));
    add("controlPanel.apiKey", json!(config.key.as_ref().map(|_| "set")));
    add("stateDir", json!(config.state_dir));
    add("worktreesDir", json!(config.worktrees_dir));
    add("slots", json!(config.slots));
    add("weight", json!(config.weight));
    add("transport", json!(format!("{:?}", config.transport).to_lowercase()));
    add("claude.path", json!(config.claude));
    add("claudeDefaultModel", json!(config.model));
    add("claudeDefaultFallbackModel", json!(config.fallback_model));
    add("defaultAllowedTools", json!(config.allowed_tools));
    add("defaultDisallowedTools", json!(config.disallowed_tools));
    add("permissions", json!(config.permissions));
    add("sandbox.level", json!(config.sandbox.level()));
    add("sandbox.egress", json!(config.sandbox.hosts()));
    add("sandbox.read", json!(config.sandbox.read));
    add("sandbox.write", json!(config.sandbox.write));
    add("usageLimit.resume", json!(config.usage_limit.resume));
    add("usageLimit.maxResumes", json!(config.usage_limit.max_resumes));
    add("usageLimit.maxWaitHours", json!(config.usage_limit.max_wait_hours));
    add("mcpConfigPath", json!(config.mcp_config_path));
    add("useMcpServers", json!(config.use_mcp_servers));
    add("globalSetupScript", json!(config.global_setup_script));
    add("diskQuotaGb", json!(config.disk_quota_bytes.map(|bytes| bytes / 1_000_000_000)));
    add("signOfLifeMs", json!(config.sign_of_life.as_millis()));
    add("issueUpdateTrigger", json!(config.issue_update_trigger));
    add("enableTracing", json!(config.enable_tracing));
    for name in config.credentials.keys() {
        add(&format!("credentials.{name}"), json!("set"));
    }
    for repository in &config.repositories {
        let for_runs = config.for_runs(repository);
        let mut add = |key: &str, all: &str, value: Value| {
            let own = format!("repositories[{}].{key}", repository.name);
            let source = match config.origins.of(&own) {
                Source::Default if is_own(repository, key) => config.origins.of("repositories"),
                Source::Default => config.origins.of(all),
                source => source,
            };
            shown.push(Shown { key: own, value, source });
        };
        add("repositoryPath", "repositories", json!(repository.repository_path));
        add("model", "claudeDefaultModel", json!(for_runs.model));
        add("fallbackModel", "claudeDefaultFallbackModel", json!(for_runs.fallback_model));
        add("allowedTools", "defaultAllowedTools", json!(for_runs.allowed_tools));
        add("disallowedTools", "defaultDisallowedTools", json!(for_runs.disallowed_tools));
        add("permissions", "permissions", json!(for_runs.permissions));
        add("maxSessions", "maxSessions", json!(repository.max_sessions));
    }
    shown
}

fn is_own(repository: &super::RepositoryConfig, key: &str) -> bool {
    match key {
        "repositoryPath" => true,
        "model" => repository.model.is_some(),
        "fallbackModel" => repository.fallback_model.is_some(),
        "allowedTools" => repository.allowed_tools.is_some(),
        "disallowedTools" => repository.disallowed_tools.is_some(),
        "permissions" => repository.permissions.is_some(),
        "maxSessions" => repository.max_sessions.is_some(),
        _ => false,
    }
}

/// A file's text with one key set, or taken out where there is no value. The value is written as in the environment:
/// a word, a number, a list with commas, JSON. Whatever else is in the file stays in it.
pub fn set(text: &str, path: &Path, key: &str, value: Option<&str>) -> Result<String, Vec<Trouble>> {
    let refused = |what: String| vec![Trouble::error(Source::File, key, what)];
    let mut tree: Map<String, Value> = if text.trim().is_empty() {
        Map::new()
    } else {
        serde_json::from_str(text).map_err(|error| refused(format!("the file is not JSON: {error}")))?
    };
    let schema = schema::schema();
    match key.strip_prefix("repositories[").and_then(|rest| rest.split_once("].")) {
        Some((name, inner)) => {
            let items = schema::at(&schema, "repositories").and_then(|list| list.get("items"));
            let known = items.and_then(|items| schema::at(items, inner));
            let known = known.ok_or_else(|| refused("there is no such key of a repository".to_owned()))?;
            let repositories = tree.get_mut("repositories").and_then(Value::as_array_mut);
            let is_meant = |one: &&mut Value| one.get("name").and_then(Value::as_str) == Some(name);
            let repository = repositories
                .and_then(|all| all.iter_mut().find(is_meant))
                .and_then(Value::as_object_mut)
                .ok_or_else(|| refused(format!("no repository is called {name}")))?;
            write(repository, inner, value, known).map_err(refused)?;
        }
        None => {
            let Some(known) = schema::at(&schema, key) else {
                let keys = schema::keys(&schema);
                let meant = nearest(key, keys.iter().map(|(known, _)| known.as_str()));
                return Err(refused(match meant {
                    Some(meant) => format!("there is no such key; did you mean `{meant}`?"),
                    None => "there is no such key; docs/config.schema.json has all of them".to_owned(),
                }));
            };
            write(&mut tree, key, value, known).map_err(refused)?;
        }
    }
    let mut text = serde_json::to_string_pretty(&tree).map_err(|error| refused(error.to_string()))?;
    text.push('\n');
    let errors: Vec<Trouble> =
        check::check(&text, path).into_iter().filter(|trouble| trouble.level == Level::Error).collect();
    if errors.is_empty() { Ok(text) } else { Err(errors) }
}

fn write(tree: &mut Map<String, Value>, key: &str, value: Option<&str>, known: &Value) -> Result<(), String> {
    match value {
        Some(text) => {
            let value = read_as(text, known).map_err(|wanted| format!("is not {wanted}"))?;
            put(tree, key, value);
        }
        None => {
            super::layers::take(tree, key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"someday":1,"model":"opus","repositories":[{"name":"app","repositoryPath":"/"}],
        "controlPanel":{"apiKey":"cyw_canary"}}"#;

    fn after(key: &str, value: Option<&str>) -> Result<Value, String> {
        set(FILE, Path::new("c"), key, value)
            .map(|text| serde_json::from_str(&text).unwrap())
            .map_err(|troubles| troubles.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn one_key_is_set_and_the_others_stay() {
        let file = after("slots", Some("4")).unwrap();
        assert_eq!(
            (&file["slots"], &file["someday"], &file["model"]),
            (&json!(4), &json!(1), &json!("opus"))
        );
        assert_eq!(
            after("sandbox.egress", Some("a.example,b.example")).unwrap()["sandbox"]["egress"][1],
            "b.example"
        );
        let file = after("repositories[app].allowedTools", Some("safe")).unwrap();
        assert_eq!(file["repositories"][0]["allowedTools"], "safe");
        assert!(after("model", None).unwrap().get("model").is_none());
        assert!(set("", Path::new("c"), "slots", Some("2")).is_ok());
    }

    #[test]
    fn a_change_that_breaks_the_file_is_refused_with_what_is_right() {
        assert!(after("slots", Some("many")).unwrap_err().contains("a whole number"));
        assert!(after("slots", Some("0")).unwrap_err().contains("not from 1 to 256"));
        assert!(after("slost", Some("1")).unwrap_err().contains("did you mean `slots`?"));
        assert!(after("repositories[nope].model", Some("m")).unwrap_err().contains("nope"));
        assert!(after("sandbox.level", Some("paper")).unwrap_err().contains("bubblewrap"));
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let config = Config::parse(FILE, Path::new("/c"), Path::new("/h"), |name| {
            (name == "ANTHROPIC_API_KEY").then(|| "sk-canary".to_owned())
        })
        .unwrap();
        let shown = show(&config);
        assert!(!serde_json::to_string(&shown).unwrap().contains("canary"));
        let of = |key: &str| shown.iter().find(|shown| shown.key == key).unwrap();
        assert_eq!(of("repositories[app].model").value, "opus");
        assert_eq!(of("repositories[app].model").source, Source::File);
        assert_eq!(of("slots").source, Source::Default);
        assert_eq!(of("credentials.ANTHROPIC_API_KEY").source, Source::Environment);
    }
}
