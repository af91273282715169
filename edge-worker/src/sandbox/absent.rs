//! Stands for `boxed` where the system has no such means. Nothing is started here, since there is no keeper either.

use std::convert::Infallible;
use std::fs::File;
use std::io::{ErrorKind, Result};
use std::path::Path;

use tokio::net::unix::pipe;
use tokio::process::Child;

/// A program in its box; there is none.
#[derive(Debug)]
pub struct Boxed {
    /// The program that keeps the others.
    pub child: Child,
    /// The program's input.
    pub input: pipe::Sender,
    /// Its end, in hand.
    pub lifeline: Lifeline,
}

/// The hold on a run; there is none.
#[derive(Debug)]
pub struct Lifeline(Infallible);

impl Lifeline {
    /// Sends SIGTERM to the program.
    pub fn terminate(&self) {
        match self.0 {}
    }
}

/// What is to be started, beside its program, arguments, environment and folder.
#[derive(Debug)]
pub struct Io {
    /// Where the output goes.
    pub stdout: File,
    /// Where the error output goes.
    pub stderr: File,
    /// The run's lock.
    pub lock: File,
}

/// Fails.
pub async fn spawn<'a>(
    _keeper: &Path,
    _program: &Path,
    _args: &[std::ffi::OsString],
    _env: impl Iterator<Item = (&'a std::ffi::OsStr, &'a std::ffi::OsStr)>,
    _cwd: &Path,
    _io: Io,
) -> Result<Boxed> {
    Err(ErrorKind::Unsupported.into())
}
