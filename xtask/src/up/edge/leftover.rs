//! Processes that an edge left: of an `up` that was killed, or below an edge that would not end.
//!
//! A noted pid counts only together with the time its process began, since pids are used again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::process::{self, Process};

/// Longest wait for a leftover to end in order.
const GRACE: Duration = Duration::from_secs(5);

/// Remembers the edge of this folder.
pub fn note(folder: &Path, pid: i32) {
    // Without the note only a killed `up` leaves something.
    let _ = fs::write(folder.join("pid"), format!("{pid} {}", process::began(pid).unwrap_or_default()));
}

/// Ends the noted edge if it still runs.
pub async fn end(folder: &Path) {
    let note = fs::read_to_string(folder.join("pid")).unwrap_or_default();
    let Some((pid, when)) = note.split_once(' ') else { return };
    let Ok(pid) = pid.parse::<i32>() else { return };
    let same = || process::began(pid).is_some_and(|began| began == when);
    if !same() {
        return;
    }
    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    let deadline = Instant::now() + GRACE;
    while same() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if same() {
        kill_tree(pid);
    }
}

/// Kills a process and all that descend from it, each with its group.
pub fn kill_tree(root: i32) {
    for process in descendants(&process::all(), root) {
        // Never our own group, nor "every process".
        if process.group > 1 && Pid::from_raw(process.group) != nix::unistd::getpgrp() {
            let _ = killpg(Pid::from_raw(process.group), Signal::SIGKILL);
        }
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
}

/// `root` and everything below it.
fn descendants(all: &[Process], root: i32) -> Vec<Process> {
    let mut family = BTreeSet::from([root]);
    loop {
        let before = family.len();
        let children = all.iter().filter(|process| family.contains(&process.parent));
        let children: Vec<i32> = children.map(|process| process.pid).collect();
        family.extend(children);
        if family.len() == before {
            break;
        }
    }
    all.iter().filter(|process| family.contains(&process.pid)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grandchildren_count_wherever_they_stand_in_the_table_and_others_do_not() {
        let row = |[pid, parent, group]: [i32; 3]| Process { pid, parent, group };
        let table = [[9, 5, 9], [1, 0, 1], [5, 4, 4], [4, 1, 4], [7, 1, 7]].map(row);
        let pids: Vec<i32> = descendants(&table, 4).iter().map(|process| process.pid).collect();
        assert_eq!(pids, [9, 5, 4]);
        assert!(descendants(&table, 3).is_empty());
    }

    #[tokio::test]
    async fn a_noted_process_is_ended_and_one_that_only_has_its_pid_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        fs::write(folder.path().join("pid"), format!("{pid} Thu Jan  1 00:00:00 1970")).unwrap();
        end(folder.path()).await;
        assert!(child.try_wait().unwrap().is_none());
        note(folder.path(), pid);
        let waiter = std::thread::spawn(move || child.wait().unwrap());
        end(folder.path()).await;
        assert!(!waiter.join().unwrap().success());
    }
}
