//! House rules that no lint knows: the length of files, and that each says first what it is for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Lines a source file may have.
const LONGEST: usize = 600;
/// Lines a file of tests may have.
const LONGEST_TEST: usize = 900;

/// Checks every Rust file that git knows or would take.
pub fn check(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    let mut count = 0;
    for path in files(root)? {
        // A file that git knows may be gone already.
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else { continue };
        count += 1;
        faults.extend(faults_of(&path, &text).map(|fault| format!("{}: {fault}", path.display())));
    }
    if !faults.is_empty() {
        bail!("{} faults\n{}", faults.len(), faults.join("\n"));
    }
    println!("{count} files are tidy");
    Ok(())
}

fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.rs"])
        .current_dir(root)
        .output()
        .context("no `git` was found")?;
    if !output.status.success() {
        bail!("`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned())).collect())
}

fn faults_of(path: &Path, text: &str) -> impl Iterator<Item = String> {
    let is_test = path.components().any(|part| part.as_os_str() == "tests");
    let most = if is_test { LONGEST_TEST } else { LONGEST };
    let lines = text.lines().count();
    let long = (lines > most).then(|| format!("{lines} lines; split it, {most} is the most"));
    let silent =
        (!text.starts_with("//!")).then(|| "does not begin with `//!` and what it is for".to_owned());
    let named = path.file_name().is_some_and(|name| name == "mod.rs");
    let named = named.then(|| "is a mod.rs; name it for what it holds".to_owned());
    [long, silent, named].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> usize {
        faults_of(Path::new(path), text).count()
    }

    #[test]
    fn long_silent_and_unnamed_files_are_faults_and_tests_may_be_longer() {
        let long = format!("//! x\n{}", "\n".repeat(700));
        assert_eq!(faults("a/src/x.rs", "//! x\n"), 0);
        assert_eq!(faults("a/src/x.rs", "// x\n"), 1);
        assert_eq!(faults("a/src/mod.rs", ""), 2);
        assert_eq!((faults("a/src/x.rs", &long), faults("a/tests/x.rs", &long)), (1, 0));
    }
}
