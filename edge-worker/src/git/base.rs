//! The branch that an issue's work starts from: what a person named, else the parent issue's branch where it was pushed,
//! else the configured one, else the remote's default.
//! Neighbours: the workplace asks once per worktree; `worktree` fetches the branch again when it makes one.
//! It must never start from another branch than the one that a person named: then it refuses in words.

use super::{BranchName, GitError, Repository};

/// What may say where work starts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes<'a> {
    /// `#branch` of a `[repo=…]` tag.
    pub named: Option<&'a str>,
    /// The branch of the parent issue, as Linear suggests it.
    pub parent: Option<&'a str>,
    /// `baseBranch` of the configuration.
    pub configured: Option<&'a str>,
}

/// The branch to start from; `None`: the repository's default.
pub async fn choose(repository: &Repository, wishes: &Wishes<'_>) -> Result<Option<String>, GitError> {
    if let Some(named) = wishes.named {
        let branch = BranchName::parse(named)?;
        return match is_there(repository, &branch).await? {
            true => Ok(Some(named.to_owned())),
            false => Err(GitError::NoBase { base: named.to_owned() }),
        };
    }
    // Most parents have no branch that was pushed, and some names in Linear are no branches at all.
    if let Some(parent) = wishes.parent.and_then(|name| BranchName::parse(name).ok())
        && is_there(repository, &parent).await?
    {
        return Ok(Some(parent.as_str().to_owned()));
    }
    Ok(wishes.configured.map(str::to_owned))
}

/// Whether the remote has the branch; as far as is known here when it cannot be asked, or there is none.
async fn is_there(repository: &Repository, branch: &BranchName) -> Result<bool, GitError> {
    let Some(remote) = repository.remote().await? else {
        return Ok(repository.commit(&branch.reference()).await?.is_some());
    };
    let fetched = {
        let _guard = repository.lock().await;
        repository.fetch(&remote, branch.as_str()).await
    };
    match fetched {
        Ok(known) => Ok(known),
        Err(_) => {
            let known = repository.commit(&format!("refs/remotes/{remote}/{branch}")).await?;
            Ok(known.is_some() || repository.commit(&branch.reference()).await?.is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::worktree::tests::{Scene, commit, git};

    #[tokio::test]
    async fn the_named_branch_comes_first_then_the_parents_then_the_configured() {
        let scene = Scene::with_remote();
        let other = scene.path("other");
        for branch in ["release", "parent"] {
            git(&other, &["switch", "--quiet", "-c", branch, "main"]);
            commit(&other, branch, branch);
            git(&other, &["push", "--quiet", "origin", branch]);
        }
        let repository = Repository::open(&scene.path("repo")).await.unwrap();
        for (named, parent, configured, expected) in [
            (Some("release"), Some("parent"), Some("main"), Some("release")),
            (None, Some("parent"), Some("main"), Some("parent")),
            (None, Some("jane/not-pushed"), Some("main"), Some("main")),
            (None, Some("--upload-pack=id"), Some("main"), Some("main")),
            (None, Some("$(id)"), None, None),
            (None, None, Some("release"), Some("release")),
            (None, None, None, None),
        ] {
            let wishes = Wishes { named, parent, configured };
            assert_eq!(choose(&repository, &wishes).await.unwrap().as_deref(), expected, "{wishes:?}");
        }
        for named in ["nowhere", "-x", "a..b", "", "$(id)", "a\0b"] {
            let refused = choose(&repository, &Wishes { named: Some(named), ..Wishes::default() }).await;
            assert!(matches!(refused, Err(GitError::NoBase { .. } | GitError::Branch(_))), "{named:?}");
        }
        let tree = scene.ensure_in("repo", "ENG-1", "eng-1", Some("parent")).await.unwrap();
        assert!(tree.path.join("parent").exists() && !tree.path.join("release").exists());
    }

    #[tokio::test]
    async fn with_the_remote_away_what_is_known_of_it_counts() {
        let scene = Scene::with_remote();
        let repo = scene.path("repo");
        git(&repo, &["update-ref", "refs/remotes/origin/parent", "HEAD"]);
        git(&repo, &["remote", "set-url", "origin", "/nowhere"]);
        let repository = Repository::open(&repo).await.unwrap();
        let of = |parent| Wishes { parent: Some(parent), ..Wishes::default() };
        assert_eq!(choose(&repository, &of("parent")).await.unwrap().as_deref(), Some("parent"));
        assert_eq!(choose(&repository, &of("other")).await.unwrap(), None);
    }
}
