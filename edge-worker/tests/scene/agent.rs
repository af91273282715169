//! The real `claude` with a scripted model, in a folder of its own, for tests of how an agent is kept and ended.

#![expect(clippy::unwrap_used, reason = "a test ends with a panic when its scene cannot be set")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edge_worker::executor::claude::{Claude, ClaudeConfig};
use edge_worker::executor::{
    Conversation, Environment, Executor, Limits, McpServers, Permissions, Run, RunSpec,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// A folder with a repository for one test.
pub struct Scene {
    folder: PathBuf,
    claude: Claude,
}

impl Scene {
    /// In `folder`, which may hold an earlier one.
    pub fn open(folder: &Path) -> Self {
        let folder = folder.canonicalize().unwrap();
        let scene = Self { folder, claude: Claude::new(config()) };
        if !scene.path("repo").exists() {
            std::fs::create_dir(scene.path("repo")).unwrap();
            git(&scene.path("repo"), &["init", "-q", "-b", "main"]);
            git(&scene.path("repo"), &["commit", "-q", "--allow-empty", "-m", "first"]);
        }
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn spec(&self, run_id: &str, model: &str, script: &Value) -> RunSpec {
        RunSpec {
            run_id: run_id.to_owned(),
            cwd: self.path("repo"),
            prompt: format!("Do it. <<SCRIPT {script} SCRIPT>>"),
            prompt_id: Uuid::new_v4(),
            conversation: Conversation::New(Uuid::new_v4()),
            model: None,
            fallback_model: None,
            permissions: Permissions::default(),
            mcp: McpServers::default(),
            append_system_prompt: None,
            max_turns: Some(20),
            max_cost_micro_usd: None,
            prior_cost_micro_usd: 0,
            env: Environment::empty()
                .inherit(&["PATH"])
                .with("HOME", self.path("home"))
                .with("ANTHROPIC_API_KEY", "sk-ant-test")
                .with("ANTHROPIC_BASE_URL", model),
            config_dir: self.path("config"),
            run_file: self.path(&format!("runs/{run_id}.ndjson")),
            limits: Limits::default(),
        }
    }

    pub async fn start(&self, spec: RunSpec) -> Run {
        self.claude.start(spec).await.unwrap()
    }
}

fn config() -> ClaudeConfig {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let package = format!("../node_modules/@anthropic-ai/claude-code-{os}-{arch}/claude");
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join(package);
    ClaudeConfig {
        binary: local.is_file().then_some(local),
        keeper: Some(env!("CARGO_BIN_EXE_cyrus").into()),
        ..ClaudeConfig::default()
    }
}

fn git(folder: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let status = std::process::Command::new("git").args(identity).args(args).current_dir(folder).status();
    assert!(status.unwrap().success(), "git {args:?}");
}

/// A step of the model that runs a command.
pub fn bash(command: &str) -> Value {
    json!({"tools": [{"name": "Bash", "input": {"command": command, "description": "A command"}}]})
}

/// The living processes with `mark` in their command line.
pub fn living(mark: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name != own && name.parse::<u32>().is_ok())
        })
        .filter_map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(mark).then_some(line)
        })
        .collect()
}

/// Waits until `done` holds.
pub async fn within(longest: Duration, what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < longest, "waited in vain for {longest:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}
