//! The first minutes of somebody who has nothing: an empty home, a repository, a key, the real `claude`.
//!
//! The model behind it is the scripted stand-in. Skipped with a line where the program is not installed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says by a panic what does not hold, and by a line what it left out"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::model::{ModelHandle, ScriptedModel};
use tokio::process::{Child, Command};

struct Newcomer {
    folder: tempfile::TempDir,
    claude: PathBuf,
    model: ModelHandle,
    commands: u32,
}

struct Said {
    code: Option<i32>,
    out: String,
    error: String,
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

fn git(folder: &Path, args: &[&str]) -> String {
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
    async fn new() -> Option<Self> {
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
        Some(Self { folder, claude, model: ScriptedModel::start(0).await.unwrap(), commands: 0 })
    }

    fn app(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    fn command(&mut self, args: &[&str]) -> Command {
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

    async fn cyrus(&mut self, args: &[&str]) -> Said {
        said(self.command(args).spawn().unwrap()).await
    }
}

async fn said(child: Child) -> Said {
    let done = tokio::time::timeout(Duration::from_secs(100), child.wait_with_output()).await;
    let done = done.expect("cyrus did not end").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: done.status.code(), out: text(&done.stdout), error: text(&done.stderr) }
}

fn script(steps: &Value) -> String {
    format!("Add a greeting. <<SCRIPT {steps} SCRIPT>>")
}

fn bash(command: &str) -> Value {
    json!({"tools": [{"name": "Bash", "input": {"command": command, "description": "A command"}}]})
}

#[tokio::test]
async fn a_first_run_needs_nothing_but_a_key_and_a_repository() {
    let Some(mut newcomer) = Newcomer::new().await else { return };
    assert!(newcomer.claude.is_file());
    let write = json!({"text": "I write it.", "tools": [{"name": "Write", "input": {"file_path": "$CWD/hello.txt", "content": "hi\n"}}]});
    let prompt = script(&json!([write, {"text": "There is a greeting now."}]));
    let said = newcomer.cyrus(&["run", &prompt]).await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.error);
    assert!(newcomer.commands < 5, "{} commands", newcomer.commands);
    assert_eq!(said.out.trim(), "There is a greeting now.", "the answer alone is on stdout");
    let named = |name: &str| {
        let line = said.error.lines().rev().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let (branch, commit) = (named("branch"), named("commit"));
    assert!(branch.starts_with("cyrus/add-greeting"), "{branch}");
    assert!(git(&newcomer.app(), &["rev-parse", &branch]).starts_with(&commit), "{}", said.error);
    assert_eq!(git(&newcomer.app(), &["show", &format!("{branch}:hello.txt")]), "hi");
    assert_eq!(
        git(&newcomer.app(), &["status", "--porcelain"]),
        "",
        "the person's own checkout is as it was"
    );
    for text in [&said.out, &said.error] {
        assert!(!text.contains("sk-ant-canary"), "{text}");
    }
}

#[tokio::test]
async fn programs_get_one_object_and_a_failed_run_says_so() {
    let Some(mut newcomer) = Newcomer::new().await else { return };
    let refused =
        json!([{"http": 401, "error_type": "authentication_error", "message": "invalid x-api-key"}]);
    let said = newcomer.cyrus(&["run", "--json", &script(&refused)]).await;
    assert_eq!(said.code, Some(1), "{}\n{}", said.out, said.error);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["status"], "failed", "{report}");
    assert!(report["error"].as_str().is_some_and(|words| !words.is_empty()), "{report}");
    assert!(report["session"].as_str().unwrap().starts_with("add-greeting"), "{report}");
}

#[tokio::test]
async fn ctrl_c_stops_the_agent_and_keeps_its_work() {
    let Some(mut newcomer) = Newcomer::new().await else { return };
    let wait = bash("echo half >half.txt; while :; do python3 -c 'import time; time.sleep(0.2)'; done");
    let child = newcomer.command(&["run", "--json", &script(&json!([wait]))]).spawn().unwrap();
    let trees = newcomer.folder.path().join("home/.cyrus/worktrees");
    let deadline = Instant::now() + Duration::from_secs(60);
    while find(&trees, "half.txt").is_none() {
        assert!(Instant::now() < deadline, "the agent did not begin");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let said = said(child).await;
    assert_eq!(said.code, Some(1), "{}", said.error);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["status"], "stopped", "{report}");
    let branch = report["branch"].as_str().unwrap();
    assert_eq!(git(&newcomer.app(), &["show", &format!("{branch}:half.txt")]), "half");
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { find(&path, name) } else { path.ends_with(name).then_some(path) }
    })
}

#[tokio::test]
async fn what_is_missing_is_told_with_the_next_step() {
    let Some(mut newcomer) = Newcomer::new().await else { return };
    let nowhere = newcomer.folder.path().join("home").display().to_string();
    let cases: [(&[&str], Option<&str>, i32, &str); 4] = [
        (&["run", "x", "--repo", &nowhere], None, 2, "git init"),
        (&["run", "x", "--repo", "/nowhere/at/all"], None, 2, "--repo"),
        (&["run", "  "], None, 2, "cyrus run"),
        (&["run", "x"], Some("ANTHROPIC_API_KEY"), 3, "ANTHROPIC_API_KEY"),
    ];
    for (args, without, code, next) in cases {
        let mut command = newcomer.command(args);
        if let Some(name) = without {
            command.env_remove(name);
        }
        let said = said(command.spawn().unwrap()).await;
        assert_eq!(said.code, Some(code), "{args:?}: {}", said.error);
        assert!(said.error.contains("next: ") && said.error.contains(next), "{args:?}: {}", said.error);
        assert_eq!(said.out, "", "{args:?}");
    }
    let left: Vec<_> = std::fs::read_dir(&nowhere).unwrap().collect();
    assert!(left.is_empty(), "a refused command wrote {left:?}");
}
