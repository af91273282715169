//! The set-up scripts of a new worktree: the machine owner's, then the repository's `cyrus-setup.sh`. Each has a time
//! limit, an output file of its own, and the issue in its environment; what goes wrong is told and stops no work.
//!
//! Neighbours: [`super::workplace`] says when. It must never put outside text into a shell's words, hold the loop up, or
//! leave a process behind.

use std::ffi::OsString;
use std::fs::File;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use shared::event::Issue;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::executor::Environment;
use crate::executor::lines::Line;
use crate::executor::process_tree::{self, RUN_MARK};
use crate::executor::tail::Tail;
use crate::sandbox::{self, boxed, lock};

/// The repository's own script, at the top of the worktree.
pub const SCRIPT: &str = "cyrus-setup.sh";
/// How long a script may take.
pub const LIMIT: Duration = Duration::from_secs(5 * 60);
/// How often it is said that a script still runs.
pub const TICK: Duration = Duration::from_secs(10);

/// How soon new output is looked for.
const LOOK: Duration = Duration::from_millis(100);
/// The most lines of one script that are told; the rest stays in its file.
const TOLD: usize = 500;
/// How long what keeps a script's processes may take to end them.
const ENDS_WITHIN: Duration = Duration::from_secs(3);
/// How many last lines a failure shows.
const SHOWN: usize = 8;
/// The longest line that is told, in characters.
const LONGEST: usize = 1000;

/// One script to run.
#[derive(Debug)]
pub struct Setup {
    /// The script, an absolute path.
    pub script: PathBuf,
    /// The worktree.
    pub cwd: PathBuf,
    /// Its whole environment.
    pub env: Environment,
    /// Its output goes to this file.
    pub out: PathBuf,
    /// The mark of its processes.
    pub mark: String,
    /// How long it may take.
    pub limit: Duration,
    /// How often it is said that it still runs.
    pub tick: Duration,
}

/// What is told while a script runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It wrote a line.
    Line(String),
    /// It runs for so long now.
    Still {
        /// Since its start.
        elapsed: Duration,
        /// The last line that it wrote.
        last: Option<String>,
    },
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Well.
    Done,
    /// Not well, in words for the person. The work begins all the same.
    Failed(String),
    /// A stop came.
    Stopped,
}

/// The scripts for a worktree, in order. A script of the configuration takes the place of the repository's own.
pub fn scripts(global: Option<&Path>, configured: Option<&Path>, worktree: &Path) -> Vec<PathBuf> {
    let own = worktree.join(SCRIPT);
    let own = own.symlink_metadata().is_ok_and(|meta| meta.is_file()).then_some(own);
    let configured =
        configured.map(|script| if script.is_absolute() { script.to_owned() } else { worktree.join(script) });
    global.map(Path::to_owned).into_iter().chain(configured.or(own)).collect()
}

/// What a script gets in its environment: nothing of cyrus's secrets, and the issue as plain values.
pub fn environment(issue: Option<&Issue>, mark: &str) -> Environment {
    let value = |text: &str| text.replace('\0', "");
    let mut env = Environment::plain().with(RUN_MARK, mark).with("GIT_TERMINAL_PROMPT", "0");
    if let Some(issue) = issue {
        env = env
            .with("LINEAR_ISSUE_ID", value(issue.id.as_str()))
            .with("LINEAR_ISSUE_IDENTIFIER", value(issue.identifier.as_deref().unwrap_or_default()))
            .with("LINEAR_ISSUE_TITLE", value(&issue.title));
    }
    env
}

/// Runs a script to its end, the time limit or the stop, whichever comes first; nothing of it is left then.
pub async fn run(setup: &Setup, stop: impl Future<Output = ()>, mut progress: impl FnMut(Progress)) -> End {
    let name = setup.script.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |words: String| End::Failed(format!("`{name}` {words}; the work begins all the same"));
    // What a killed cyrus left of it is on its way out.
    lock::released(&setup.out).await;
    process_tree::sweep(&setup.mark).await;
    let mut going = match start(setup).await {
        Ok(going) => going,
        Err(error) => return failed(format!("could not be started: {error}")),
    };
    let mut stop = pin!(stop);
    let begun = Instant::now();
    let (mut next_look, mut next_tick) = (begun + LOOK, begun + setup.tick);
    let ended = loop {
        tokio::select! {
            biased;
            () = &mut stop => break Ended::Stopped,
            status = going.child.wait() => break Ended::Itself(status),
            () = tokio::time::sleep_until(begun + setup.limit) => break Ended::TooLate,
            () = tokio::time::sleep_until(next_look) => {
                going.look(&mut progress).await;
                next_look = Instant::now() + LOOK;
            }
            () = tokio::time::sleep_until(next_tick) => {
                progress(Progress::Still { elapsed: begun.elapsed(), last: going.last.last().cloned() });
                next_tick += setup.tick;
            }
        }
    };
    going.end(&setup.mark).await;
    while going.look(&mut progress).await {}
    if let Some(line) = going.tail.last_line() {
        going.take(&line, &mut progress);
    }
    let shown = going.shown();
    match ended {
        Ended::Stopped => End::Stopped,
        Ended::Itself(Ok(status)) if status.success() => End::Done,
        Ended::Itself(Ok(status)) => failed(format!("ended with {status}{shown}")),
        Ended::Itself(Err(error)) => failed(format!("was lost: {error}")),
        Ended::TooLate => {
            failed(format!("took longer than {} s and was ended{shown}", setup.limit.as_secs()))
        }
    }
}

enum Ended {
    Itself(std::io::Result<ExitStatus>),
    Stopped,
    TooLate,
}

struct Going {
    child: Child,
    /// The hold on all that it started, where the system has that.
    lifeline: Option<boxed::Lifeline>,
    tail: Tail,
    /// The last lines, the newest at the end.
    last: Vec<String>,
    told: usize,
}

impl Going {
    /// Ends all of it that is left, in the background too.
    async fn end(&mut self, mark: &str) {
        if self.lifeline.take().is_some() {
            // What keeps its processes ends them now, and then itself.
            let _ = tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await;
        }
        match self.child.id() {
            Some(pid) => {
                process_tree::kill_tree(pid, mark).await;
                // It is killed, so this does not wait for long.
                let _ = self.child.wait().await;
            }
            None => drop(process_tree::sweep(mark).await),
        }
    }

    /// Tells what is new. False at the end of what there is.
    async fn look(&mut self, progress: &mut impl FnMut(Progress)) -> bool {
        let grew = self.tail.read().await.is_ok_and(|count| count > 0);
        while let Some(line) = self.tail.next_line() {
            self.take(&line, progress);
        }
        grew
    }

    fn take(&mut self, line: &Line, progress: &mut impl FnMut(Progress)) {
        let text: String =
            line.text().chars().filter(|c| !c.is_control() || *c == '\t').take(LONGEST).collect();
        if text.trim().is_empty() {
            return;
        }
        if self.last.len() == SHOWN {
            self.last.remove(0);
        }
        self.last.push(text.clone());
        self.told += 1;
        if self.told <= TOLD {
            progress(Progress::Line(text));
        }
    }

    fn shown(&self) -> String {
        if self.last.is_empty() {
            return String::new();
        }
        format!(
            ". Its last lines:\n\n```\n{}\n```\n\nMend the script",
            self.last.join("\n").replace("```", "'''")
        )
    }
}

async fn start(setup: &Setup) -> std::io::Result<Going> {
    if let Some(folder) = setup.out.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let file = tokio::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&setup.out).await?;
    let begin = file.metadata().await?.len();
    let tail = Tail::open(&setup.out, begin).await?;
    let out = file.into_std().await;
    let held = lock::take(&setup.out)?;
    // A script that says by what it is run is run by that; any other by a shell, to which its path is one argument.
    let runnable = tokio::fs::metadata(&setup.script).await?.permissions().mode() & 0o111 != 0;
    let own = runnable.then(|| (setup.script.clone(), Vec::new()));
    let shells =
        ["bash", "sh"].map(|shell| (PathBuf::from(shell), vec![setup.script.clone().into_os_string()]));
    let mut refused = std::io::Error::from(std::io::ErrorKind::NotFound);
    for (program, args) in own.into_iter().chain(shells) {
        match spawn(setup, &program, &args, &out, &held).await {
            Ok((child, lifeline)) => return Ok(Going { child, lifeline, tail, last: Vec::new(), told: 0 }),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Starts the program, through the one that keeps its processes together where there is such a one.
async fn spawn(
    setup: &Setup,
    program: &Path,
    args: &[OsString],
    out: &File,
    held: &File,
) -> std::io::Result<(Child, Option<boxed::Lifeline>)> {
    let (stdout, stderr) = (out.try_clone()?, out.try_clone()?);
    if let Some(keeper) = sandbox::keeper() {
        let io = boxed::Io { stdout, stderr, lock: held.try_clone()? };
        let started = boxed::spawn(&keeper, program, args, setup.env.iter(), &setup.cwd, io).await?;
        return Ok((started.child, Some(started.lifeline)));
    }
    let child = Command::new(program)
        .args(args)
        .env_clear()
        .envs(setup.env.iter())
        .current_dir(&setup.cwd)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, None))
}

#[cfg(test)]
mod tests;
