//! Where a session works: its repository, its branch as Linear names it, its worktree, and what a new one gets first.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};

use anyhow::Context;
use shared::digest::sha256_hex;
use shared::event::AgentSession;
use shared::id::{AgentSessionId, SessionKey};
use shared::linear::operations;
use tracing::{info, warn};

use super::Means;
use super::setup::{self, End, Progress, Setup};
use crate::config::{Config, RepositoryConfig};
use crate::git::base::{self, Wishes};
use crate::git::branch::slug;
use crate::git::cleanup::{self, Use, Verdict};
use crate::git::include;
use crate::git::quota::{self, Full};
use crate::git::{BranchName, GitError, Repository, Worktree, WorktreeRequest, wip};

/// The longest guide that goes into the prompt, in bytes.
const LONGEST_GUIDE: usize = 32 * 1024;

/// Finds or makes the worktree of a session.
pub async fn prepare(
    means: &Means,
    session: &AgentSession,
    config: &RepositoryConfig,
) -> anyhow::Result<Worktree> {
    let repository = Repository::open(&config.repository_path)
        .await
        .with_context(|| format!("the repository {}", config.name))?;
    let settings = means.config.now();
    let identifier =
        session.issue.as_ref().and_then(|issue| issue.identifier.as_deref()).unwrap_or(session.id.as_str());
    let issue = issue(means, session).await;
    let named = issue.as_ref().map(|issue| issue.branch_name.as_str());
    let branch = BranchName::or_from_issue(named, identifier);
    let folder = folder(&settings, config);
    let mark = mark(&session.session_key());
    let place = format!("{identifier}-{mark}");
    let known = Worktree::known_base(&folder, &place);
    let base = match &known {
        Some(known) => Some(known.clone()),
        None => {
            if !folder.join(slug(&place)).exists() {
                room(means, &settings, config, &repository).await?;
            }
            let parent = issue.as_ref().and_then(|issue| issue.parent.as_ref());
            let parent = parent.map(|parent| parent.branch_name.as_str());
            base::choose(&repository, &wishes(&settings, config, parent))
                .await
                .context("the branch to start from")?
        }
    };
    let request = WorktreeRequest { folder: &folder, issue: &place, branch: &branch, base: base.as_deref() };
    let beside = BranchName::or_from_issue(Some(&format!("{branch}-{mark}")), &place);
    let mut made = ensure(&repository, &request, &beside).await;
    if let (Err(GitError::NoBase { .. }), Some(gone)) = (&made, known) {
        info!("the branch {gone}, which the work started from, is gone; it is compared with the default now");
        let request = WorktreeRequest { base: config.base_branch.as_deref(), ..request };
        made = ensure(&repository, &request, &beside).await;
    }
    made.context("the worktree could not be made")
}

async fn ensure(
    repository: &Repository,
    request: &WorktreeRequest<'_>,
    beside: &BranchName,
) -> Result<Worktree, GitError> {
    match Worktree::ensure(repository, request).await {
        Err(GitError::BranchInUse { path, branch }) => {
            info!("{branch} is checked out in {}; this session works on {beside}", path.display());
            Worktree::ensure(repository, &WorktreeRequest { branch: beside, ..request.clone() }).await
        }
        outcome => outcome,
    }
}

/// Where the executor keeps what it knows of a session: a folder of its own, since an agent can write into it and
/// could read what others keep there. To be kept as long as the session may be gone on with.
pub fn conversations(state_dir: &Path, session: &AgentSessionId) -> PathBuf {
    let id = session.as_str();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let name = match id.len() {
        1..=64 if id.bytes().all(plain) => id.to_owned(),
        _ => sha256_hex(id.as_bytes()),
    };
    state_dir.join("claude").join(name)
}

/// Two workspaces may have an ENG-774 each, so the identifier alone does not name a folder.
fn mark(key: &SessionKey) -> String {
    sha256_hex(key.as_str().as_bytes()).chars().take(8).collect()
}

/// The folder of a repository's worktrees.
fn folder(settings: &Config, config: &RepositoryConfig) -> PathBuf {
    base_folder(settings, config).join(slug(&config.name))
}

fn base_folder<'a>(settings: &'a Config, config: &'a RepositoryConfig) -> &'a Path {
    config.workspace_base_dir.as_deref().unwrap_or(&settings.worktrees_dir)
}

/// A branch that is not the configured one was named by the person.
fn wishes<'a>(settings: &'a Config, config: &'a RepositoryConfig, parent: Option<&'a str>) -> Wishes<'a> {
    let as_configured = settings.repositories.iter().find(|one| one.name == config.name);
    let configured = as_configured.and_then(|one| one.base_branch.as_deref());
    let named = config.base_branch.as_deref().filter(|branch| Some(*branch) != configured);
    Wishes { named, parent, configured }
}

/// The issue as Linear has it: the branch that it suggests, so that it links what happens there, and the parent's.
async fn issue(means: &Means, session: &AgentSession) -> Option<operations::issue::IssueParts> {
    let issue = session.issue.as_ref()?;
    match means.outside.linear.as_ref()?.issue(issue.id.as_str()).await {
        Ok(found) => Some(found.issue.issue_parts),
        Err(error) => {
            warn!("Linear did not tell the branch of {}: {error}; it is made from the identifier", issue.id);
            None
        }
    }
}

/// Refuses a new worktree when the disk quota is used up, once what may go has gone.
async fn room(
    means: &Means,
    settings: &Config,
    config: &RepositoryConfig,
    repository: &Repository,
) -> anyhow::Result<()> {
    let Some(limit) = settings.disk_quota_bytes else { return Ok(()) };
    let bases: BTreeSet<PathBuf> =
        settings.repositories.iter().map(|config| base_folder(settings, config).to_owned()).collect();
    let bases: Vec<PathBuf> = bases.into_iter().collect();
    if !usage(bases.clone(), limit).await?.is_full() {
        return Ok(());
    }
    clear(means, repository, &folder(settings, config), None).await;
    let report = usage(bases, limit).await?;
    if report.is_full() { Err(Full(report).into()) } else { Ok(()) }
}

async fn usage(bases: Vec<PathBuf>, limit: u64) -> anyhow::Result<quota::Report> {
    Ok(tokio::task::spawn_blocking(move || quota::measure(&bases, Some(limit))).await?)
}

/// Removes the worktrees that nobody needs and whose work is safe; of `closed` the issue is closed now. Work that is
/// open here keeps its own.
async fn clear(means: &Means, repository: &Repository, folder: &Path, closed: Option<&SessionKey>) {
    let live: Vec<String> = match means.journal.open_events().await {
        Ok(open) => open.iter().map(|taken| mark(&taken.session_key)).collect(),
        Err(error) => {
            warn!("no worktree is removed, since the journal cannot be read: {error}");
            return;
        }
    };
    let closed = closed.map(mark);
    let is_of = |name: &str, mark: &str| name.contains(mark);
    let used = |name: &str| match () {
        () if live.iter().any(|mark| is_of(name, mark)) => Use::Live,
        () if closed.as_deref().is_some_and(|mark| is_of(name, mark)) => Use::Closed,
        () => Use::Idle,
    };
    match cleanup::sweep(repository, folder, used).await {
        Ok(all) => {
            for (tree, verdict) in all {
                if let Verdict::Keep(why) = verdict {
                    info!("the worktree {} stays: {why}", tree.display());
                }
            }
        }
        Err(error) => warn!("the worktrees in {} cannot be cleared: {error}", folder.display()),
    }
}

/// Clears the worktrees of all repositories; to be called at the start.
pub async fn clear_all(means: &Means) {
    let settings = means.config.now();
    for config in &settings.repositories {
        match Repository::open(&config.repository_path).await {
            Ok(repository) => clear(means, &repository, &folder(&settings, config), None).await,
            Err(error) => warn!("the worktrees of {} cannot be cleared: {error}", config.name),
        }
    }
}

/// The issue is closed and no run of it is live: its worktree goes if all of it is safe, else at a later start.
pub async fn issue_closed(means: &Means, key: &SessionKey) {
    let settings = means.config.now();
    for config in &settings.repositories {
        let folder = folder(&settings, config);
        if folder.is_dir()
            && let Ok(repository) = Repository::open(&config.repository_path).await
        {
            clear(means, &repository, &folder, Some(key)).await;
        }
    }
}

/// Takes over what the worker that had the session before has pushed of its work. `at`: seconds since 1970.
pub async fn adopt(config: &RepositoryConfig, worktree: &Worktree, session: &AgentSession, at: i64) {
    let adopted = async {
        let repository = Repository::open(&config.repository_path).await?;
        wip::adopt(&repository, worktree, session.id.as_str(), at).await
    };
    match adopted.await {
        Ok(adopted) => info!(session = %session.id, "what another worker left: {adopted:?}"),
        // What was pushed is still there for a person; the task itself can be done without it.
        Err(error) => warn!(session = %session.id, "what another worker left cannot be taken over: {error}"),
    }
}

/// What became of a new worktree's preparation.
#[derive(Debug, Default)]
pub struct Furnished {
    /// What went wrong, in words for the person. The work begins all the same.
    pub troubles: Vec<String>,
    /// A stop came: no run is to begin.
    pub stopped: bool,
}

/// Gives a new worktree what it needs: the ignored files that are named for it, and the set-up scripts. One that has it
/// already is left as it is; one whose preparation was cut off gets it again.
pub async fn furnish(
    means: &Means,
    session: &AgentSession,
    config: &RepositoryConfig,
    worktree: &Worktree,
    stop: impl Future<Output = ()>,
    mut progress: impl FnMut(&str, Progress),
) -> anyhow::Result<Furnished> {
    let mut furnished = Furnished::default();
    if !worktree.is_raw() {
        return Ok(furnished);
    }
    let settings = means.config.now();
    let repository = Repository::open(&config.repository_path).await?;
    match include::include(&repository, worktree).await {
        Ok(included) => {
            furnished.troubles.extend(included.left_out.iter().map(|(path, reason)| {
                format!("`{}` of `.worktreeinclude` was left out: {reason}", path.display())
            }));
        }
        Err(error) => {
            furnished.troubles.push(format!("the files of `.worktreeinclude` did not come along: {error}"))
        }
    }
    let mut stop = std::pin::pin!(stop);
    let name = worktree.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let scripts = setup::scripts(
        settings.global_setup_script.as_deref(),
        config.setup_script.as_deref(),
        &worktree.path,
    );
    for (place, script) in scripts.into_iter().enumerate() {
        let mark = format!("setup-{name}-{place}");
        let shown = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let setup = Setup {
            env: setup::environment(session.issue.as_ref(), &mark),
            out: settings.state_dir.join("runs").join(format!("{mark}.log")),
            cwd: worktree.path.clone(),
            script,
            mark,
            limit: setup::LIMIT,
            tick: setup::TICK,
        };
        match setup::run(&setup, &mut stop, |told| progress(&shown, told)).await {
            End::Done => {}
            End::Failed(words) => furnished.troubles.push(words),
            End::Stopped => {
                furnished.stopped = true;
                return Ok(furnished);
            }
        }
    }
    worktree.prepared();
    Ok(furnished)
}

/// The repository's own guide for agents. Its settings are not loaded, since they could run programs; its text is.
pub async fn guide(worktree: &Worktree) -> Option<String> {
    for name in ["AGENTS.md", "CLAUDE.md"] {
        if let Ok(text) = tokio::fs::read_to_string(worktree.path.join(name)).await {
            return Some(text).filter(|text| text.len() <= LONGEST_GUIDE && !text.trim().is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_session_keeps_its_conversations_outside_of_its_own_folder() {
        let of = |id: &str| conversations(Path::new("/state"), &AgentSessionId(id.into()));
        assert_eq!(of("0b9e-3a"), Path::new("/state/claude/0b9e-3a"));
        let long = "a".repeat(300);
        for nasty in ["", ".", "..", "../x", "a/b", "a\0b", "\n", long.as_str()] {
            let name = of(nasty).strip_prefix("/state/claude").unwrap().to_str().unwrap().to_owned();
            assert!(
                name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{nasty:?}: {name}"
            );
        }
    }
}
