//! `cyrus __inside -- <program> <arguments>`: the parent of all processes of a run.
//!
//! It starts the agent, reaps what becomes its own, watches the lifeline, and ends everything when the agent or the
//! lifeline has ended. It leaves only when no child is left, so its end and the run's lock say that all are gone.
//! Its exit code is the agent's; 128 and the signal's number when a signal ended that.

use std::ffi::OsString;
use std::io::{Error, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{DumpableBehavior, PidfdFlags, pidfd_open, pidfd_send_signal, set_child_subreaper};

use super::plan::Plan;
use super::{COULD_NOT_BEGIN, wire};

/// The code of a run that was ended from outside: as if by SIGKILL.
const ENDED: i32 = 137;
const ROUND: Duration = Duration::from_millis(2);
/// The longest plan, in bytes.
const LONGEST_PLAN: u32 = 16 * 1024 * 1024;

/// Runs it. Returns only when the agent could not be started.
pub(super) fn run(arguments: Vec<OsString>) -> ExitCode {
    // Whoever wants the run to end tells `cyrus`; a signal to this process alone would orphan the agent.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).unwrap_or_else(|_| SigSet::empty());
    let Ok(mut lifeline) = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else {
        return ExitCode::from(COULD_NOT_BEGIN);
    };
    match Kept::start(&lifeline, arguments, before) {
        Ok(kept) => kept.keep(lifeline),
        Err(error) => {
            let _ = wire::give(&lifeline, wire::FAILED, &[]);
            let _ = lifeline.write_all(error.to_string().as_bytes());
            ExitCode::from(COULD_NOT_BEGIN)
        }
    }
}

/// A running agent.
struct Kept {
    agent: Pid,
    handle: OwnedFd,
    /// Held to the very end.
    _lock: OwnedFd,
}

impl Kept {
    fn start(lifeline: &UnixStream, arguments: Vec<OsString>, mask: SigSet) -> std::io::Result<Self> {
        let (input, lock, _plan) = receive(lifeline)?;
        let mut words = arguments.into_iter().skip_while(|word| word == "--");
        let program = words.next().ok_or_else(|| Error::other("no program is named"))?;
        if !is_first() {
            set_child_subreaper(Some(rustix::process::getpid()))?;
        }
        // The agent runs as the same user: it must neither trace this process nor read its files.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        let mut command = Command::new(&program);
        command.args(words).stdin(Stdio::from(input));
        let start = move || {
            mask.thread_set_mask()?;
            command.spawn()
        };
        // Its own thread: what is given up there is given up by the agent alone.
        let child = std::thread::Builder::new()
            .spawn(start)?
            .join()
            .map_err(|_| Error::other("the start did not come to its end"))??;
        let agent = rustix::process::Pid::from_child(&child);
        let handle = pidfd_open(agent, PidfdFlags::empty())?;
        let agent = Pid::from_raw(agent.as_raw_nonzero().get());
        Ok(Self { agent, handle, _lock: lock })
    }

    fn keep(self, lifeline: UnixStream) -> ! {
        let _ = wire::give(&lifeline, wire::STARTED, &[]);
        let handle = self.handle;
        let watching = std::thread::Builder::new().spawn(move || watch(lifeline, &handle));
        if watching.is_err() {
            end_all(ENDED);
        }
        loop {
            match waitpid(None, None) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.agent => end_all(code),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.agent => end_all(128 + signal as i32),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => end_all(ENDED),
            }
        }
    }
}

/// What `cyrus` gives: the agent's input, the run's lock, the plan.
fn receive(mut lifeline: &UnixStream) -> std::io::Result<(OwnedFd, OwnedFd, Plan)> {
    let (byte, files) = wire::take(lifeline)?;
    let [input, lock]: [OwnedFd; 2] =
        files.try_into().map_err(|_| Error::other("the files of the run did not come"))?;
    if byte != wire::PLAN {
        return Err(Error::other("the plan did not come"));
    }
    let mut length = [0; 4];
    lifeline.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST_PLAN {
        return Err(Error::other("the plan is too long"));
    }
    let mut text = Vec::new();
    lifeline.take(u64::from(length)).read_to_end(&mut text)?;
    Ok((input, lock, serde_json::from_slice(&text)?))
}

/// Obeys the lifeline until it closes.
fn watch(mut lifeline: UnixStream, agent: &OwnedFd) {
    let mut byte = [0];
    loop {
        match lifeline.read(&mut byte) {
            Ok(1) if byte == [wire::TERMINATE] => {
                let _ = pidfd_send_signal(agent, rustix::process::Signal::TERM);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            _ => end_all(ENDED),
        }
    }
}

/// Kills every process of the run and leaves with `code` when none is left.
///
/// That no child is left is known from the system's answer alone: the leader of a program with living threads looks
/// like a dead process, and its children come here only when the last thread has ended.
fn end_all(code: i32) -> ! {
    static ENDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ENDING.lock();
    loop {
        if is_first() {
            // As the first process of its namespace this one reaches all others in it, and nobody outside.
            let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        } else {
            for child in children() {
                let _ = kill(child, Signal::SIGKILL);
            }
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Err(Errno::ECHILD) => std::process::exit(code),
                _ => {}
            }
        }
        std::thread::sleep(ROUND);
    }
}

fn is_first() -> bool {
    std::process::id() == 1
}

/// The processes whose parent is this one: none of their numbers is free for another before they are reaped here.
fn children() -> Vec<Pid> {
    let own = std::process::id().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // The program's name may hold anything, so fields count from the last parenthesis.
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)) == Some(&own)
        })
        .map(Pid::from_raw)
        .collect()
}
