//! Takes upstream's configuration file over: what counts here, what does not and why, what nobody knows. Its tokens
//! are taken out of the text and sealed.
//!
//! Nothing of the old file is changed, and nothing that it holds is printed: only the places of keys are named.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Secret;
use super::check::check;
use super::schema;
use super::secrets::{Secrets, SecretsError};
use super::trouble::{Level, Source, Trouble};
use super::upstream::why_unused;

/// What became of a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// The text of the new file. Unknown keys are in it, tokens are not.
    #[serde(skip)]
    pub config: String,
    /// Keys that count here.
    pub taken: Vec<String>,
    /// Keys that are kept and mean nothing here, and why.
    pub kept_unused: Vec<Unused>,
    /// Keys that nobody knows; they are kept.
    pub unknown: Vec<String>,
    /// Names under which tokens are to be sealed.
    pub sealed: Vec<String>,
    /// What `cyrus start` needs beside this.
    pub needs: Vec<String>,
    /// What is odd about it.
    pub troubles: Vec<Trouble>,
    #[serde(skip)]
    secrets: BTreeMap<String, Secret>,
}

/// A key that means nothing here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unused {
    /// Where it stands.
    pub place: String,
    /// Why.
    pub why: String,
}

/// Reads upstream's file. The errors are those that keep the result from being used.
pub fn import(text: &str, path: &Path) -> Result<Imported, Vec<Trouble>> {
    let mut tree: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| vec![Trouble::error(Source::File, "", format!("is not a JSON object: {error}"))])?;
    let mut secrets = BTreeMap::new();
    take_secrets(&mut tree, "", &mut secrets);
    let mut found = Imported {
        config: String::new(),
        taken: Vec::new(),
        kept_unused: Vec::new(),
        unknown: Vec::new(),
        sealed: secrets.keys().cloned().collect(),
        needs: Vec::new(),
        troubles: Vec::new(),
        secrets,
    };
    let value = Value::Object(tree);
    sort(&value, &schema::schema(), "", &mut found);
    found.config = serde_json::to_string_pretty(&value).unwrap_or_default();
    found.config.push('\n');
    let (errors, warnings): (Vec<Trouble>, Vec<Trouble>) =
        check(&found.config, path).into_iter().partition(|trouble| trouble.level == Level::Error);
    if !errors.is_empty() {
        return Err(errors);
    }
    // Unknown keys are listed already.
    found.troubles = warnings.into_iter().filter(|trouble| !found.unknown.contains(&trouble.place)).collect();
    if value.get("proxyUrl").is_none() {
        found
            .needs
            .push("proxyUrl, the proxy's address: `cyrus login` or CYRUS_PROXY_URL sets it".to_owned());
    }
    if !found.secrets.contains_key(super::layers::WORKER_KEY) {
        found.needs.push("a worker key from the panel: `cyrus login` seals it".to_owned());
    }
    Ok(found)
}

impl Imported {
    /// Seals the tokens; how many there were.
    pub fn seal(&self, secrets: &Secrets) -> Result<usize, SecretsError> {
        for (name, secret) in &self.secrets {
            secrets.set(name, secret)?;
        }
        Ok(self.secrets.len())
    }
}

/// Takes every token out of the text, wherever it stands.
fn take_secrets(tree: &mut Map<String, Value>, before: &str, secrets: &mut BTreeMap<String, Secret>) {
    let names: Vec<String> = tree.keys().cloned().collect();
    for name in names {
        let place = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        match tree.get_mut(&name) {
            Some(Value::String(text)) if is_secret(&name) => {
                if !text.is_empty() {
                    secrets.insert(sealed_name(&place), Secret::new(text.as_str()));
                }
                tree.remove(&name);
            }
            Some(Value::Object(inner)) => take_secrets(inner, &place, secrets),
            Some(Value::Array(items)) => {
                for (number, item) in items.iter_mut().enumerate() {
                    if let Value::Object(inner) = item {
                        take_secrets(inner, &format!("{place}.{number}"), secrets);
                    }
                }
            }
            _ => {}
        }
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["token", "apikey", "api_key", "secret", "password"].iter().any(|word| key.ends_with(word))
}

/// `linearWorkspaces.ab-1.linearToken` as `LINEAR_WORKSPACES_AB_1_LINEAR_TOKEN`; our own keys by their own names.
fn sealed_name(place: &str) -> String {
    match place {
        "controlPanel.apiKey" => return super::layers::WORKER_KEY.to_owned(),
        "codegen.apiToken" => return "CODEGEN_API_TOKEN".to_owned(),
        _ => {}
    }
    let name = super::environment::variable(place);
    let name = name.strip_prefix("CYRUS_").unwrap_or(&name);
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).take(200).collect()
}

/// Says of every key what becomes of it.
fn sort(value: &Value, schema: &Value, place: &str, found: &mut Imported) {
    match value {
        Value::Object(object) => {
            let Some(known) = schema.get("properties").and_then(Value::as_object) else {
                return found.taken.push(place.to_owned());
            };
            for (name, value) in object {
                let inner = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                match (known.get(name), why_unused(&inner)) {
                    (_, Some(why)) => found.kept_unused.push(Unused { place: inner, why: why.to_owned() }),
                    (Some(schema), None) => sort(value, schema, &inner, found),
                    (None, None) => found.unknown.push(inner),
                }
            }
        }
        Value::Array(items) if schema.get("items").is_some_and(|items| items.get("properties").is_some()) => {
            for (number, item) in items.iter().enumerate() {
                let none = Value::Null;
                sort(item, schema.get("items").unwrap_or(&none), &format!("{place}[{number}]"), found);
            }
        }
        _ => found.taken.push(place.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// Every key that upstream's file may have.
    const ALL: &str = r#"{
      "repositories": [{
        "id": "r1", "name": "app", "repositoryPath": "/", "baseBranch": "main",
        "githubUrl": "https://github.com/acme/app", "gitlabUrl": "https://gitlab.com/acme/app",
        "linearWorkspaceId": "w1", "teamKeys": ["ENG"], "routingLabels": ["app"], "projectKeys": ["Web"],
        "workspaceBaseDir": "/tmp/trees", "isActive": true, "promptTemplatePath": "/p.md",
        "allowedTools": ["Read", "Edit"], "disallowedTools": ["WebFetch"], "mcpConfigPath": "/m.json",
        "appendInstruction": "Be brief.", "model": "opus", "fallbackModel": "sonnet",
        "labelPrompts": {"debugger": ["Bug"], "builder": {"labels": ["Feature"], "allowedTools": "safe"}},
        "userAccessControl": {"allowedUsers": ["u1", {"email": "a@b.c"}], "blockedUsers": [], "blockBehavior": "comment", "blockMessage": "no"}
      }],
      "linearWorkspaces": {"w-1": {"linearToken": "lin_oauth_canary", "linearRefreshToken": "canary-refresh",
                                   "linearWorkspaceSlug": "acme", "linearWorkspaceName": "Acme"}},
      "ngrokAuthToken": "canary-ngrok", "stripeCustomerId": "cus_1", "claudeDefaultModel": "sonnet",
      "claudeDefaultFallbackModel": "haiku", "geminiDefaultModel": "g", "codexDefaultModel": "c",
      "cursorDefaultModel": "u", "cursorDefaultFallbackModel": "u2", "defaultRunner": "claude",
      "defaultModel": "old", "defaultFallbackModel": "older", "global_setup_script": "/s.sh",
      "defaultAllowedTools": "readOnly", "linearAllowedTools": ["Read"], "slackAllowedTools": ["Read"],
      "githubAllowedTools": ["Read"], "linearMcpConfigs": ["/l.json"], "slackMcpConfigs": [], "githubMcpConfigs": [],
      "prReviewTrigger": "mention", "defaultDisallowedTools": ["Bash(rm *)"], "issueUpdateTrigger": true,
      "userAccessControl": {"blockedUsers": ["u9"]}, "promptDefaults": {"debugger": {"allowedTools": "all"}},
      "sandbox": {"enabled": true, "httpProxyPort": 9080, "socksProxyPort": 9081, "systemWideCert": true,
                  "logRequests": true,
                  "networkPolicy": {"preset": "trusted", "allow": {"github.com": [], "*.npmjs.org": []}, "subnets": []}},
      "fromTomorrow": {"a": 1}, "slackBotToken": "canary-slack"
    }"#;

    #[test]
    fn every_key_of_upstream_is_taken_or_named_and_the_result_is_a_configuration() {
        let found = import(ALL, Path::new("/c/config.json")).unwrap();
        assert_eq!(found.unknown, ["fromTomorrow"]);
        let unused: Vec<&str> = found.kept_unused.iter().map(|one| one.place.as_str()).collect();
        for place in
            ["linearWorkspaces", "stripeCustomerId", "repositories[0].labelPrompts", "sandbox.httpProxyPort"]
        {
            assert!(unused.contains(&place), "{place} is not in {unused:?}");
        }
        for place in
            ["repositories[0].model", "global_setup_script", "sandbox.networkPolicy.allow", "defaultRunner"]
        {
            assert!(found.taken.iter().any(|taken| taken == place), "{place} is not in {:?}", found.taken);
        }
        let config = Config::parse(&found.config, Path::new("/c"), Path::new("/h"), |_| None).unwrap();
        let run = config.for_runs(&config.repositories[0]);
        assert_eq!((run.model.as_deref(), run.fallback_model.as_deref()), (Some("opus"), Some("sonnet")));
        assert_eq!(config.model.as_deref(), Some("sonnet"), "the newer key counts");
        assert_eq!(config.sandbox.hosts(), ["*.npmjs.org", "github.com"]);
        assert!(config.global_setup_script.is_some() && config.issue_update_trigger);
        assert!(found.config.contains("fromTomorrow"), "unknown keys are kept");
        assert_eq!(found.needs.len(), 2);
    }

    #[test]
    fn tokens_are_sealed_and_in_no_text() {
        let found = import(ALL, Path::new("/c/config.json")).unwrap();
        let shown = format!("{} {found:?} {}", found.config, serde_json::to_string(&found).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(folder.path());
        assert_eq!(found.seal(&secrets).unwrap(), 4);
        let token = secrets.get("LINEAR_WORKSPACES_W_1_LINEAR_TOKEN").unwrap().unwrap();
        assert_eq!(token.reveal(), "lin_oauth_canary");
        assert!(!std::fs::read_to_string(secrets.file()).unwrap().contains("canary"));
    }

    #[test]
    fn what_cannot_be_used_is_told_by_its_place() {
        let troubles = import(r#"{"repositories":[{"name":"a"}]}"#, Path::new("c")).unwrap_err();
        assert!(troubles[0].to_string().contains("repositoryPath"), "{troubles:?}");
        assert!(import("[]", Path::new("c")).is_err());
        assert!(import("", Path::new("c")).is_err());
    }
}
