//! `test [AREA…]`: every test of the repository, by area, with everything they need built first.
//!
//! `area` says what is run, `run` runs one step and counts, `tally` reads the counts, `chromium` finds a browser.

mod area;
mod chromium;
mod run;
mod tally;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::parts::{PREBUILT, Parts};
use crate::progress::Progress;
use area::{Area, Step};
use tally::Tally;

/// Run the tests, all or some areas
///
/// Installs and builds what they need first, Chromium among it. Ends with one line `N passed, N failed`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test shared edge")]
pub struct Args {
    /// Areas to run [default: all]
    #[arg(value_enum, value_name = "AREA")]
    areas: Vec<Area>,
}

struct Row {
    area: Area,
    tally: Tally,
    took: Duration,
    note: Option<&'static str>,
}

/// Runs the areas.
pub fn run(args: &Args) -> Result<ExitCode> {
    let tally = areas(&args.areas)?;
    println!("{tally}");
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs these areas, or all for none; prints the table.
pub fn areas(wanted: &[Area]) -> Result<Tally> {
    let progress = Progress::new();
    let begun = Instant::now();
    let areas = if wanted.is_empty() { Area::value_variants() } else { wanted };
    // The tests start this very program again.
    let xtask = std::env::current_exe().context("this program's own path")?;
    let mut env: Vec<(&str, OsString)> = vec![("CYRUS_XTASK", xtask.into())];
    let mut building = Duration::ZERO;
    if areas.iter().any(|area| area.needs_a_system()) {
        Parts::build(true, &progress)?;
        if areas.iter().any(|area| area.needs_chaos()) {
            crate::chaos::build_all(&progress)?;
        }
        if areas.iter().any(|area| area.needs_chaos_edge()) {
            crate::chaos::build_edge(&progress)?;
        }
        env.push((PREBUILT, "1".into()));
        building = begun.elapsed();
    }
    let mut rows = Vec::new();
    for area in areas {
        let began = Instant::now();
        let mut tally = Tally::default();
        for step in area.steps()? {
            println!("\n=== {}: {}", area.name(), step.name);
            tally += one(&step, &env, &progress);
        }
        rows.push(Row { area: *area, tally, took: began.elapsed(), note: area.note() });
    }
    let total: Tally = rows.iter().map(|row| row.tally).sum();
    println!("\n{}", table(&rows, building, begun.elapsed()));
    Ok(total)
}

fn one(step: &Step, env: &[(&str, OsString)], progress: &Progress) -> Tally {
    let mut env = env.to_vec();
    if step.needs_a_browser {
        match chromium::ensure(progress) {
            Ok(path) => env.push(("CYRUS_CHROMIUM", path.into())),
            Err(error) => {
                println!("not run, so counted as failed: {error:#}");
                return Tally { passed: 0, failed: 1 };
            }
        }
    }
    run::step(step, &env).unwrap_or_else(|error| {
        println!("counted as failed: {error:#}");
        Tally { passed: 0, failed: 1 }
    })
}

fn table(rows: &[Row], building: Duration, total: Duration) -> String {
    let minutes = |took: Duration| format!("{:.1}", took.as_secs_f64() / 60.0);
    let mut text = format!("{:<14}{:>8}{:>8}{:>9}\n", "area", "passed", "failed", "minutes");
    text.push_str(&format!("{:<14}{:>8}{:>8}{:>9}\n", "(building)", "", "", minutes(building)));
    for row in rows {
        let line = format!(
            "{:<14}{:>8}{:>8}{:>9}",
            row.area.name(),
            row.tally.passed,
            row.tally.failed,
            minutes(row.took)
        );
        text.push_str(&line);
        text.push_str(&row.note.map(|note| format!("  {note}")).unwrap_or_default());
        text.push('\n');
    }
    text.push_str(&format!("{:<14}{:>8}{:>8}{:>9}\n", "all", "", "", minutes(total)));
    text
}
