//! The scripted model driven by the real `claude`, in a temporary git repository.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::model::{ModelHandle, ScriptedModel};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::installed::claude;

async fn git(repository: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.invalid"])
        .args(arguments)
        .output()
        .await
        .expect("git starts");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs `claude` on one prompt and gives its result line.
async fn run(claude: &Path, model: &ModelHandle, home: &Path, session: &[&str], prompt: &str) -> Value {
    let mut child = Command::new(claude)
        .current_dir(home.join("repository"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .env("IS_SANDBOX", "1")
        .env("CLAUDE_CONFIG_DIR", home.join("config"))
        .env("ANTHROPIC_API_KEY", "sk-ant-stand-in")
        .env("ANTHROPIC_BASE_URL", model.url())
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1")
        .env("CLAUDE_CODE_MAX_RETRIES", "2")
        .env("DISABLE_AUTOUPDATER", "1")
        .args(["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"])
        .args(["--setting-sources", "user", "--strict-mcp-config", "--permission-mode", "dontAsk"])
        .args(["--max-turns", "12"])
        .args(session)
        .args(["--allowedTools", "Read,Write,Edit,Bash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("claude starts");
    let line = format!("{}\n", json!({"type": "user", "message": {"role": "user", "content": prompt}}));
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(line.as_bytes()).await.expect("claude reads");
    drop(stdin);
    let output = tokio::time::timeout(Duration::from_secs(90), child.wait_with_output()).await;
    let output = output.expect("claude ends in time").expect("claude's output");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let result = lines.rfind(|line| line["type"] == "result");
    result.unwrap_or_else(|| panic!("no result: {text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test]
async fn the_real_claude_edits_and_commits_without_a_script_and_again_on_a_follow_up() {
    let Some(claude) = claude() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let repository = home.path().join("repository");
    std::fs::create_dir_all(&repository).expect("a folder");
    git(&repository, &["init", "-q", "-b", "main"]).await;
    git(&repository, &["commit", "-q", "--allow-empty", "-m", "init"]).await;
    let model = ScriptedModel::start(0).await.expect("a free port");

    let prompt = "Please work on this issue.\n<issue identifier=\"ENG-774\">\n<title>Show totals; in the 'list'</title>\n</issue>";
    let id = uuid::Uuid::new_v4().to_string();
    let result = run(&claude, &model, home.path(), &["--session-id", &id], prompt).await;
    assert_eq!((&result["subtype"], &result["is_error"]), (&json!("success"), &json!(false)), "{result}");
    assert_eq!(git(&repository, &["log", "--format=%s", "-1"]).await, "Add a note about ENG-774");
    assert_eq!(
        git(&repository, &["show", "--name-only", "--format=", "HEAD"]).await,
        "notes/eng-774-show-totals-in-the-list.md"
    );

    let result = run(&claude, &model, home.path(), &["--resume", &id], "Please round to two digits").await;
    assert_eq!(result["is_error"], false, "{result}");
    assert_eq!(git(&repository, &["rev-list", "--count", "HEAD"]).await, "3");
    assert_eq!(
        git(&repository, &["show", "--name-only", "--format=", "HEAD"]).await,
        "notes/eng-774-please-round-to-two-digits-2.md"
    );
    let counts = model.requests();
    assert_eq!(counts.runs, 1, "both runs are of one session: {counts:?}");
}

#[tokio::test]
async fn the_real_claude_obeys_a_script_in_the_prompt() {
    let Some(claude) = claude() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let repository = home.path().join("repository");
    std::fs::create_dir_all(&repository).expect("a folder");
    git(&repository, &["init", "-q", "-b", "main"]).await;
    let model = ScriptedModel::start(0).await.expect("a free port");
    let script = json!([
        {"thinking": "hm", "text": "Writing.", "tools": [{"name": "Write", "input": {"file_path": "$CWD/hello.txt", "content": "hi"}}]},
        {"http": 529, "error_type": "overloaded_error", "times": 1, "text": "All done."}]);
    let id = uuid::Uuid::new_v4().to_string();
    let prompt = format!("Add hello.txt. <<SCRIPT {script} SCRIPT>>");
    let result = run(&claude, &model, home.path(), &["--session-id", &id], &prompt).await;
    assert_eq!((&result["is_error"], &result["result"]), (&json!(false), &json!("All done.")), "{result}");
    assert_eq!(std::fs::read_to_string(repository.join("hello.txt")).expect("the file"), "hi");
}
