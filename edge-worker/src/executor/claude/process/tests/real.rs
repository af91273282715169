//! The real program against a scripted model. Skipped with a line where the program is not installed.

use serde_json::{Value, json};
use testkit::model::{ModelHandle, ScriptedModel};

use super::*;

const WAIT: &str = "echo $$ >shell.pid; python3 -c 'import time; time.sleep(97)'";

pub(super) struct Real {
    pub(super) claude: Claude,
    pub(super) model: ModelHandle,
    pub(super) scene: Scene,
    binary: PathBuf,
}

impl Real {
    pub(super) async fn new() -> Option<Self> {
        let Some(binary) = installed() else {
            println!("skipped: no `claude` program; `npm ci` in the project's folder installs it");
            return None;
        };
        let scene = Scene::new();
        for args in [&["init", "-q", "-b", "main"][..], &["commit", "-q", "--allow-empty", "-m", "first"]] {
            let status = std::process::Command::new("git")
                .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
                .args(args)
                .current_dir(scene.path("repo"))
                .status();
            assert!(status.unwrap().success());
        }
        let claude = Claude::new(ClaudeConfig { binary: Some(binary.clone()), ..ClaudeConfig::default() });
        Some(Self { binary, claude, model: ScriptedModel::start(0).await.unwrap(), scene })
    }

    pub(super) fn config(&self) -> ClaudeConfig {
        ClaudeConfig { binary: Some(self.binary.clone()), ..ClaudeConfig::default() }
    }

    pub(super) fn spec(&self, prompt: &str, script: &Value) -> RunSpec {
        let mut spec = self.scene.spec(&format!("{prompt} <<SCRIPT {script} SCRIPT>>"));
        spec.env =
            spec.env.with("ANTHROPIC_API_KEY", "sk-ant-test").with("ANTHROPIC_BASE_URL", self.model.url());
        spec.limits.interrupt_grace = Duration::from_secs(5);
        spec.limits.terminate_grace = Duration::from_secs(5);
        spec
    }

    pub(super) async fn start(&self, spec: RunSpec) -> Run {
        self.claude.start(spec).await.unwrap()
    }
}

fn installed() -> Option<PathBuf> {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let package = format!("../node_modules/@anthropic-ai/claude-code-{os}-{arch}/claude");
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join(package);
    Claude::new(ClaudeConfig { binary: Some(local), ..ClaudeConfig::default() })
        .locate()
        .or_else(|_| Claude::default().locate())
        .ok()
}

pub(super) fn bash(command: &str) -> Value {
    json!({"tools": [{"name": "Bash", "input": {"command": command, "description": "A command"}}]})
}

fn is_tool_use(event: &RunEventKind) -> bool {
    matches!(event, RunEventKind::ToolUse { .. })
}

#[tokio::test]
async fn the_real_program_edits_commits_and_is_resumed() {
    let Some(real) = Real::new().await else { return };
    assert!(real.claude.version().await.unwrap().contains('.'));
    let input = json!({"file_path": real.scene.path("repo/hello.txt"), "content": "hi\n"});
    let write = json!({"text": "Writing.", "tools": [{"name": "Write", "input": input}]});
    let commit = bash("git add -A && git -c user.name=t -c user.email=t@example.com commit -qm hello");
    let script = json!([write, commit, {"text": "Done."}]);
    let (events, outcome) = all(real.start(real.spec("Add hello.txt.", &script)).await).await;
    let ended = (outcome.end, outcome.result_text.as_deref());
    assert_eq!(ended, (RunEnd::Completed, Some("Done.")), "{outcome:?}\n{events:?}");
    assert_eq!(std::fs::read_to_string(real.scene.path("repo/hello.txt")).unwrap(), "hi\n");
    assert!(outcome.cost_micro_usd.unwrap() > 0 && outcome.unknown_lines == 0);
    assert!(
        events.iter().any(|event| matches!(event, RunEventKind::Input { state: InputState::Completed, .. }))
    );

    let mut again = real.spec("And now?", &json!([{"text": "Still here."}]));
    again.conversation = Conversation::Resume(outcome.executor_session_id.clone().unwrap());
    again.prior_cost_micro_usd = outcome.cost_micro_usd.unwrap();
    let id = outcome.executor_session_id.as_deref().unwrap();
    assert!(real.claude.knows(&again.config_dir, id), "its transcript is not where it was looked for");
    let resumed = real.start(again).await.wait().await;
    let ended = (resumed.end, resumed.result_text.as_deref());
    assert_eq!(ended, (RunEnd::Completed, Some("Still here.")), "{resumed:?}");
    assert_eq!(resumed.executor_session_id, outcome.executor_session_id);
    assert!(resumed.cost_micro_usd < outcome.cost_micro_usd);
}

#[tokio::test]
async fn the_real_program_with_a_refused_key_fails_at_once() {
    let Some(real) = Real::new().await else { return };
    let step = json!({"http": 401, "error_type": "authentication_error", "message": "invalid x-api-key"});
    let outcome = real.start(real.spec("x", &json!([step]))).await.wait().await;
    assert_eq!(outcome.error.unwrap().kind, RunErrorKind::Authentication);
    assert!(outcome.duration < Duration::from_secs(10), "{:?}", outcome.duration);
}

#[tokio::test]
async fn the_real_program_takes_a_message_into_the_running_turn() {
    let Some(real) = Real::new().await else { return };
    let slow = bash("while [ ! -e go ]; do python3 -c 'import time; time.sleep(0.05)'; done");
    let mut run = real.start(real.spec("Wait.", &json!([slow, {"text": "fin"}]))).await;
    event(&mut run, "a tool call", is_tool_use).await;
    let sent = run.control().send("also this").await.unwrap();
    let is = |event: &RunEventKind, wanted| matches!(event, RunEventKind::Input { id, state } if *id == sent && *state == wanted);
    event(&mut run, "queued", |event| is(event, InputState::Queued)).await;
    std::fs::write(real.scene.path("repo/go"), "").unwrap();
    event(&mut run, "completed", |event| is(event, InputState::Completed)).await;
    let outcome = run.wait().await;
    let ended = (outcome.end, outcome.result_text.as_deref(), outcome.results);
    assert_eq!(ended, (RunEnd::Completed, Some("fin"), 1), "{outcome:?}");
}

#[tokio::test]
async fn the_real_program_is_redirected_in_the_middle_of_a_turn() {
    let Some(real) = Real::new().await else { return };
    let mut run = real.start(real.spec("Wait.", &json!([bash(WAIT), {"text": "fin"}]))).await;
    event(&mut run, "a tool call", is_tool_use).await;
    let instead = "This instead. <<SCRIPT [{\"text\":\"Instead.\"}] SCRIPT>>";
    run.control().redirect(uuid::Uuid::new_v4(), instead).await.unwrap();
    let outcome = run.wait().await;
    let ended = (outcome.end, outcome.result_text.as_deref(), outcome.results);
    assert_eq!(ended, (RunEnd::Completed, Some("Instead."), 2), "{outcome:?}");
}

#[tokio::test]
async fn the_real_program_is_stopped_with_the_shell_it_started_and_can_be_resumed() {
    let Some(real) = Real::new().await else { return };
    let mut run = real.start(real.spec("Wait.", &json!([bash(WAIT), {"text": "fin"}]))).await;
    event(&mut run, "a tool call", is_tool_use).await;
    let shell = real.scene.path("repo/shell.pid");
    let pid = || std::fs::read_to_string(&shell).unwrap_or_default().trim().to_owned();
    eventually("the shell to start", || !pid().is_empty()).await;
    let started = Instant::now();
    run.control().stop().await;
    let outcome = run.wait().await;
    assert_eq!((outcome.end, &outcome.error), (RunEnd::Stopped, &None), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(
        !std::fs::read_to_string(format!("/proc/{}/stat", pid())).is_ok_and(|stat| !stat.contains(") Z "))
    );

    let mut again = real.spec("Go on.", &json!([{"text": "Going on."}]));
    again.conversation = Conversation::Resume(outcome.executor_session_id.unwrap());
    let resumed = real.start(again).await.wait().await;
    let ended = (resumed.end, resumed.result_text.as_deref());
    assert_eq!(ended, (RunEnd::Completed, Some("Going on.")), "{resumed:?}");
}
