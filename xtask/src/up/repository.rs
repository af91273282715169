//! The repositories that the edges work on: given ones, or a scratch one with a first commit.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A repository on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What people call it.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// `host/owner/name` of its remote `origin`.
    pub remote: Option<String>,
    /// The branch that work starts from.
    pub base_branch: String,
}

const README: &str =
    "# Invoices\n\nA small example project. Cyrus works on it when you run `cargo xtask up --demo`.\n";
const SOURCE: &str = "// The rows of an invoice list.\nexport function rows(invoices) {\n  return invoices.map((invoice) => ({ number: invoice.number, customer: invoice.customer }));\n}\n";

/// Makes the scratch repository, or finds the one of an earlier start.
pub fn scratch(path: &Path) -> Result<Repository> {
    if !path.join(".git").is_dir() {
        fs::create_dir_all(path.join("src"))?;
        fs::write(path.join("README.md"), README)?;
        fs::write(path.join("src/invoices.js"), SOURCE)?;
        git(path, ["init", "--quiet", "--initial-branch=main"])?;
        // So that an agent can commit on a machine whose git knows no one.
        git(path, ["config", "user.name", "Cyrus Demo"])?;
        git(path, ["config", "user.email", "demo@cyrus.invalid"])?;
        git(path, ["config", "commit.gpgsign", "false"])?;
        git(path, ["add", "--all"])?;
        git(path, ["commit", "--quiet", "--message=Begin"])?;
    }
    given(path)
}

/// A repository that is there.
pub fn given(path: &Path) -> Result<Repository> {
    let path =
        path.canonicalize().with_context(|| format!("there is no repository at {}", path.display()))?;
    let base_branch = git(&path, ["symbolic-ref", "--short", "HEAD"])
        .with_context(|| format!("{} is not a git repository with a branch", path.display()))?;
    let remote = git(&path, ["remote", "get-url", "origin"]).ok().and_then(|url| normalised(&url));
    let name = path.file_name().unwrap_or(OsStr::new("repository")).to_string_lossy().into_owned();
    Ok(Repository { name, path, remote, base_branch })
}

/// Runs git in a folder and gives what it printed, trimmed.
pub fn git<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Result<String> {
    let arguments: Vec<&str> = arguments.into_iter().collect();
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(&arguments)
        // A hook of another repository may be what runs this.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .output()
        .context("no `git` was found; install it from https://git-scm.com")?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("`git {}` failed: {}", arguments.join(" "), told.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `host/owner/name` of a remote's URL; `None` for a path on this machine.
fn normalised(url: &str) -> Option<String> {
    let rest = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.to_owned(),
        // As `git@host:owner/name`.
        None => url.split_once(':').map(|(host, path)| format!("{host}/{path}"))?,
    };
    let (authority, path) = rest.split_once('/')?;
    let host = authority.rsplit('@').next()?.split(':').next()?.to_lowercase();
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!host.is_empty() && !path.is_empty()).then(|| format!("{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scratch_repository_has_one_commit_on_main_and_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("with space/demo");
        let made = scratch(&path).unwrap();
        assert_eq!((made.name.as_str(), made.base_branch.as_str(), &made.remote), ("demo", "main", &None));
        assert_eq!(git(&path, ["rev-list", "--count", "main"]).unwrap(), "1");
        assert_eq!(scratch(&path).unwrap(), made);
        assert_eq!(git(&path, ["rev-list", "--count", "main"]).unwrap(), "1");
    }

    #[test]
    fn a_folder_that_is_no_repository_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(given(folder.path()).is_err());
        assert!(given(&folder.path().join("none")).is_err());
    }

    #[test]
    fn the_spellings_of_a_remote_are_one_repository_and_no_secret_stays_in_it() {
        for url in [
            "git@GitHub.com:owner/name.git",
            "https://github.com/owner/name",
            "https://token:secret@github.com/owner/name.git",
            "ssh://git@github.com:22/owner/name/",
        ] {
            assert_eq!(normalised(url).as_deref(), Some("github.com/owner/name"), "{url}");
        }
        for local in ["/srv/name.git", "file:///srv/name.git", "../name"] {
            assert_eq!(normalised(local), None, "{local}");
        }
    }
}
