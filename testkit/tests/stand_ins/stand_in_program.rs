//! The `stand-in` program, as tests in other languages start it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::http;

async fn start(arguments: &[&str]) -> (Child, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stand-in"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let stdout = child.stdout.take().expect("a pipe");
    let line = BufReader::new(stdout).lines().next_line().await.expect("readable").expect("a line");
    (child, serde_json::from_str(&line).expect("one JSON line"))
}

#[tokio::test]
async fn each_stand_in_tells_its_url_and_ends_when_stdin_closes() {
    for which in ["linear", "model"] {
        let (mut child, told) = start(&[which, "--port", "0"]).await;
        let url = told["url"].as_str().expect("a URL");
        let answer = http().get(format!("{url}/_test/requests")).send().await.expect("an answer");
        assert!(answer.status().is_success());
        drop(child.stdin.take());
        let ended = tokio::time::timeout(Duration::from_secs(10), child.wait()).await;
        assert!(ended.expect("it ends").expect("a status").success());
    }
}

#[tokio::test]
async fn wrong_use_is_told_on_stderr() {
    for arguments in [&["nothing"][..], &[], &["linear", "--port", "x"], &["linear", "--prot", "1"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_stand-in"))
            .args(arguments)
            .output()
            .await
            .expect("the program starts");
        assert!(!output.status.success() && !output.stderr.is_empty(), "{arguments:?}");
    }
}
