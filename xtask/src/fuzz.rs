//! `fuzz [TARGET]`: throws random bytes at everything that reads what comes from outside, for a while.
//!
//! The targets are in `fuzz/`, a workspace of its own, since only a nightly compiler can build them. What a run finds
//! goes to the target folder; only what breaks something is worth a place in `fuzz/corpus`, where the tests run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::progress::Progress;
use crate::tools;

/// Fuzz what reads input from outside
///
/// Installs a nightly compiler and cargo-fuzz where they are missing: nothing else needs them.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask fuzz\n  cargo xtask fuzz webhook_body --seconds 600")]
pub struct Args {
    /// One target, by the name of its file in fuzz/fuzz_targets [default: all, one after the other]
    target: Option<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// Memory that a target may hold, MiB: more than any input can justify.
const MEMORY_MIB: u32 = 2_048;
/// Seconds that one input may take.
const SLOWEST: u32 = 5;

/// Runs the targets; fails if one of them found something.
pub fn run(args: &Args) -> Result<ExitCode> {
    let root = tools::root();
    let targets = chosen(&targets(&root)?, args.target.as_deref())?;
    ensure_tools(&root, &Progress::new())?;
    let mut broken = Vec::new();
    for target in &targets {
        println!("\n=== {target}: {} s", args.seconds);
        if !fuzz(&root, target, args.seconds)? {
            broken.push(target.as_str());
        }
    }
    if broken.is_empty() {
        println!("\n{} targets, nothing found", targets.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "\nfound something: {}. The inputs are in fuzz/artifacts; copy each to fuzz/corpus/<target>/<what it is>, so that `cargo test -p shared --test corpus` shows it, and mend what it broke",
        broken.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

/// The targets' names, sorted.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let files = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let paths = files.map(|file| Ok(file?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let mut names: Vec<String> =
        paths.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

fn chosen(all: &[String], wanted: Option<&str>) -> Result<Vec<String>> {
    match wanted {
        None => Ok(all.to_vec()),
        Some(name) if all.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(name) => bail!("there is no fuzz target `{name}`; there are {}", all.join(", ")),
    }
}

fn ensure_tools(root: &Path, progress: &Progress) -> Result<()> {
    let works = |program: &str, arguments: &[&str]| {
        let status = Command::new(program)
            .args(arguments)
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    if !works("rustup", &["run", "nightly", "rustc", "--version"]) {
        progress.step("installing the nightly compiler");
        let installed =
            works("rustup", &["toolchain", "install", "nightly", "--profile", "minimal", "--no-self-update"]);
        ensure!(
            installed,
            "the nightly compiler is missing; run `rustup toolchain install nightly --profile minimal`"
        );
    }
    if !works("cargo", &["fuzz", "--version"]) {
        progress.step("installing cargo-fuzz");
        ensure!(
            works("cargo", &["install", "cargo-fuzz", "--locked"]),
            "cargo-fuzz is missing; run `cargo install cargo-fuzz --locked`"
        );
    }
    progress.done();
    Ok(())
}

/// Whether a target ran its time and found nothing. Its output goes where ours goes.
fn fuzz(root: &Path, target: &str, seconds: u32) -> Result<bool> {
    let build = root.join("target/fuzz");
    // libFuzzer writes what it learns into the first folder; the committed corpus is the second.
    let learned = build.join("learned").join(target);
    fs::create_dir_all(&learned)?;
    let status = Command::new("cargo")
        .args(["+nightly", "fuzz", "run", "--fuzz-dir", ".", "--target-dir"])
        .arg(&build)
        .arg(target)
        .arg(&learned)
        .arg(Path::new("corpus").join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-timeout={SLOWEST}"))
        .args(["-print_final_stats=1", "-verbosity=0"])
        .current_dir(root.join("fuzz"))
        // The toolchain that runs this would win over `+nightly`.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .status()
        .context("cargo did not start")?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_target_is_chosen_by_name_and_a_wrong_name_lists_the_right_ones() {
        let all = targets(&tools::root()).unwrap();
        assert!(all.iter().any(|name| name == "webhook_body"), "{all:?}");
        assert_eq!(chosen(&all, None).unwrap(), all);
        assert_eq!(chosen(&all, Some("acks")).unwrap(), ["acks"]);
        for wrong in ["", "ack", "../../etc", "--help"] {
            let refusal = chosen(&all, Some(wrong)).unwrap_err().to_string();
            assert!(refusal.contains("webhook_body"), "{refusal}");
        }
    }
}
