//! Starts a program in its box, from `cyrus`'s side, and holds the lifeline.
//! Neighbours: `inside` is the other end; an executor's process loop owns what is made here.
//! It must never kill `cyrus __inside` while the lifeline can still do it: that would orphan the agent.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::plan::Plan;
use super::wire;

/// How long the start may take. It takes some 10 ms.
const START: Duration = Duration::from_secs(20);

/// A program in its box.
#[derive(Debug)]
pub struct Boxed {
    /// `cyrus __inside`: it ends with the program's code when the last process of the run is gone.
    pub child: Child,
    /// The program's input.
    pub input: pipe::Sender,
    /// Its end, in hand.
    pub lifeline: Lifeline,
}

/// The hold on a run: when it is dropped, the run and all its processes end.
#[derive(Debug)]
pub struct Lifeline(UnixStream);

impl Lifeline {
    /// Sends SIGTERM to the program.
    pub fn terminate(&self) {
        let _ = self.0.try_write(&[wire::TERMINATE]);
    }
}

/// What is to be started, beside its program, arguments, environment and folder.
#[derive(Debug)]
pub struct Io {
    /// Where the output goes.
    pub stdout: File,
    /// Where the error output goes.
    pub stderr: File,
    /// The run's lock; see [`super::lock`].
    pub lock: File,
}

/// Starts `command`'s program through `keeper`. The environment is exactly `env`.
pub async fn spawn<'a>(
    keeper: &Path,
    program: &Path,
    args: &[std::ffi::OsString],
    env: impl Iterator<Item = (&'a std::ffi::OsStr, &'a std::ffi::OsStr)>,
    cwd: &Path,
    io: Io,
) -> Result<Boxed> {
    let (near, far) = std::os::unix::net::UnixStream::pair()?;
    let (input_end, input) = std::io::pipe()?;
    let input = pipe::Sender::from_owned_fd(OwnedFd::from(input))?;
    near.set_nonblocking(true)?;
    let mut lifeline = UnixStream::from_std(near)?;
    let child = Command::new(keeper)
        .arg("__inside")
        .arg("--")
        .arg(program)
        .args(args)
        .env_clear()
        .envs(env)
        .current_dir(cwd)
        .stdin(Stdio::from(OwnedFd::from(far)))
        .stdout(io.stdout)
        .stderr(io.stderr)
        .process_group(0)
        .spawn()?;
    let start = async {
        wire::give(&lifeline, wire::PLAN, &[input_end.as_fd(), io.lock.as_fd()])?;
        let plan = serde_json::to_vec(&Plan::default())?;
        let length = u32::try_from(plan.len()).map_err(Error::other)?;
        lifeline.write_all(&length.to_le_bytes()).await?;
        lifeline.write_all(&plan).await?;
        loop {
            lifeline.readable().await?;
            match lifeline.try_io(Interest::READABLE, || wire::take(&lifeline)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                told => return told,
            }
        }
    };
    let told = tokio::time::timeout(START, start).await.map_err(|_| Error::from(ErrorKind::TimedOut))?;
    match told {
        Ok((wire::STARTED, _)) => Ok(Boxed { child, input, lifeline: Lifeline(lifeline) }),
        Ok((wire::FAILED, _)) => {
            let mut reason = String::new();
            lifeline.read_to_string(&mut reason).await?;
            Err(Error::other(reason))
        }
        Ok(_) => Err(Error::other("the start was answered with something else")),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(Error::other("the program that keeps the run's processes ended at once"))
        }
        Err(error) => Err(error),
    }
}
