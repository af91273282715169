//! Runs git: arguments as a vector, no shell, no questions, no hooks, a time limit.
//! Neighbours: `repository` and `worktree` build on it.
//! It must never ask on a terminal, run a program that a repository names, or outlive its time limit.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::GitError;

/// The limit of local work.
pub const LOCAL: Duration = Duration::from_secs(120);
/// The limit of work over the network.
pub const NETWORK: Duration = Duration::from_secs(60);

const STDERR_SHOWN: usize = 2000;

/// Settings of a repository that would make git run a program, or change what is meant.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "commit.gpgSign=false",
    "submodule.recurse=false",
    // Looking into a nested repository obeys that repository's own settings, which an agent can write.
    "diff.ignoreSubmodules=dirty",
    "status.submoduleSummary=false",
    "core.quotePath=false",
    "advice.detachedHead=false",
    "advice.addEmbeddedRepo=false",
    "gc.auto=0",
    "maintenance.auto=false",
];

/// Variables that would point git at another repository.
const FOREIGN: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_EXTERNAL_DIFF",
    "GIT_EDITOR",
];

/// One git command in one folder.
#[derive(Debug)]
pub struct Git {
    folder: PathBuf,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    stdin: Option<Vec<u8>>,
    limit: Duration,
    own_ssh: bool,
}

/// What git answered.
#[derive(Debug)]
pub struct Answer {
    /// How git ended.
    pub status: ExitStatus,
    /// Its output.
    pub stdout: Vec<u8>,
    /// The end of its error output, with passwords in URLs taken out.
    pub stderr: String,
}

impl Git {
    /// A git command in `folder`. The first argument is the command's name.
    pub fn new<A: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = A>) -> Self {
        Self {
            folder: folder.to_owned(),
            args: args.into_iter().map(|arg| arg.as_ref().to_owned()).collect(),
            env: Vec::new(),
            stdin: None,
            limit: LOCAL,
            own_ssh: false,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets one variable.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    /// Sets several variables.
    #[must_use]
    pub fn envs<V: AsRef<OsStr>>(self, all: impl IntoIterator<Item = (&'static str, V)>) -> Self {
        all.into_iter().fold(self, |git, (name, value)| git.env(name, value))
    }

    /// Gives bytes on stdin.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Sets the time limit; [`LOCAL`] otherwise.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Leaves the choice of the ssh command to the repository's settings.
    #[must_use]
    pub fn own_ssh(mut self) -> Self {
        self.own_ssh = true;
        self
    }

    /// Runs it, whatever git answers.
    pub async fn answer(self) -> Result<Answer, GitError> {
        let verb = self.verb();
        let mut child = self.command().spawn().map_err(GitError::Start)?;
        let pid = child.id();
        let input = child.stdin.take().zip(self.stdin);
        let work = async move {
            let write = async {
                if let Some((mut pipe, bytes)) = input {
                    // Git may end without reading; its answer says why.
                    let _ = pipe.write_all(&bytes).await;
                }
            };
            tokio::join!(write, child.wait_with_output()).1
        };
        match tokio::time::timeout(self.limit, work).await {
            Ok(output) => {
                let output = output.map_err(GitError::Start)?;
                Ok(Answer { status: output.status, stdout: output.stdout, stderr: shown(&output.stderr) })
            }
            Err(_) => {
                if let Some(pid) = pid {
                    crate::executor::process_tree::signal_group(pid, nix::sys::signal::Signal::SIGKILL);
                }
                Err(GitError::Timeout { verb, limit: self.limit })
            }
        }
    }

    /// Runs it; anything but exit code 0 is an error.
    pub async fn output(self) -> Result<Vec<u8>, GitError> {
        let verb = self.verb();
        let answer = self.answer().await?;
        if answer.status.success() {
            Ok(answer.stdout)
        } else {
            Err(GitError::Failed { verb, status: answer.status, stderr: answer.stderr })
        }
    }

    /// Runs it and gives its output as one trimmed line of text.
    pub async fn line(self) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.output().await?).trim().to_owned())
    }

    /// Runs it and says whether it ended with exit code 0.
    pub async fn succeeds(self) -> Result<bool, GitError> {
        Ok(self.answer().await?.status.success())
    }

    fn verb(&self) -> String {
        self.args.first().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        for name in FOREIGN {
            command.env_remove(name);
        }
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            // Empty, it keeps git from the settings' and ssh's own windows that ask.
            .env("GIT_ASKPASS", "")
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env("GCM_INTERACTIVE", "never")
            .env("LC_ALL", "C")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .args(&self.args)
            .current_dir(&self.folder)
            .stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if !self.own_ssh && std::env::var_os("GIT_SSH_COMMAND").is_none() {
            command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes");
        }
        command
    }
}

/// Paths out of git's NUL-separated output.
pub fn paths(output: &[u8]) -> impl Iterator<Item = PathBuf> + '_ {
    output
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
}

/// The end of git's words, without what stands before the `@` of a URL.
fn shown(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut start = text.len().saturating_sub(STDERR_SHOWN);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let end = text.get(start..).unwrap_or_default().trim();
    end.split_inclusive(char::is_whitespace).map(without_credentials).collect()
}

fn without_credentials(word: &str) -> String {
    match word.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://…@{host}"),
            None => word.to_owned(),
        },
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        let words =
            shown(b"fatal: unable to access 'https://x-access-token:ghs_secret@github.com/o/r.git/': no\n");
        assert_eq!(words, "fatal: unable to access 'https://…@github.com/o/r.git/': no");
    }

    #[test]
    fn only_the_end_of_long_words_is_kept() {
        assert!(shown("я".repeat(10_000).as_bytes()).len() <= STDERR_SHOWN);
    }

    #[tokio::test]
    async fn a_command_over_its_limit_is_ended_with_all_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let started = std::time::Instant::now();
        let alias = "alias.wait=!sleep 60 & wait";
        let git = Git::new(dir.path(), ["-c", alias, "wait"]).limit(Duration::from_millis(300));
        assert!(matches!(git.answer().await, Err(GitError::Timeout { .. })));
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
