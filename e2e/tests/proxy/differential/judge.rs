//! The official handler in a Node process of its own, asked case by case.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use e2e::node;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::Case;

/// What it said.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    pub status: u16,
    /// Whether the body holds what an edge needs; absent where it is no JSON.
    pub shape: Option<bool>,
    /// Whether the body holds a number that became Infinity.
    pub infinite: Option<bool>,
}

impl Verdict {
    /// Whether the handler took it.
    pub fn accepts(&self) -> bool {
        self.status < 300
    }
}

/// The running process; it ends with this value.
pub struct Judge {
    _child: Child,
    cases: ChildStdin,
    verdicts: Lines<BufReader<ChildStdout>>,
}

impl Judge {
    /// Starts it with the webhook secret.
    pub fn start(secret: &str) -> Result<Self> {
        let mut child = Command::new(node::node()?)
            .arg(node::repository().join("e2e/linear-webhooks.mjs"))
            .env("WEBHOOK_SECRET", secret)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("node did not start")?;
        let cases = child.stdin.take().context("no stdin")?;
        let verdicts = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        Ok(Self { _child: child, cases, verdicts })
    }

    /// What the official handler says to this request.
    pub async fn verdict(&mut self, case: &Case) -> Result<Verdict> {
        let body = BASE64_STANDARD.encode(&case.body);
        let line = json!({"method": case.method, "signature": case.signature, "body": body});
        self.cases.write_all(format!("{line}\n").as_bytes()).await.context("the judge has ended")?;
        let verdict = tokio::time::timeout(Duration::from_secs(20), self.verdicts.next_line()).await;
        let verdict = verdict.context("the judge is silent")??.context("the judge has ended")?;
        serde_json::from_str(&verdict).with_context(|| format!("{}: {verdict}", case.name))
    }
}
