//! How the program is run: with a stand-in for nasty behaviour, and with the real program where it is installed.

use super::*;
use crate::executor::claude::{Claude, ClaudeConfig};
use crate::executor::outcome::{RunEnd, RunErrorKind};
use crate::executor::spec::{Conversation, Environment};
use crate::executor::{Executor, InputState, McpServers, Permissions};

mod asking;
mod real;
mod stand_in;
mod troubles;

/// A folder with a git repository for one test, and runs in it.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scene = Self { dir };
        std::fs::create_dir(scene.path("repo")).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn spec(&self, prompt: &str) -> RunSpec {
        RunSpec {
            run_id: format!("run_{}", uuid::Uuid::new_v4()),
            cwd: self.path("repo"),
            prompt: prompt.to_owned(),
            prompt_id: uuid::Uuid::new_v4(),
            conversation: Conversation::New(uuid::Uuid::new_v4()),
            model: None,
            fallback_model: None,
            permissions: Permissions::default(),
            mcp: McpServers::default(),
            append_system_prompt: None,
            max_turns: Some(20),
            max_cost_micro_usd: None,
            prior_cost_micro_usd: 0,
            env: Environment::empty().inherit(&["PATH"]).with("HOME", self.path("home")),
            config_dir: self.path("config"),
            run_file: self.path("runs/run.ndjson"),
            limits: Limits {
                wall_clock: Duration::from_secs(60),
                no_output: Duration::from_secs(60),
                interrupt_grace: Duration::from_millis(300),
                terminate_grace: Duration::from_millis(300),
                ..Limits::default()
            },
        }
    }
}

/// Waits until `done` holds, at most 20 s.
async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Reads events until one fits, at most 20 s.
async fn event(run: &mut Run, what: &str, mut fits: impl FnMut(&RunEventKind) -> bool) {
    let search = async {
        while let Some(event) = run.next_event().await {
            if fits(&event.kind) {
                return true;
            }
        }
        false
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), search).await, Ok(true), "no event: {what}");
}

async fn all(mut run: Run) -> (Vec<RunEventKind>, RunOutcome) {
    let mut events = Vec::new();
    while let Some(event) = run.next_event().await {
        events.push(event.kind);
    }
    (events, run.wait().await)
}
