//! Processes that an edge left: of an `up` that was killed, or below an edge that would not end.
//!
//! A noted pid counts only together with the time its process began, since pids are used again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// Longest wait for a leftover to end in order.
const GRACE: Duration = Duration::from_secs(5);

/// Remembers the edge of this folder.
pub fn note(folder: &Path, pid: i32) {
    // Without the note only a killed `up` leaves something.
    let _ = fs::write(folder.join("pid"), format!("{pid} {}", began(pid).unwrap_or_default()));
}

/// Ends the noted edge if it still runs.
pub async fn end(folder: &Path) {
    let note = fs::read_to_string(folder.join("pid")).unwrap_or_default();
    let Some((pid, when)) = note.split_once(' ') else { return };
    let Ok(pid) = pid.parse::<i32>() else { return };
    let same = || began(pid).is_some_and(|began| began == when);
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

/// Kills a process, its group, and all that descend from it, each with its group.
pub fn kill_tree(root: i32) {
    let table = ps(&["-A", "-o", "pid=,ppid=,pgid="]).unwrap_or_default();
    for (pid, group) in descendants(&table, root) {
        // Never our own group, nor "every process".
        if group > 1 && Pid::from_raw(group) != nix::unistd::getpgrp() {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

fn began(pid: i32) -> Option<String> {
    ps(&["-o", "lstart=", "-p", &pid.to_string()])
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

fn ps(arguments: &[&str]) -> Option<String> {
    let output = Command::new("ps").args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Pid and group of `root` and everything below it, in the lines `pid ppid pgid`.
fn descendants(table: &str, root: i32) -> Vec<(i32, i32)> {
    let rows: Vec<[i32; 3]> = table
        .lines()
        .filter_map(|line| {
            let numbers: Vec<i32> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
            numbers.try_into().ok()
        })
        .collect();
    let mut family = BTreeSet::from([root]);
    loop {
        let before = family.len();
        family.extend(
            rows.iter()
                .filter(|[_, parent, _]| family.contains(parent))
                .map(|[pid, ..]| *pid)
                .collect::<Vec<_>>(),
        );
        if family.len() == before {
            break;
        }
    }
    rows.iter().filter(|[pid, ..]| family.contains(pid)).map(|[pid, _, group]| (*pid, *group)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grandchildren_count_wherever_they_stand_in_the_table_and_others_do_not() {
        let table = "  9 5 9\n 1 0 1\n 5 4 4\n 4 1 4\n 7 1 7\n";
        assert_eq!(descendants(table, 4), [(9, 9), (5, 4), (4, 4)]);
        assert!(descendants("no numbers\n1 2\n", 4).is_empty());
    }

    #[tokio::test]
    async fn a_noted_process_is_ended_and_one_that_only_has_its_pid_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
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
