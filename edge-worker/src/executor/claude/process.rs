//! Runs `claude`: starts it, tails its output, hands events on, writes its input, keeps the limits, ends it.
//! Neighbours: `session` holds the rules, `process_tree` the killing, `process/ending` the steps of a stop.
//! It must never wait for a reader of events before it serves an order, and never leave a process behind.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::command::{self, CommandLine};
use super::control::{self, Control};
use super::session::Session;
use super::{input, stream};
use crate::executor::event::{Output, Place, Reading, RunEventKind, prefix};
use crate::executor::lines::Line;
use crate::executor::outcome::{Exit, RunOutcome, StopReason};
use crate::executor::process_tree;
use crate::executor::question::Decision;
use crate::executor::run::{self, Order, RunDriver};
use crate::executor::spec::{Limits, RunSpec};
use crate::executor::tail::Tail;
use crate::executor::{ExecutorError, Run};
use crate::sandbox::boxed::{self, Lifeline};
use crate::sandbox::lock;

mod ending;

use ending::{Ending, Step};

/// How soon new output is looked for while there is some, and at most when there is none.
const POLL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(100));
/// Events that wait here besides those in the channel.
const PENDING: usize = 1024;
/// How much of the error output is kept for the outcome.
const STDERR_KEPT: usize = 4096;
/// How long a program stays after its last result when it does not tell what became of its messages.
const LINGER: Duration = Duration::from_secs(5);

/// Starts the program. All that can go wrong later is in the run's outcome.
pub(super) async fn start(
    command: CommandLine,
    keeper: Option<&Path>,
    spec: RunSpec,
) -> Result<Run, ExecutorError> {
    if !tokio::fs::metadata(&spec.cwd).await.is_ok_and(|meta| meta.is_dir()) {
        return Err(ExecutorError::NoDirectory(spec.cwd));
    }
    if let Err(source) = tokio::fs::create_dir_all(&spec.config_dir).await {
        return Err(ExecutorError::RunFile { path: spec.config_dir, source });
    }
    if !spec.mcp.is_empty() {
        let path = command::mcp_file(&spec.run_file);
        write_servers(&spec, &path).await.map_err(|source| ExecutorError::RunFile { path, source })?;
    }
    let (stdout_file, stdout) = output_file(&spec.run_file).await?;
    let (stderr_file, stderr) = output_file(&stderr_path(&spec.run_file)).await?;
    let held = lock::take(&spec.run_file)
        .map_err(|source| ExecutorError::RunFile { path: lock::path(&spec.run_file), source })?;
    let written = Written { stdout: stdout_file, stderr: stderr_file, lock: held };
    let started = match keeper {
        Some(keeper) => kept(&command, keeper, &spec, written).await,
        None => alone(&command, &spec, written),
    };
    let Started { child, input, lifeline } =
        started.map_err(|source| ExecutorError::Spawn { program: command.program.clone(), source })?;
    let (run, driver) = run::channels(child.id());
    let now = Instant::now();
    let mut process = Process {
        child,
        kept: lifeline.is_some(),
        lifeline,
        servers: (!spec.mcp.is_empty()).then(|| command::mcp_file(&spec.run_file)),
        run_file: spec.run_file,
        stdout,
        stderr,
        input,
        session: Session::new(spec.prior_cost_micro_usd),
        control: Control::new(spec.permissions, spec.limits.usage_every, now),
        pending: VecDeque::new(),
        ending: Ending::default(),
        limits: spec.limits,
        run_id: spec.run_id,
        started: now,
        last_output: now,
        stderr_end: String::new(),
    };
    process.write_message(spec.prompt_id, &spec.prompt)?;
    tokio::spawn(process.drive(driver));
    Ok(run)
}

/// Writes the tool servers down for the program to read. They may hold secrets, so the file goes when the run ends.
async fn write_servers(spec: &RunSpec, path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    spec.mcp.write(path).await
}

/// Where a program writes, and the run's lock.
struct Written {
    stdout: std::fs::File,
    stderr: std::fs::File,
    lock: std::fs::File,
}

struct Started {
    child: Child,
    input: Option<mpsc::Sender<String>>,
    lifeline: Option<Lifeline>,
}

/// Starts the program through the one that keeps its processes together.
async fn kept(
    command: &CommandLine,
    keeper: &Path,
    spec: &RunSpec,
    written: Written,
) -> std::io::Result<Started> {
    let io = boxed::Io { stdout: written.stdout, stderr: written.stderr, lock: written.lock };
    let (program, env) = (&command.program, command.env.iter());
    let started = boxed::spawn(keeper, program, &command.args, env, &spec.cwd, io).await?;
    Ok(Started { child: started.child, input: Some(writer(started.input)), lifeline: Some(started.lifeline) })
}

/// Starts the program as a child of this process.
fn alone(command: &CommandLine, spec: &RunSpec, written: Written) -> std::io::Result<Started> {
    let mut child = Command::new(&command.program)
        .args(&command.args)
        .env_clear()
        .envs(command.env.iter())
        .current_dir(&spec.cwd)
        .stdin(Stdio::piped())
        .stdout(written.stdout)
        .stderr(written.stderr)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let input = child.stdin.take().map(writer);
    Ok(Started { child, input, lifeline: None })
}

/// The path of a run's error output.
pub(super) fn stderr_path(run_file: &Path) -> PathBuf {
    let mut name = run_file.as_os_str().to_owned();
    name.push(".stderr");
    name.into()
}

/// Opens a file for the program to append to, and a tail that begins where the file ends now.
async fn output_file(path: &Path) -> Result<(std::fs::File, Tail), ExecutorError> {
    let open = async {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        let file = tokio::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).await?;
        let offset = file.metadata().await?.len();
        let tail = Tail::open(path, offset).await?;
        Ok((file.into_std().await, tail))
    };
    open.await.map_err(|source| ExecutorError::RunFile { path: path.to_owned(), source })
}

/// A task that writes to the program, so that a full pipe stops nobody. Dropping the sender closes the pipe.
fn writer(mut stdin: impl AsyncWrite + Unpin + Send + 'static) -> mpsc::Sender<String> {
    let (sender, mut lines) = mpsc::channel::<String>(64);
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            if stdin.write_all(line.as_bytes()).await.is_err() || stdin.flush().await.is_err() {
                return;
            }
        }
    });
    sender
}

struct Process {
    /// The program, or the one that keeps it.
    child: Child,
    /// Dropped, it ends all processes of the run; absent when the program was started directly.
    lifeline: Option<Lifeline>,
    /// Whether another program ran this one for us.
    kept: bool,
    run_file: PathBuf,
    stdout: Tail,
    stderr: Tail,
    input: Option<mpsc::Sender<String>>,
    session: Session,
    control: Control,
    /// The file of the tool servers.
    servers: Option<PathBuf>,
    pending: VecDeque<Reading>,
    ending: Ending,
    limits: Limits,
    run_id: String,
    started: Instant,
    last_output: Instant,
    stderr_end: String,
}

impl Process {
    async fn drive(mut self, mut driver: RunDriver) {
        let exit = self.live(&mut driver).await;
        self.input = None;
        // What a program that was killed itself could not end.
        if !self.kept || matches!(exit, None | Some(Exit::Signal(_))) {
            process_tree::sweep(&self.run_id).await;
        }
        let exit = if self.kept { exit.map(Exit::relayed) } else { exit };
        let _ = tokio::fs::remove_file(lock::path(&self.run_file)).await;
        self.drain().await;
        if let Some(path) = self.servers.take() {
            let _ = tokio::fs::remove_file(path).await;
        }
        driver.orders.close();
        let stderr = std::mem::take(&mut self.stderr_end);
        let outcome: RunOutcome = self.session.finish(exit, &stderr, self.started.elapsed());
        for reading in self.pending {
            if driver.readings.send(reading).await.is_err() {
                break;
            }
        }
        drop(driver.readings);
        let _ = driver.outcome.send(outcome);
    }

    /// Serves the run until the program has exited.
    async fn live(&mut self, driver: &mut RunDriver) -> Option<Exit> {
        let mut pause = POLL.0;
        let mut next_look = Instant::now();
        loop {
            let listened = !driver.readings.is_closed();
            if !listened {
                self.pending.clear();
            }
            tokio::select! {
                status = self.child.wait() => return status.ok().map(Exit::from),
                Some(order) = driver.orders.recv() => self.obey(order),
                permit = driver.readings.reserve(), if listened && !self.pending.is_empty() => {
                    if let (Ok(permit), Some(reading)) = (permit, self.pending.pop_front()) {
                        permit.send(reading);
                    }
                }
                () = tokio::time::sleep_until(next_look) => {
                    let grew = self.look().await;
                    pause = if grew { POLL.0 } else { (pause * 2).min(POLL.1) };
                    next_look = Instant::now() + pause;
                    self.keep_limits().await;
                }
            }
        }
    }

    /// Reads what is new, as far as there is room for its events. Returns whether there was anything.
    async fn look(&mut self) -> bool {
        let (mut grew, mut works) = (false, false);
        if self.pending.len() < PENDING {
            grew = self.stdout.read().await.is_ok_and(|count| count > 0);
            let (mut lines, mut work) = (0_u64, 0_u64);
            while let Some(line) = self.stdout.next_line() {
                lines += 1;
                work += u64::from(self.take_line(&line));
            }
            works = grew && (lines == 0 || work > 0);
            let complains = self.stderr.read().await.is_ok_and(|count| count > 0);
            grew |= complains;
            works |= complains;
            while let Some(line) = self.stderr.next_line() {
                self.take_stderr(&line);
            }
        } else {
            // Nobody reads: silence cannot be told from a full queue.
            self.last_output = Instant::now();
        }
        if works {
            self.last_output = Instant::now();
        }
        grew
    }

    /// Reads all that is left after the program's end.
    async fn drain(&mut self) {
        while self.stdout.read().await.is_ok_and(|count| count > 0) {
            while let Some(line) = self.stdout.next_line() {
                self.take_line(&line);
            }
        }
        if let Some(line) = self.stdout.last_line() {
            self.take_line(&line);
        }
        while self.stderr.read().await.is_ok_and(|count| count > 0) {
            while let Some(line) = self.stderr.next_line() {
                self.take_stderr(&line);
            }
        }
        if let Some(line) = self.stderr.last_line() {
            self.take_stderr(&line);
        }
    }

    /// Takes a line in. Returns whether it shows that the agent works.
    fn take_line(&mut self, line: &Line) -> bool {
        let events = stream::read(line);
        self.session.observe_line(&events);
        let works = events.is_empty() || events.iter().any(control::is_work);
        let mut told = Vec::with_capacity(events.len());
        for event in events {
            let taken = self.control.take(event);
            if let Some(reply) = taken.reply {
                // A program that takes no more input has nothing open either.
                let _ = self.write(reply);
            }
            told.push(taken.event);
        }
        let place = self.stdout.place(line).map(|end| Place { output: Output::Out, end });
        self.pending.push_back(Reading { events: told, place });
        works
    }

    fn take_stderr(&mut self, line: &Line) {
        let text = line.text();
        if self.stderr_end.len() < STDERR_KEPT {
            self.stderr_end.push_str(prefix(&text, STDERR_KEPT));
            self.stderr_end.push('\n');
        }
        let place = self.stderr.place(line).map(|end| Place { output: Output::Err, end });
        self.pending.push_back(Reading { events: vec![RunEventKind::Stderr(text).into()], place });
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Send { id, text, reply } => {
                let _ = reply.send(self.write_message(id, &text));
            }
            Order::Interrupt { then, reply } => {
                let line = self.control.interrupt();
                let interrupted = self.write(line);
                let _ = reply.send(match then {
                    Some((id, text)) => interrupted.and_then(|()| self.write_message(id, &text)),
                    None => interrupted,
                });
            }
            Order::Answer { id, decision, reply } => {
                let _ = reply.send(self.answer(&id, &decision));
            }
            Order::Stop => self.stop(StopReason::Requested),
        }
    }

    fn write_message(&mut self, id: uuid::Uuid, text: &str) -> Result<(), ExecutorError> {
        if self.ending.has_begun() {
            return Err(ExecutorError::InputClosed);
        }
        self.write(input::user_line(id, text))?;
        self.session.sent(id);
        Ok(())
    }

    fn answer(&mut self, id: &str, decision: &Decision) -> Result<(), ExecutorError> {
        if self.ending.has_begun() {
            return Err(ExecutorError::InputClosed);
        }
        let line = self.control.answer(id, decision)?;
        self.write(line)?;
        self.control.answered(id);
        Ok(())
    }

    fn write(&mut self, line: String) -> Result<(), ExecutorError> {
        let input = self.input.as_ref().ok_or(ExecutorError::InputClosed)?;
        input.try_send(line).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ExecutorError::InputFull,
            mpsc::error::TrySendError::Closed(_) => ExecutorError::InputClosed,
        })
    }

    fn stop(&mut self, reason: StopReason) {
        if self.ending.has_begun() {
            return;
        }
        self.session.stopping(reason);
        let words = reason.error().map_or_else(|| "stopped on request".to_owned(), |error| error.message);
        self.pending.push_back(RunEventKind::Stopping(words).into());
        self.ending.begin(Instant::now(), &self.limits);
        let line = self.control.interrupt();
        if self.write(line).is_err() {
            self.input = None;
        }
    }

    /// Closes the input of a program that is done, and ends one that is over a limit.
    async fn keep_limits(&mut self) {
        let now = Instant::now();
        if let Some(reason) = self.session.stop_reason() {
            self.stop(reason);
        } else if now.duration_since(self.started) >= self.limits.wall_clock {
            self.stop(StopReason::WallClock(self.limits.wall_clock));
        } else if now.duration_since(self.last_output) >= self.limits.no_output {
            self.stop(StopReason::NoOutput(self.limits.no_output));
        }
        if self.control.is_asking() {
            // A person is waited for, not the agent.
            self.last_output = now;
        }
        if !self.ending.has_begun()
            && let Some(line) = self.control.usage_due(now)
        {
            let _ = self.write(line);
        }
        let quiet = now.duration_since(self.last_output);
        if self.session.is_idle() || (self.session.has_result() && quiet >= LINGER) {
            self.input = None;
        }
        let Some(pid) = self.child.id() else { return };
        match self.ending.due(now, &self.limits) {
            Some(Step::Terminate) => {
                self.input = None;
                match &self.lifeline {
                    Some(lifeline) => lifeline.terminate(),
                    None => process_tree::signal_group(pid, Signal::SIGTERM),
                }
            }
            Some(Step::Kill) => match self.lifeline.take() {
                Some(held) => drop(held),
                None => {
                    process_tree::kill_tree(pid, &self.run_id).await;
                }
            },
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
