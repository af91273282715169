//! `bench [NAME…]`: figures against their targets, as a table and, last, one JSON line.

pub mod edge;
pub mod size;

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::parts::{self, Parts};
use crate::progress::Progress;
use crate::tools::Tools;
use crate::wasm::{self, Profile};

/// Measure, against targets
///
/// Prints a table and, last, one JSON line with every figure and its ratio to its target.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench size")]
pub struct Args {
    /// What to measure [default: all]
    #[arg(value_enum, value_name = "NAME")]
    names: Vec<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Bytes of both Workers and of the panel's client, gzipped
    Size,
    /// The program cyrus: its size, its start, its idle memory
    Edge,
}

/// One measured number; smaller is better.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// As in the JSON line; ends with its unit.
    pub name: &'static str,
    /// What was measured.
    pub value: f64,
    /// What it may be.
    pub target: f64,
}

impl Figure {
    /// 1 is exactly on target, more is too much.
    pub fn ratio(&self) -> f64 {
        self.value / self.target
    }
}

/// Measures.
pub fn run(args: &Args) -> Result<ExitCode> {
    let progress = Progress::new();
    let tools = Tools::ensure(&progress)?;
    let names = if args.names.is_empty() { Name::value_variants() } else { &args.names };
    let mut figures = Vec::new();
    for name in names {
        match name {
            Name::Size => {
                {
                    let _lock = parts::lock(&tools, &progress)?;
                    wasm::build(&tools, Profile::Release, &progress)?;
                }
                figures.extend(size::figures(&tools)?);
            }
            Name::Edge => {
                let cyrus = Parts::release_cyrus(&tools, &progress)?;
                figures.extend(edge::figures(&cyrus, &progress)?);
            }
        }
    }
    print_table(&figures);
    println!("{}", json_line(&figures));
    Ok(ExitCode::SUCCESS)
}

/// Prints figures, targets and ratios.
pub fn print_table(figures: &[Figure]) {
    println!("\n{:<28}{:>14}{:>14}{:>8}", "figure", "measured", "target", "ratio");
    for figure in figures {
        println!(
            "{:<28}{:>14}{:>14}{:>8.2}",
            figure.name,
            number(figure.value),
            number(figure.target),
            figure.ratio()
        );
    }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn json_line(figures: &[Figure]) -> Value {
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    let figures = figures.iter().map(|figure| {
        let parts =
            json!({"value": rounded(figure.value), "target": figure.target, "ratio": rounded(figure.ratio())});
        (figure.name.to_owned(), parts)
    });
    Value::Object(Map::from_iter(figures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_holds_every_figure_with_its_ratio() {
        let figures = [Figure { name: "aBytes", value: 500.0, target: 1000.0 }];
        let line = json_line(&figures).to_string();
        assert_eq!(line, r#"{"aBytes":{"ratio":0.5,"target":1000.0,"value":500.0}}"#);
    }
}
