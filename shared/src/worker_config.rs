//! What the panel sets for one worker: `GET /api/workers/me/config`, answered to a worker key alone.
//!
//! What is absent is not set there, and the worker's own file decides. A value in here wins over the file and loses
//! against the environment. Panel and worker judge values by the same rules, [`WorkerConfig::flaws`]; a worker that
//! gets an answer with a flaw keeps the one before. Credentials are never shown in debug output.

use serde::{Deserialize, Serialize};

use crate::id::RepositoryId;

/// The most sessions at once that can be set.
pub const MOST_SLOTS: u32 = 256;
/// The most rules in a list of tools.
const MOST_RULES: usize = 500;
/// Bytes of a name, a model or a rule.
const LONGEST: usize = 500;

/// The answer. Its version is also the `ETag` of the response and the `etag` of the stream's `config` line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkerConfig {
    /// Its version: another one means that something in it is different.
    pub etag: String,
    /// How many sessions this worker runs at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// What is set for repositories; those that this worker does not serve mean nothing to it.
    #[serde(default)]
    pub repositories: Vec<RepositorySettings>,
    /// Credentials for executors.
    #[serde(default)]
    pub executors: Vec<ExecutorCredential>,
}

/// What the panel sets for one repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RepositorySettings {
    /// The panel's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RepositoryId>,
    /// Its name; a worker finds the repository by it where no remote fits.
    pub name: String,
    /// Its normalised remote, `host/owner/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The model for its runs, by the executor's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The model that takes over when the first one is overloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_model: Option<String>,
    /// Tools that agents use without asking, as rules (`Read`, `Bash(git *)`). An empty list: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    /// Tools that agents never get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disallowed_tools: Option<Vec<String>>,
    /// What becomes of a tool that is neither allowed nor disallowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// The most sessions at once in this repository, within the worker's slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_sessions: Option<u32>,
    /// `local-only`, `cloud-only`, `hybrid-smart`, `hybrid-parallel`, `cost-optimized`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_strategy: Option<String>,
}

/// What becomes of a tool call that no rule names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Permissions {
    /// It is refused at once, and the agent finds another way.
    #[default]
    Deny,
    /// The person who follows the session is asked.
    Ask,
    /// Something that a newer panel knows: taken as [`Self::Deny`].
    #[serde(other)]
    Unknown,
}

/// A credential of an executor, as the variable of its environment that holds it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExecutorCredential {
    /// Whose it is: `claude`, `codex`, `codegen` …
    pub executor: String,
    /// The variable: `ANTHROPIC_API_KEY`, `CODEGEN_API_TOKEN` …
    pub variable: String,
    /// Its value.
    pub value: String,
}

impl core::fmt::Debug for ExecutorCredential {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ExecutorCredential({}, {}, …)", self.executor, self.variable)
    }
}

impl WorkerConfig {
    /// What cannot be used in it, each with its place and without repeating a secret; empty: all is well.
    pub fn flaws(&self) -> Vec<String> {
        let mut flaws: Vec<String> = flaw_of_slots("slots", self.slots).into_iter().collect();
        for repository in &self.repositories {
            flaws.extend(repository.flaws().into_iter().map(|flaw| {
                let name: String = repository.name.chars().filter(|c| !c.is_control()).take(60).collect();
                format!("{flaw} (repository {name})")
            }));
        }
        for credential in &self.executors {
            let plain = |text: &str| {
                !text.is_empty()
                    && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            };
            if !plain(&credential.variable) {
                flaws.push("a credential's `variable` is not the name of an environment variable".to_owned());
            } else if credential.value.is_empty() || credential.value.contains(['\0', '\n', '\r']) {
                flaws.push(format!(
                    "the credential {} is empty or has a line break in it",
                    credential.variable
                ));
            }
        }
        flaws
    }
}

impl RepositorySettings {
    /// What cannot be used in it; empty: all is well.
    pub fn flaws(&self) -> Vec<String> {
        let mut flaws = Vec::new();
        flaws.extend(flaw_of_text("model", self.model.as_deref()));
        flaws.extend(flaw_of_text("fallbackModel", self.fallback_model.as_deref()));
        flaws.extend(flaw_of_tools("allowedTools", self.allowed_tools.as_deref().unwrap_or_default()));
        flaws.extend(flaw_of_tools("disallowedTools", self.disallowed_tools.as_deref().unwrap_or_default()));
        flaws.extend(flaw_of_slots("maxSessions", self.max_sessions));
        flaws
    }
}

/// Why a name of a model cannot be used: it goes into the argument list of a program.
pub fn flaw_of_text(key: &str, text: Option<&str>) -> Option<String> {
    let text = text?;
    let why = if text.trim().is_empty() {
        "is empty"
    } else if text.len() > LONGEST {
        "is too long"
    } else if text.starts_with('-') {
        "begins with `-`"
    } else if text.contains(char::is_control) {
        "has a control character in it"
    } else {
        return None;
    };
    Some(format!("`{key}` {why}"))
}

/// Why a list of tool rules cannot be used.
pub fn flaw_of_tools(key: &str, rules: &[String]) -> Option<String> {
    if rules.len() > MOST_RULES {
        return Some(format!("`{key}` has more than {MOST_RULES} rules"));
    }
    rules.iter().enumerate().find_map(|(place, rule)| flaw_of_text(&format!("{key}[{place}]"), Some(rule)))
}

/// Why a number of sessions cannot be used.
pub fn flaw_of_slots(key: &str, slots: Option<u32>) -> Option<String> {
    slots
        .filter(|slots| !(1..=MOST_SLOTS).contains(slots))
        .map(|_| format!("`{key}` is not from 1 to {MOST_SLOTS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut RepositorySettings)) -> WorkerConfig {
        let mut settings = RepositorySettings { name: "app".into(), ..RepositorySettings::default() };
        change(&mut settings);
        WorkerConfig { etag: "1".into(), repositories: vec![settings], ..WorkerConfig::default() }
    }

    #[test]
    fn nothing_that_could_be_an_option_of_a_program_is_taken() {
        for nasty in ["", "  ", "--dangerous", "a\nb", "a\0", &"x".repeat(501)] {
            let rules = vec!["Read".to_owned(), nasty.to_owned()];
            for config in [
                with(|settings| settings.model = Some(nasty.to_owned())),
                with(|settings| settings.fallback_model = Some(nasty.to_owned())),
                with(|settings| settings.allowed_tools = Some(rules.clone())),
                with(|settings| settings.disallowed_tools = Some(rules.clone())),
            ] {
                assert_eq!(config.flaws().len(), 1, "{nasty:?}");
            }
        }
        assert_eq!(with(|settings| settings.max_sessions = Some(0)).flaws().len(), 1);
        let fine = with(|settings| {
            settings.model = Some("claude-opus-4-6[1m]".into());
            settings.allowed_tools = Some(vec!["Bash(git log:*)".into(), "mcp__linear".into()]);
            settings.max_sessions = Some(3);
        });
        assert!(fine.flaws().is_empty());
    }

    #[test]
    fn a_credential_is_in_no_debug_output_and_in_no_flaw() {
        let credential = |variable: &str, value: &str| WorkerConfig {
            executors: vec![ExecutorCredential {
                executor: "claude".into(),
                variable: variable.into(),
                value: value.into(),
            }],
            ..WorkerConfig::default()
        };
        assert!(credential("ANTHROPIC_API_KEY", "sk-secret").flaws().is_empty());
        for broken in [credential("a=b", "sk-secret"), credential("KEY", "sk-secret\nX=1")] {
            assert_eq!(broken.flaws().len(), 1);
            assert!(!format!("{broken:?} {:?}", broken.flaws()).contains("sk-secret"));
        }
    }

    #[test]
    fn what_a_newer_panel_says_is_read_as_far_as_it_is_known() {
        let text = r#"{"etag":"1","later":{},"repositories":[{"name":"a","permissions":"vote","later":1}]}"#;
        let config: WorkerConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.repositories[0].permissions, Some(Permissions::Unknown));
    }
}
