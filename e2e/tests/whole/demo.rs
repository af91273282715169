//! `up --demo --once`, as a newcomer runs it, in a state folder of its own.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::system::{System, xtask};
use e2e::whole_session::git;

pub async fn the_demo_ends_well_and_says_what_it_did(_system: Arc<System>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let demo = tokio::process::Command::new(xtask()?)
        .args(["up", "--demo", "--once", "--scripted-model", "--state-dir"])
        .arg(folder.path().join("state"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(Duration::from_secs(300), demo).await.context("the demo did not end")??;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}\n{out}\n{err}", output.status);
    let value = |name: &str| {
        let line = out.lines().map(str::trim).find(|line| line.starts_with(name));
        let text = line.and_then(|line| line.split_whitespace().nth(1)).map(str::to_owned);
        text.with_context(|| format!("no {name} in:\n{out}\n{err}"))
    };
    let session = value("session")?;
    ensure!(session.starts_with("ses_") && out.contains("completed"), "{out}");
    let (branch, commit) = (value("branch")?, value("commit")?);
    ensure!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{commit}");
    ensure!(value("duration")?.parse::<f64>()? > 0.0, "{out}");
    ensure!(value("cost")?.contains(|c: char| c.is_ascii_digit()), "{out}");
    let version = value("claude")?;
    ensure!(
        version.split('.').count() == 3 && version.starts_with(|c: char| c.is_ascii_digit()),
        "claude {version}"
    );
    ensure!(out.contains("scripted"), "a model that is none is labelled as such: {out}");
    let repository = folder.path().join("state/repositories/demo");
    let on = git(&repository, &["rev-parse", &format!("refs/heads/{branch}")])?;
    ensure!(on == commit, "the branch is at {on}, the demo said {commit}");
    let author = git(&repository, &["rev-list", "--count", &format!("HEAD..{commit}")])?;
    ensure!(author == "1", "{author} new commits");
    Ok(())
}
