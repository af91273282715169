//! Pushes one commit to one reference of the remote, by the commit's id: doing it again changes nothing.
//! Neighbours: `wip` makes the commits; the outbox keeps the rows and tries again.
//! It must never ask for a password, look at a worktree, run a hook, or push anything that was not named.

use std::time::Duration;

use super::command::Answer;
use super::{GitError, Repository};

/// The limit of a push.
const LIMIT: Duration = Duration::from_secs(120);

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// The remote has it now.
    Pushed,
    /// The remote had it already.
    UpToDate,
    /// The remote does not want it, in its own words. Trying again would not help.
    Rejected(String),
    /// The repository has no remote.
    NoRemote,
}

/// Why it is not known whether the remote has it.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The remote could not be reached or did not finish; a later try may do.
    #[error("the remote could not be reached: {0}; it is tried again")]
    Away(String),
    /// The remote lets this machine not in, or is not there.
    #[error(
        "the remote lets cyrus not in: {0}; let `git push` work without a question on this machine, by a credential helper or an ssh key"
    )]
    NotLetIn(String),
    /// Something is wrong on this side.
    #[error(transparent)]
    Here(#[from] GitError),
}

impl PushError {
    /// Whether a later try may do without anybody's help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Away(_) | Self::Here(GitError::Timeout { .. } | GitError::Start(_)) => true,
            Self::NotLetIn(_) | Self::Here(_) => false,
        }
    }
}

/// Pushes `commit` to `refname`, both in full: a commit's id and `refs/…`. Cyrus's own references under `refs/cyrus/` may
/// go anywhere; a branch only forward.
pub async fn push(repository: &Repository, commit: &str, refname: &str) -> Result<Pushed, PushError> {
    let Some(remote) = repository.remote().await? else { return Ok(Pushed::NoRemote) };
    if !is_id(commit) || !is_reference(refname) {
        return Ok(Pushed::Rejected(format!("{commit:?} to {refname:?} is nothing that cyrus pushes")));
    }
    let force = if refname.starts_with("refs/cyrus/") { "+" } else { "" };
    let refspec = format!("{force}{commit}:{refname}");
    let flags = ["--porcelain", "--no-verify", "--no-follow-tags", "--no-signed", "--recurse-submodules=no"];
    let answer = repository
        .network(["push"])
        .await?
        .args(flags)
        .args(["--", &remote, &refspec])
        .limit(LIMIT)
        .answer()
        .await?;
    judge(&answer)
}

fn is_id(commit: &str) -> bool {
    [40, 64].contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_reference(name: &str) -> bool {
    name.strip_prefix("refs/")
        .is_some_and(|rest| rest.contains('/') && super::BranchName::parse(rest).is_ok())
}

fn judge(answer: &Answer) -> Result<Pushed, PushError> {
    let text = String::from_utf8_lossy(&answer.stdout);
    let mut lines = text.lines().filter_map(|line| {
        let mut parts = line.splitn(3, '\t');
        Some((parts.next()?, parts.next()?, parts.next()?))
    });
    match lines.next() {
        Some(("=", ..)) => Ok(Pushed::UpToDate),
        Some(("!", _, words)) if may_pass(words) => Err(PushError::Away(words.to_owned())),
        Some(("!", _, words)) => Ok(Pushed::Rejected(rejection(words, &answer.stderr))),
        Some(_) if answer.status.success() => Ok(Pushed::Pushed),
        _ => Err(failure(&answer.stderr)),
    }
}

/// A remote that another push kept busy says no for now.
fn may_pass(words: &str) -> bool {
    [
        "failed to update ref",
        "cannot lock ref",
        "failed to lock",
        "unpacker error",
        "remote failed to report status",
    ]
    .iter()
    .any(|word| words.contains(word))
}

/// The remote's words about it: the line of git, and what a hook said.
fn rejection(words: &str, stderr: &str) -> String {
    let said: Vec<&str> =
        stderr.lines().filter_map(|line| line.strip_prefix("remote: ")).map(str::trim).collect();
    let said = said.iter().filter(|line| !line.is_empty()).take(5).copied().collect::<Vec<_>>().join(" ");
    if said.is_empty() { words.to_owned() } else { format!("{words}: {said}") }
}

fn failure(stderr: &str) -> PushError {
    let closed = [
        "uthentication failed",
        "could not read Username",
        "could not read Password",
        "terminal prompts disabled",
        "Permission to ",
        "ermission denied",
        "Host key verification failed",
        "does not appear to be a git repository",
        "epository not found",
        "Access denied",
        "error: 401",
        "error: 403",
        "error: 404",
    ];
    let words = stderr.to_owned();
    if closed.iter().any(|word| stderr.contains(word)) {
        PushError::NotLetIn(words)
    } else {
        PushError::Away(words)
    }
}

#[cfg(test)]
mod tests;
