//! Where a session works: its repository, its branch as Linear names it, its worktree.

use anyhow::Context;
use shared::digest::sha256_hex;
use shared::event::AgentSession;
use tracing::{info, warn};

use super::Means;
use crate::config::RepositoryConfig;
use crate::git::{BranchName, GitError, Repository, Worktree, WorktreeRequest};

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
    let identifier =
        session.issue.as_ref().and_then(|issue| issue.identifier.as_deref()).unwrap_or(session.id.as_str());
    let named = branch_name(means, session).await;
    let branch = BranchName::or_from_issue(named.as_deref(), identifier);
    let folder = means.config.now().state_dir.join("worktrees").join(crate::git::branch::slug(&config.name));
    // Two workspaces may have an ENG-774 each, so the identifier alone does not name a folder.
    let mark: String = sha256_hex(session.session_key().as_str().as_bytes()).chars().take(8).collect();
    let place = format!("{identifier}-{mark}");
    let request = WorktreeRequest {
        folder: &folder,
        issue: &place,
        branch: &branch,
        base: config.base_branch.as_deref(),
    };
    match Worktree::ensure(&repository, &request).await {
        Err(GitError::BranchInUse { path, .. }) => {
            info!("{branch} is checked out in {}; this session works on a branch beside it", path.display());
            let beside = BranchName::or_from_issue(Some(&format!("{branch}-{mark}")), &place);
            Worktree::ensure(&repository, &WorktreeRequest { branch: &beside, ..request }).await
        }
        outcome => outcome,
    }
    .context("the worktree could not be made")
}

/// The branch that Linear suggests, so that Linear links what happens on it.
async fn branch_name(means: &Means, session: &AgentSession) -> Option<String> {
    let issue = session.issue.as_ref()?;
    match means.outside.linear.as_ref()?.issue(issue.id.as_str()).await {
        Ok(found) => Some(found.issue.issue_parts.branch_name),
        Err(error) => {
            warn!("Linear did not tell the branch of {}: {error}; it is made from the identifier", issue.id);
            None
        }
    }
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
