//! What `up` says when all is ready: one JSON line for programs, or a text for people.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::system::{Ready, System};

#[derive(Serialize)]
struct Line<'a> {
    proxy_url: &'a str,
    panel_url: &'a str,
    sign_in_url: &'a str,
    owner_api_key: &'a str,
    worker_key: &'a str,
    webhook_secrets: WebhookSecrets<'a>,
    linear_url: &'a str,
    linear_organization_id: &'a str,
    linear_app_user_id: &'a str,
    model_url: &'a str,
    state_dir: &'a Path,
    workerd_pid: u32,
    edges: Vec<EdgeLine<'a>>,
    repositories: Vec<RepositoryLine<'a>>,
}

#[derive(Serialize)]
struct WebhookSecrets<'a> {
    linear: &'a str,
    github: &'a str,
}

#[derive(Serialize)]
struct EdgeLine<'a> {
    pid: i32,
    worker_id: &'a str,
    command: &'a Path,
    env: &'a BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct RepositoryLine<'a> {
    id: &'a str,
    name: &'a str,
    path: &'a Path,
    remote: Option<&'a str>,
}

/// Prints the line; stdout gets nothing else.
pub fn json(ready: &Ready, system: &System) -> Result<()> {
    let kept = &system.kept;
    let line = Line {
        proxy_url: &ready.panel.proxy_url,
        panel_url: &ready.panel.panel_url,
        sign_in_url: &ready.set_up.sign_in_url,
        owner_api_key: &ready.set_up.owner_api_key,
        worker_key: &ready.worker_key,
        webhook_secrets: WebhookSecrets {
            linear: &kept.linear_webhook_secret,
            github: &kept.github_webhook_secret,
        },
        linear_url: system.cast()?.linear.url(),
        linear_organization_id: &kept.linear.organization_id,
        linear_app_user_id: &kept.linear.app_user_id,
        model_url: &ready.model_url,
        state_dir: system.state.path(),
        workerd_pid: ready.workerd_pid,
        edges: ready
            .edges
            .iter()
            .map(|edge| EdgeLine {
                pid: edge.pid,
                worker_id: &edge.worker_id,
                command: &edge.command,
                env: &edge.env,
            })
            .collect(),
        repositories: ready
            .repositories
            .iter()
            .map(|(id, repository)| RepositoryLine {
                id,
                name: &repository.name,
                path: &repository.path,
                remote: repository.remote.as_deref(),
            })
            .collect(),
    };
    say(&serde_json::to_string(&line)?)
}

/// Prints the text.
pub fn text(ready: &Ready, system: &System) -> Result<()> {
    let model = if system.is_scripted() {
        format!("a scripted stand-in at {}, not a real one (no Claude login is used)", ready.model_url)
    } else {
        "the one behind your Claude login".to_owned()
    };
    let repositories: Vec<String> = ready
        .repositories
        .iter()
        .map(|(_, repository)| format!("{} in {}", repository.name, repository.path.display()))
        .collect();
    let state = system.state.path().display();
    say(&format!(
        "\nCyrus is running.\n
  Panel        {panel}
  Sign in      {sign_in}   (works once)
  Proxy        {proxy}
  Linear       a stand-in at {linear}
  Model        {model}
  Edges        {edges}
  Repository   {repositories}
  State, logs  {state}  (workerd.log, edges/*/log)

Ctrl-C stops everything.\n",
        panel = ready.panel.panel_url,
        sign_in = ready.set_up.sign_in_url,
        proxy = ready.panel.proxy_url,
        linear = system.cast()?.linear.url(),
        edges = ready.edges.len(),
        repositories = repositories.join(", "),
    ))
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("stdout is closed")
}
