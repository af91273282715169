//! Runs one step of an area: its output is shown as it comes and read for counts on the way.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::area::Step;
use super::tally::Tally;
use crate::tools;

/// Runs it to its end.
pub fn step(step: &Step, env: &[(&str, OsString)]) -> Result<Tally> {
    let mut child = Command::new(&step.program)
        .args(&step.arguments)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .current_dir(tools::root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} did not start", step.program.display()))?;
    let mut told: Option<Tally> = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            let mut out = std::io::stdout().lock();
            out.write_all(&line).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush())?;
            if let Some(counts) = Tally::told_by(&String::from_utf8_lossy(&line)) {
                *told.get_or_insert_default() += counts;
            }
        }
    }
    let status = child.wait()?;
    if step.is_one_test && status.success() {
        told = Some(Tally { passed: 1, failed: 0 });
    }
    Ok(Tally::of_program(told, status.success()))
}
