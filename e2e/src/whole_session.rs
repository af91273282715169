//! What one session left behind everywhere: its record, its activities in Linear, its branch in git.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::poll;
use crate::system::System;

/// For the real `claude` to start, talk to the scripted model and commit, on a busy machine.
pub const RUN: Duration = Duration::from_secs(120);

impl System {
    /// The one record of an agent session, once `fits` says so. More than one record is an error at once.
    pub async fn record_when(
        &self,
        agent_session: &str,
        what: &str,
        deadline: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = Value::Null;
        let found = poll::until(what, deadline, async || {
            let records = self.sessions_of(agent_session).await?;
            let [record] = records.as_slice() else {
                return Ok(if records.len() > 1 { Some(None) } else { None });
            };
            let id = record["id"].as_str().context("no id")?;
            let record = self.owner_get(&format!("/api/sessions/{id}")).await?;
            let fitting = fits(&record);
            last = record.clone();
            Ok(fitting.then_some(Some(record)))
        })
        .await;
        match found {
            Ok(Some(record)) => Ok(record),
            Ok(None) => bail!("agent session {agent_session} has more than one record"),
            Err(error) => Err(error.context(format!("agent session {agent_session}; last record: {last}"))),
        }
    }

    /// The record once it is over and completed; any other end is an error.
    pub async fn completed(&self, agent_session: &str) -> Result<Value> {
        let record = self.over(agent_session).await?;
        ensure!(record["status"] == "completed", "session ended otherwise: {record}");
        Ok(record)
    }

    /// The record once it is over in any way.
    pub async fn over(&self, agent_session: &str) -> Result<Value> {
        let over = |record: &Value| {
            ["completed", "failed", "stopped"].iter().any(|state| record["status"] == *state)
        };
        self.record_when(agent_session, "the session's end", RUN, over).await
    }

    /// Waits for an activity that fits and gives all of them.
    pub async fn activities_when(
        &self,
        agent_session: &str,
        what: &str,
        deadline: Duration,
        fits: impl Fn(&[Value]) -> bool,
    ) -> Result<Vec<Value>> {
        let mut last = Vec::new();
        let found = poll::until(what, deadline, async || {
            last = self.activities(agent_session).await?;
            Ok(fits(&last).then(|| last.clone()))
        })
        .await;
        found.with_context(|| format!("told so far: {last:?}"))
    }

    /// The first repository's folder.
    pub fn repository(&self) -> Result<&Path> {
        Ok(&self.up.repositories.first().context("no repository")?.path)
    }

    /// The branch that the stand-in Linear names for an issue.
    pub async fn branch_of(&self, issue: &str) -> Result<String> {
        let url = format!("{}/_test/issues/{issue}", self.up.linear_url);
        let fields: Value = self.http.get(url).send().await?.error_for_status()?.json().await?;
        Ok(fields["branchName"].as_str().with_context(|| format!("no branchName in {fields}"))?.to_owned())
    }

    /// The commits that a branch has and the base has not, newest first.
    pub fn commits(&self, branch: &str) -> Result<Vec<String>> {
        let repository = self.repository()?;
        let base = git(repository, &["symbolic-ref", "--short", "HEAD"])?;
        let log = git(repository, &["log", "--format=%H", &format!("{base}..refs/heads/{branch}"), "--"])?;
        Ok(log.lines().map(str::to_owned).collect())
    }
}

/// The activities of one kind.
pub fn of_kind<'a>(activities: &'a [Value], kind: &str) -> Vec<&'a Value> {
    activities.iter().filter(|activity| activity["type"] == kind).collect()
}

/// What git prints, trimmed; its failure is an error.
pub fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output =
        Command::new("git").arg("-C").arg(folder).args(arguments).output().context("git did not start")?;
    ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
