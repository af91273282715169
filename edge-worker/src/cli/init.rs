//! `cyrus init`: a configuration for the repository it is called in, and what is still missing. It asks nothing.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use super::failure::{Exit, Failure};
use super::run::{MODEL_KEYS, has_model_key, place};
use super::say::Tone;
use super::{Context, block_on, config_file, state};
use crate::config::Config;
use crate::git::command::Git;
use crate::worker::standalone;

/// Writes a configuration for this repository, and says what is still missing.
///
/// What is in the file already stays; run it once in each repository that shall be served. It asks no questions and
/// reaches no network.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cyrus init\n  cyrus init --repo ~/src/app --base main --team ENG\n  cyrus init --proxy-url https://proxy.example.com --panel-url https://panel.example.com"
)]
pub struct Init {
    /// The repository's folder.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    repo: PathBuf,
    /// What people call it, if not by its folder's name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The branch that work on issues starts from, if not the remote's default.
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// A team whose issues it serves, by key. May be given again.
    #[arg(long = "team", value_name = "KEY")]
    teams: Vec<String>,
    /// The proxy's address, for issues from Linear.
    #[arg(long, value_name = "URL")]
    proxy_url: Option<String>,
    /// The panel's address.
    #[arg(long, value_name = "URL")]
    panel_url: Option<String>,
}

impl Init {
    /// Writes it.
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let say = context.say;
        let path = config_file::path(context);
        let mut file = config_file::read(&path)?.unwrap_or_default();
        let before = file.clone();
        let config = Config::load(path.exists().then(|| path.clone()))?;
        let folder = self.repo.clone();
        let (place, identity, version) = block_on(async {
            let place = place::find(&folder, &config).await?;
            let identity = Git::new(&place.folder, ["config", "--get", "user.email"]).line().await.ok();
            Ok((place, identity, standalone::executor_version(&config).await))
        })?;
        let repository = self.enter(&mut file, &place.folder)?;
        let mut set = |key: &str, value: Option<&String>| {
            if let Some(value) = value {
                file.insert(key.to_owned(), json!(value.trim_end_matches('/')));
            }
        };
        set("proxyUrl", self.proxy_url.as_ref());
        if let Some(url) = &self.panel_url {
            let panel = file.entry("controlPanel").or_insert_with(|| json!({}));
            if let Some(panel) = panel.as_object_mut() {
                panel.insert("apiUrl".to_owned(), json!(url.trim_end_matches('/')));
            }
        }
        let changed = file != before;
        if changed {
            config_file::write(&path, &file)?;
        }
        let has_proxy = file.contains_key("proxyUrl") || std::env::var_os("CYRUS_PROXY_URL").is_some();
        let has_key = file.get("controlPanel").and_then(|panel| panel.get("apiKey")).is_some()
            || std::env::var_os("CONTROL_PANEL_API_KEY").is_some();
        let model_key = has_model_key();
        say.object(&json!({
            "config": path, "changed": changed, "repository": repository, "folder": place.folder,
            "stateDir": state::folder(context).ok(), "claude": version.as_ref().ok(), "modelKey": model_key,
            "gitIdentity": identity, "proxy": has_proxy, "workerKey": has_key,
        }));
        let mark =
            |good: bool| if good { say.tint(Tone::Good, "✓") } else { say.tint(Tone::Warning, "✗") };
        let word = if changed { "is in" } else { "was already in" };
        say.out(format!("{} {repository} {word} {}", mark(true), path.display()));
        match &version {
            Ok(version) => say.out(format!("{} claude {version}", mark(true))),
            Err(error) => {
                say.out(format!("{} {error}", mark(false)));
                say.out("  npm install -g @anthropic-ai/claude-code");
            }
        }
        if model_key {
            say.out(format!("{} a key for the model", mark(true)));
        } else {
            say.out(format!("{} no key for the model", mark(false)));
            say.out(format!("  set {}", MODEL_KEYS.join(" or ")));
        }
        say.out("");
        say.out("Next:");
        say.out("  cyrus run \"add a README\"    a first task, here and now");
        match (has_proxy, has_key) {
            (true, true) => say.out("  cyrus start                 take issues from Linear"),
            (true, false) => say.out("  cyrus login                 store a worker key, then `cyrus start` takes issues from Linear"),
            (false, _) => say.out("  cyrus init --proxy-url URL  to take issues from Linear; whoever runs the proxy knows it"),
        }
        Ok(Exit::Done)
    }

    /// Puts the repository into the file, or adds to what is there; its name.
    fn enter(&self, file: &mut Map<String, Value>, folder: &Path) -> Result<String, Failure> {
        let list = file.entry("repositories").or_insert_with(|| json!([]));
        let Some(list) = list.as_array_mut() else {
            return Err(
                Failure::usage("`repositories` in the configuration is not a list").next("cyrus config edit")
            );
        };
        let is_this = |one: &Value| {
            let path = one.get("repositoryPath").and_then(Value::as_str);
            path.is_some_and(|path| std::fs::canonicalize(path).is_ok_and(|real| real == folder))
        };
        let names: Vec<String> = list
            .iter()
            .filter(|one| !is_this(one))
            .filter_map(|one| one.get("name")?.as_str().map(str::to_owned))
            .collect();
        let place = match list.iter().position(is_this) {
            Some(place) => place,
            None => {
                list.push(json!({ "name": free_name(folder, &names), "repositoryPath": folder }));
                list.len() - 1
            }
        };
        let Some(entry) = list.get_mut(place).and_then(Value::as_object_mut) else {
            return Err(
                Failure::usage("an entry of `repositories` is not an object").next("cyrus config edit")
            );
        };
        if let Some(name) = &self.name {
            if names.contains(name) {
                return Err(Failure::usage(format!("another repository is called `{name}`"))
                    .next("name it otherwise with --name"));
            }
            entry.insert("name".to_owned(), json!(name));
        }
        if let Some(base) = &self.base {
            crate::git::BranchName::parse(base).map_err(|error| Failure::usage(error.to_string()))?;
            entry.insert("baseBranch".to_owned(), json!(base));
        }
        if !self.teams.is_empty() {
            entry.insert("teamKeys".to_owned(), json!(self.teams));
        }
        Ok(entry.get("name").and_then(Value::as_str).unwrap_or("it").to_owned())
    }
}

fn free_name(folder: &Path, taken: &[String]) -> String {
    let name =
        folder.file_name().map_or_else(|| "repository".into(), |name| name.to_string_lossy().into_owned());
    let mut free = name.clone();
    let mut number = 2;
    while taken.contains(&free) {
        free = format!("{name}-{number}");
        number += 1;
    }
    free
}
