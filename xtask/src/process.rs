//! What the operating system knows about processes: from `/proc` where there is one, else from `ps`.
//!
//! Small Linux images have no `ps`; macOS has no `/proc`.

use std::fs;
use std::path::Path;
use std::process::Command;

/// One process of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// The id of its process group.
    pub group: i32,
}

/// All processes.
pub fn all() -> Vec<Process> {
    if !has_proc() {
        return ps(&["-A", "-o", "pid=,ppid=,pgid="]).lines().filter_map(of_ps).collect();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter_map(|pid: i32| of_stat(pid, &stat(pid)?)).collect()
}

/// When a process began, in words that only fit this one; `None` when it is gone.
pub fn began(pid: i32) -> Option<String> {
    let text = if has_proc() {
        field(&stat(pid)?, 22)?.to_owned()
    } else {
        ps(&["-o", "lstart=", "-p", &pid.to_string()]).trim().to_owned()
    };
    (!text.is_empty()).then_some(text)
}

/// Resident memory in bytes.
pub fn resident_bytes(pid: i32) -> Option<u64> {
    let kib = if has_proc() {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB").to_owned()
    } else {
        ps(&["-o", "rss=", "-p", &pid.to_string()])
    };
    Some(kib.trim().parse::<u64>().ok()? * 1024)
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

fn stat(pid: i32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// Field `number` of `/proc/PID/stat` as proc(5) counts, from 3 on. A program's name may hold anything, even `)`.
fn field(stat: &str, number: usize) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(number.checked_sub(3)?)
}

fn of_stat(pid: i32, stat: &str) -> Option<Process> {
    Some(Process { pid, parent: field(stat, 4)?.parse().ok()?, group: field(stat, 5)?.parse().ok()? })
}

fn of_ps(line: &str) -> Option<Process> {
    let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
    Some(Process { pid: numbers.next()?, parent: numbers.next()?, group: numbers.next()? })
}

fn ps(arguments: &[&str]) -> String {
    let output = Command::new("ps").args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_the_table_with_its_parent_group_start_and_memory() {
        let pid = nix::unistd::getpid().as_raw();
        let found = all().into_iter().find(|process| process.pid == pid).unwrap();
        assert_eq!(found.parent, nix::unistd::getppid().as_raw());
        assert_eq!(found.group, nix::unistd::getpgrp().as_raw());
        assert_eq!(began(pid), began(pid));
        assert!(began(pid).is_some() && resident_bytes(pid).is_some_and(|bytes| bytes > 100_000));
        assert_eq!((began(-7), resident_bytes(-7)), (None, None));
    }

    #[test]
    fn a_programs_name_cannot_shift_the_fields() {
        let stat = "42 (a) b (c) 1 1) S 7 9 9 0 -1 0";
        assert_eq!(of_stat(42, stat), Some(Process { pid: 42, parent: 7, group: 9 }));
        assert_eq!(of_ps(" 42  7 9"), Some(Process { pid: 42, parent: 7, group: 9 }));
        assert_eq!((of_ps("PID PPID"), of_stat(1, "1 (x")), (None, None));
    }
}
