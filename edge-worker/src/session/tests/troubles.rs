//! Each way in which a run goes wrong: the session's state, and what the person reads, which tells what to do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::super::stage::{Stage, created};
use super::states;
use crate::executor::claude::{Claude, ClaudeConfig};
use crate::executor::{Capabilities, Executor, ExecutorError, LeftBehind, LeftFiles, Run, RunSpec};

/// The stage's executor with a short patience, or one that cannot start.
struct Spoiled {
    inner: Arc<dyn Executor>,
    fails: fn() -> Option<ExecutorError>,
}

impl Executor for Spoiled {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn version(&self) -> BoxFuture<'_, Result<String, ExecutorError>> {
        self.inner.version()
    }

    fn read_left(&self, files: LeftFiles) -> BoxFuture<'_, std::io::Result<LeftBehind>> {
        self.inner.read_left(files)
    }

    fn knows(&self, config_dir: &Path, conversation: &str) -> bool {
        self.inner.knows(config_dir, conversation)
    }

    fn start(&self, mut spec: RunSpec) -> BoxFuture<'_, Result<Run, ExecutorError>> {
        spec.limits.no_output = Duration::from_secs(1);
        match (self.fails)() {
            Some(error) => std::future::ready(Err(error)).boxed(),
            None => self.inner.start(spec),
        }
    }
}

async fn told(behaviour: &'static str, spoil: fn(Arc<dyn Executor>) -> Arc<dyn Executor>) -> (String, Stage) {
    let mut stage = Stage::new(behaviour).await;
    stage.means.executor = spoil(Arc::clone(&stage.means.executor));
    let _task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    stage.until("the last words", |stage| !stage.texts("error").is_empty()).await;
    assert_eq!(states(&stage), ["failed"], "{behaviour}");
    assert_eq!(stage.texts("error").len(), 1, "{behaviour}");
    (stage.texts("error").concat(), stage)
}

fn impatient(inner: Arc<dyn Executor>) -> Arc<dyn Executor> {
    Arc::new(Spoiled { inner, fails: || None })
}

fn missing(_: Arc<dyn Executor>) -> Arc<dyn Executor> {
    Arc::new(Claude::new(ClaudeConfig {
        binary: Some(PathBuf::from("/nowhere/claude")),
        ..ClaudeConfig::default()
    }))
}

fn full(inner: Arc<dyn Executor>) -> Arc<dyn Executor> {
    let fails = || {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Some(ExecutorError::RunFile { path: "/state/runs/1".into(), source })
    };
    Arc::new(Spoiled { inner, fails })
}

#[tokio::test]
async fn a_person_reads_what_to_do_whatever_goes_wrong() {
    for (behaviour, spoil, words) in [
        ("dies", impatient as fn(_) -> _, ["signal 9", "cyrus doctor"]),
        ("mute", impatient, ["gave no result", "cyrus doctor"]),
        ("refuses", impatient, ["no such thing", "Write here to try again"]),
        ("silent", impatient, ["wrote nothing for 1 s", "hung"]),
        ("retries", impatient, ["refuses the sign-in", "cyrus key set anthropic"]),
        ("limit", impatient, ["reset at 2100-01-01T00:00:00", "usageLimit"]),
        ("busy", impatient, ["overloaded", "fallbackModel"]),
        ("good", missing, ["/nowhere/claude", "install it, or set its path"]),
        ("good", full, ["disk is full", "make room"]),
    ] {
        let (text, stage) = told(behaviour, spoil).await;
        for word in words {
            assert!(text.contains(word), "{behaviour}: {word} is not in {text}");
        }
        assert!(text.contains("rite here"), "{behaviour}: {text}");
        if behaviour == "busy" {
            let thoughts = stage.linear.agent_session(super::super::stage::SESSION);
            let all = format!("{:?}", thoughts.activities);
            assert!(all.contains("try 3 of 3"), "{all}");
        }
    }
}
