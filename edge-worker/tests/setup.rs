//! A set-up script that runs when `cyrus` is killed ends with it, whatever it has started.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test says by a panic what does not hold")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn git(folder: &Path, args: &[&str]) {
    let who = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
    let done = Command::new("git").args(who).args(args).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// How many processes have this in their arguments.
fn living(mark: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(mark)).count()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_kill_of_cyrus_leaves_nothing_of_a_set_up_script() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mark = format!(".{}", uuid::Uuid::new_v4().as_u128() % 1_000_000_000_000);
    for name in ["home", "app"] {
        std::fs::create_dir(path(name)).unwrap();
    }
    let script =
        format!("#!/bin/sh\nenv -i setsid sleep 1001{mark} &\nsetsid sleep 1002{mark} &\nsleep 1003{mark}\n");
    std::fs::write(path("app/cyrus-setup.sh"), script).unwrap();
    let claude = path("claude");
    std::fs::write(&claude, "#!/bin/sh\necho '2.1.330 (Claude Code)'\n").unwrap();
    for program in [&claude, &path("app/cyrus-setup.sh")] {
        std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    git(&path("app"), &["init", "-q", "-b", "main"]);
    git(&path("app"), &["add", "--all"]);
    git(&path("app"), &["commit", "-q", "-m", "first"]);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let search = std::iter::once(folder.path().to_owned()).chain(std::env::split_paths(&folders));
    let mut cyrus = Command::new(env!("CARGO_BIN_EXE_cyrus"))
        .args(["run", "Say hello", "--repo", "."])
        .current_dir(path("app"))
        .env_clear()
        .env("PATH", std::env::join_paths(search).unwrap())
        .env("HOME", path("home"))
        .env("ANTHROPIC_API_KEY", "sk-ant-canary-0123456789")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the script", || living(&mark) == 3);
    cyrus.kill().unwrap();
    cyrus.wait().unwrap();
    until("its end", || living(&mark) == 0);
}
