//! Puts the work of a lost lease aside: what is left of its run is ended, what its worktree holds is pushed to a branch of
//! its own, and the panel is told.
//!
//! The one thing that is done without a lease: nobody else could save that work. It posts nothing in Linear and leaves
//! the worktree as it is. It begins again after a crash, and each step may be done twice.

use std::path::Path;
use std::time::Duration;

use shared::recovery::Recovery;
use shared::route::tag::normalise;
use tracing::{info, warn};

use super::left::run_file;
use crate::config::live::Live;
use crate::executor::process_tree;
use crate::git::command::Git;
use crate::git::push::{Pushed, push};
use crate::git::{BranchName, Repository, wip};
use crate::journal::Journal;
use crate::journal::recovery::LostWork;
use crate::panel::PanelClient;
use crate::worker::now;

const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What putting work aside takes.
#[derive(Clone)]
pub struct Recoveries {
    /// Where the rows are.
    pub journal: Journal,
    /// Which repositories there are.
    pub config: Live,
    /// Who is told.
    pub panel: Option<PanelClient>,
}

impl Recoveries {
    /// Works on whatever there is, until dropped.
    pub async fn run(self) {
        let mut pause = PAUSE.0;
        loop {
            match self.all().await {
                Ok(()) => {
                    pause = PAUSE.0;
                    self.journal.lost_some().await;
                }
                Err(error) => {
                    warn!("work of a lost lease is not safe yet: {error:#}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    async fn all(&self) -> anyhow::Result<()> {
        let mut failure = None;
        for work in self.journal.lost_work().await? {
            // One that cannot be saved now must not hold up the others.
            if let Err(error) = self.save(&work).await {
                failure = Some(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn save(&self, work: &LostWork) -> anyhow::Result<()> {
        let settings = self.config.now();
        let run = work.run.to_string();
        process_tree::settle(&run_file(&settings.state_dir, work.run), &run).await;
        let mut known = settings.repositories.iter();
        let Some(config) = known.find(|config| Some(&config.name) == work.repository.as_ref()) else {
            warn!(run = %work.run, "its repository is not in the configuration any more; the work stays in {}", work.worktree);
            return Ok(self.journal.work_is_safe(work.run).await?);
        };
        if !Path::new(&work.worktree).is_dir() {
            return Ok(self.journal.work_is_safe(work.run).await?);
        }
        let repository = Repository::open(&config.repository_path).await?;
        let at = now().as_millis() / 1000;
        let state =
            wip::snapshot_at(&repository, Path::new(&work.worktree), work.session.as_str(), at).await?;
        let branch = BranchName::or_from_issue(Some(&work.branch), work.session_key.as_str());
        let worker: String = tail(&self.journal.worker_id().to_string());
        let reference = wip::recovered(&branch, &worker, &tail(&work.run.to_string()));
        let name = reference.strip_prefix("refs/heads/").unwrap_or(&reference).to_owned();
        let remote = Git::new(repository.path(), ["config", "--get", "remote.origin.url"]).line().await;
        let mut remote = remote.ok().and_then(|url| normalise(&url));
        match push(&repository, &state.commit, &reference).await {
            Ok(Pushed::Pushed | Pushed::UpToDate) => info!(run = %work.run, "its work is pushed as {name}"),
            Ok(Pushed::NoRemote) => {
                repository.set_reference(&reference, &state.commit).await?;
                remote = None;
            }
            Ok(Pushed::Rejected(words)) => {
                warn!(run = %work.run, "the remote does not take its work ({words}); it is kept here as {name}");
                repository.set_reference(&reference, &state.commit).await?;
                remote = None;
            }
            Err(error) if error.may_pass() => return Err(error.into()),
            Err(error) => {
                warn!(run = %work.run, "its work is kept here as {name}: {error}");
                repository.set_reference(&reference, &state.commit).await?;
                remote = None;
            }
        }
        if let Some(panel) = &self.panel {
            let recovery = Recovery {
                session_key: work.session_key.clone(),
                token: work.token,
                run_id: work.run,
                branch: name,
                commit: state.commit,
                remote,
            };
            match panel.add_recovery(&recovery).await {
                Ok(()) => {}
                Err(error) if error.is_passing() => return Err(error.into()),
                Err(error) => warn!(run = %work.run, "the panel does not take where its work is: {error}"),
            }
        }
        Ok(self.journal.work_is_safe(work.run).await?)
    }
}

/// The end of an id: its beginning is a time and much the same for ids of one day.
fn tail(id: &str) -> String {
    let skipped = id.chars().count().saturating_sub(8);
    id.chars().skip(skipped).collect()
}

#[cfg(test)]
mod tests;
