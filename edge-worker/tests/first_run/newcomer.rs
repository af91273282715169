//! Somebody with an empty home, a repository with one commit, a key, and the real `claude` before a scripted model.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::model::{ModelHandle, ScriptedModel};
use tokio::process::{Child, Command};

pub struct Newcomer {
    pub folder: tempfile::TempDir,
    pub model: ModelHandle,
    pub commands: u32,
}

pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub error: String,
}

fn installed() -> Option<PathBuf> {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let package = format!("../node_modules/@anthropic-ai/claude-code-{os}-{arch}/claude");
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join(package);
    let on_path = std::env::var_os("PATH").into_iter().flat_map(|path| {
        std::env::split_paths(&path).map(|folder| folder.join("claude")).collect::<Vec<_>>()
    });
    std::iter::once(local).chain(on_path).find(|path| path.is_file())
}

pub fn git(folder: &Path, args: &[&str]) -> String {
    let done = std::process::Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@localhost"])
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

impl Newcomer {
    pub async fn new() -> Option<Self> {
        let Some(claude) = installed() else {
            println!("skipped: no `claude` program; `npm ci` in the project's folder installs it");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "bin", "app"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink(claude.canonicalize().unwrap(), folder.path().join("bin/claude")).unwrap();
        let app = folder.path().join("app");
        git(&app, &["init", "-q", "-b", "main"]);
        git(&app, &["commit", "-q", "--allow-empty", "-m", "first"]);
        Some(Self { folder, model: ScriptedModel::start(0).await.unwrap(), commands: 0 })
    }

    pub fn app(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    pub fn command(&mut self, args: &[&str]) -> Command {
        self.commands += 1;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = vec![self.folder.path().join("bin")];
        folders.extend(std::env::split_paths(&path));
        let mut command = Command::new(env!("CARGO_BIN_EXE_cyrus"));
        command
            .args(args)
            .current_dir(self.app())
            .env_clear()
            .env("PATH", std::env::join_paths(folders).unwrap())
            .env("HOME", self.folder.path().join("home"))
            .env("ANTHROPIC_API_KEY", "sk-ant-canary-0123456789")
            .env("ANTHROPIC_BASE_URL", self.model.url())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub async fn cyrus(&mut self, args: &[&str]) -> Said {
        said(self.command(args).spawn().unwrap()).await
    }
}

pub async fn said(child: Child) -> Said {
    let done = tokio::time::timeout(Duration::from_secs(100), child.wait_with_output()).await;
    let done = done.expect("cyrus did not end").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: done.status.code(), out: text(&done.stdout), error: text(&done.stderr) }
}

pub fn script(steps: &Value) -> String {
    format!("Add a greeting. <<SCRIPT {steps} SCRIPT>>")
}

pub fn bash(command: &str) -> Value {
    json!({"tools": [{"name": "Bash", "input": {"command": command, "description": "A command"}}]})
}

/// A file of that name anywhere below a folder.
pub fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { find(&path, name) } else { path.ends_with(name).then_some(path) }
    })
}
