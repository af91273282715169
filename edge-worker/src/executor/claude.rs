//! Claude Code as an executor: the `claude` program, driven over its stream-json protocol.
//! Neighbours: `command` builds argv and environment, `input` the lines in, `control` the replies, `stream` reads the lines out,
//! `session` holds the rules, `process` runs it, `left` reads what a killed `cyrus` left, `replay` judges recorded output.
//! It must never put a prompt or a key into argv, nor let the agent's program inherit an environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::process::Command;
use uuid::Uuid;

use super::{Capabilities, Environment, Executor, ExecutorError, LeftBehind, LeftFiles, Run, RunSpec};

pub mod command;
mod control;
pub mod input;
mod left;
mod process;
pub mod replay;
pub mod session;
pub mod stream;

const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How the `claude` program is found, and its patience.
#[derive(Debug, Clone)]
pub struct ClaudeConfig {
    /// The program's path; `None` looks for `claude` on `PATH`.
    pub binary: Option<PathBuf>,
    /// How often a failed model request is tried again.
    pub max_retries: u32,
    /// The program that keeps a run's processes together (`cyrus` itself); `None` starts the agent directly, and
    /// then nobody ends it when this process is killed.
    pub keeper: Option<PathBuf>,
}

impl Default for ClaudeConfig {
    fn default() -> Self {
        // Ten outlive a minute of an overloaded service; what no retry can mend is cut at the first.
        Self { binary: None, max_retries: 10, keeper: None }
    }
}

/// The Claude Code executor.
#[derive(Debug, Clone, Default)]
pub struct Claude {
    config: ClaudeConfig,
}

impl Claude {
    /// An executor with this configuration. Nothing is looked up before the first use.
    pub fn new(config: ClaudeConfig) -> Self {
        Self { config }
    }

    /// The program's path, or where it was looked for.
    pub fn locate(&self) -> Result<PathBuf, ExecutorError> {
        command::locate(self.config.binary.as_deref(), std::env::var_os("PATH").as_deref())
    }

    async fn read_version(&self) -> Result<String, ExecutorError> {
        let program = self.locate()?;
        let failed = |reason: String| ExecutorError::Version { program: program.clone(), reason };
        let run = Command::new(&program)
            .arg("--version")
            .env_clear()
            .envs(Environment::plain().iter())
            .env("DISABLE_AUTOUPDATER", "1")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(VERSION_TIMEOUT, run)
            .await
            .map_err(|_| failed(format!("no answer in {} s", VERSION_TIMEOUT.as_secs())))?
            .map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        command::parse_version(&text)
            .ok_or_else(|| failed(format!("unexpected answer {:?} ({})", text.trim(), output.status)))
    }
}

impl Executor for Claude {
    fn name(&self) -> &'static str {
        "claude"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { stream: true, follow_up: true, interrupt: true, resume: true, cost: true, local: true }
    }

    fn version(&self) -> BoxFuture<'_, Result<String, ExecutorError>> {
        self.read_version().boxed()
    }

    fn knows(&self, config_dir: &Path, conversation: &str) -> bool {
        // What the program calls itself is a UUID; anything else would be a path of somebody's choice.
        let Ok(id) = Uuid::parse_str(conversation) else { return false };
        let projects = std::fs::read_dir(config_dir.join("projects")).into_iter().flatten().flatten();
        let transcript = format!("{}.jsonl", id.hyphenated());
        projects
            .map(|project| project.path().join(&transcript))
            .any(|file| file.metadata().is_ok_and(|kept| kept.is_file() && kept.len() > 0))
    }

    fn read_left(&self, files: LeftFiles) -> BoxFuture<'_, std::io::Result<LeftBehind>> {
        left::read(files).boxed()
    }

    fn start(&self, spec: RunSpec) -> BoxFuture<'_, Result<Run, ExecutorError>> {
        async move {
            let command = command::build(self.locate()?, &self.config, &spec);
            process::start(command, self.config.keeper.as_deref(), spec).await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_known_by_its_transcript_alone() {
        let kept = tempfile::tempdir().unwrap();
        let claude = Claude::default();
        let id = "0b9e3a52-6f0e-4a7e-9a83-0c3a2d1f4b5c";
        assert!(!claude.knows(&kept.path().join("nowhere"), id));
        let project = kept.path().join("projects/-work-repo");
        std::fs::create_dir_all(&project).unwrap();
        assert!(!claude.knows(kept.path(), id));
        std::fs::write(project.join(format!("{id}.jsonl")), "").unwrap();
        assert!(!claude.knows(kept.path(), id), "an empty one holds nothing");
        std::fs::write(project.join(format!("{id}.jsonl")), "{}\n").unwrap();
        assert!(claude.knows(kept.path(), id));
        std::fs::write(kept.path().join("secret.jsonl"), "{}\n").unwrap();
        for nasty in ["", "../../secret", "/etc/passwd", "*", "0b9e3a52", "\0"] {
            assert!(!claude.knows(kept.path(), nasty), "{nasty:?}");
        }
    }
}
