//! Finds and ends the processes of a run, also those that left its process group or lost their parent.
//! Neighbours: an executor's process loop; `cyrus start` sweeps after a crash before it resumes a run.
//! It must never signal a process that it has not just identified: a pid alone may have been given to another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// The variable that marks every process of a run; its value is the run's id.
pub const RUN_MARK: &str = "CYRUS_RUN_ID";

const ROUNDS: usize = 20;

/// One process, told apart from a later one with the same number by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pid: i32,
    parent: i32,
    start: u64,
}

/// Sends `signal` to the process group that `pid` leads. A group that is gone is no error.
pub fn signal_group(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = killpg(Pid::from_raw(pid), signal);
    }
}

/// Kills the process group that `root` leads, all descendants of `root` and all processes marked with `run_id`.
/// `root` must not have been waited for yet. Returns how many processes besides `root` were killed.
pub async fn kill_tree(root: u32, run_id: &str) -> usize {
    let Ok(root_pid) = i32::try_from(root) else { return 0 };
    // Stopped, the group cannot start anything while its descendants are listed.
    signal_group(root, Signal::SIGSTOP);
    let known = descendants(&table().await, root_pid);
    // The youngest first: a process whose parent dies gets another one.
    let killed = known.iter().rev().filter(|process| kill_one(process)).count();
    signal_group(root, Signal::SIGKILL);
    killed + sweep(run_id).await
}

/// Makes sure that no process of an earlier run lives, whether or not the `cyrus` that started it does. Afterwards
/// nothing is written to its run file any more. To be awaited before that is read to its end or another run begins.
/// `false`: it could not be made sure; the run must not be judged yet.
pub async fn settle(run_file: &std::path::Path, run_id: &str) -> bool {
    let released = crate::sandbox::lock::released(run_file).await;
    // What was started without a lock, or lost the program that kept it.
    sweep(run_id).await;
    let gone = released || !crate::sandbox::lock::is_held(run_file);
    if gone {
        let _ = tokio::fs::remove_file(crate::sandbox::lock::path(run_file)).await;
    }
    gone
}

/// Kills what is left of a run: processes that carry its mark. Returns how many there were.
pub async fn sweep(run_id: &str) -> usize {
    let mut killed = BTreeSet::new();
    for _ in 0..ROUNDS {
        let marked = marked(run_id).await;
        if marked.is_empty() {
            break;
        }
        killed.extend(marked.into_iter().filter(kill_one));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    killed.len()
}

/// The processes that carry a run's mark. Always empty where the system does not show environments.
pub async fn marked(run_id: &str) -> Vec<Process> {
    let needle = format!("{RUN_MARK}={run_id}").into_bytes();
    blocking(move || {
        system::list().into_iter().filter(|process| system::has_variable(process, &needle)).collect()
    })
    .await
}

async fn table() -> Vec<Process> {
    blocking(system::list).await
}

async fn blocking(work: impl FnOnce() -> Vec<Process> + Send + 'static) -> Vec<Process> {
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

fn kill_one(process: &Process) -> bool {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    process.pid > 1
        && process.pid != own
        && system::is_same(process)
        && kill(Pid::from_raw(process.pid), Signal::SIGKILL).is_ok()
}

fn descendants(table: &[Process], root: i32) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    for process in table {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(*child);
            open.push(child.pid);
        }
    }
    found
}

#[cfg(target_os = "linux")]
mod system {
    //! The process table from /proc.
    use super::Process;

    pub(super) fn list() -> Vec<Process> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        entries.flatten().filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    pub(super) fn is_same(process: &Process) -> bool {
        read(process.pid).is_some_and(|now| now.start == process.start)
    }

    pub(super) fn has_variable(process: &Process, needle: &[u8]) -> bool {
        std::fs::read(format!("/proc/{}/environ", process.pid))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|variable| variable == needle))
    }

    fn read(pid: i32) -> Option<Process> {
        parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads a stat line. The program's name may hold spaces and parentheses, so fields count from the last one.
    pub(super) fn parse(pid: i32, stat: &str) -> Option<Process> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let start = fields.nth(17)?.parse().ok()?;
        (state != "Z" && state != "X").then_some(Process { pid, parent, start })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    //! The process table from `ps`. Start times and environments are not read here.
    use super::Process;

    pub(super) fn list() -> Vec<Process> {
        let Ok(output) = std::process::Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output() else {
            return Vec::new();
        };
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_ascii_whitespace();
                let pid = fields.next()?.parse().ok()?;
                let parent = fields.next()?.parse().ok()?;
                Some(Process { pid, parent, start: 0 })
            })
            .collect()
    }

    pub(super) fn is_same(process: &Process) -> bool {
        list().iter().any(|now| now.pid == process.pid && now.parent == process.parent)
    }

    pub(super) fn has_variable(_process: &Process, _needle: &[u8]) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_name_cannot_forge_its_parent() {
        let stat = "7 (x) R 1 1) S 42 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 987 0";
        assert_eq!(system::parse(7, stat), Some(Process { pid: 7, parent: 42, start: 987 }));
    }

    #[test]
    fn descendants_are_found_through_every_generation_and_cycles_end() {
        let process = |pid, parent| Process { pid, parent, start: 0 };
        let table = [process(2, 1), process(3, 2), process(4, 3), process(5, 1), process(6, 6)];
        let found: Vec<i32> = descendants(&table, 2).iter().map(|process| process.pid).collect();
        assert_eq!(found, [3, 4]);
        assert_eq!(descendants(&table, 6).len(), 1);
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_process_that_left_its_session_and_parent_is_still_found_and_killed() {
        let run_id = format!("run_{}", uuid::Uuid::new_v4());
        let status = std::process::Command::new("sh")
            .args(["-c", "setsid sh -c 'sleep 600; :' </dev/null >/dev/null 2>&1 &"])
            .env(RUN_MARK, &run_id)
            .status()
            .unwrap();
        assert!(status.success());
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while marked(&run_id).await.len() < 2 {
            assert!(std::time::Instant::now() < deadline, "the processes did not start");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(sweep(&run_id).await >= 2);
        assert!(marked(&run_id).await.is_empty());
        assert_eq!(sweep("run_of_nobody").await, 0);
    }
}
