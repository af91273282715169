//! Where a session works: its repository, its branch as Linear names it, its worktree.

use std::path::{Path, PathBuf};

use anyhow::Context;
use shared::digest::sha256_hex;
use shared::event::AgentSession;
use shared::id::AgentSessionId;
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
