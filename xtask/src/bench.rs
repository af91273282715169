//! `bench [NAME…]`: figures against their targets, as a table and, last, one JSON line.
//!
//! A benchmark is a module that gives [`Figure`]s. Those against the JavaScript Worker of `xtask/bench-worker` start both
//! in a workerd of their own ([`side`]), check that both do the same ([`conformance`]), and take turns.

pub mod block;
pub mod conformance;
pub mod cost;
pub mod cpu;
pub mod deliver;
pub mod depth;
pub mod edge;
pub mod live;
pub mod load;
pub mod prices;
pub mod reader;
pub mod sample;
pub mod side;
pub mod size;
pub mod webhook;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::parts::{self, PREBUILT, Parts};
use crate::progress::Progress;
use crate::tools::Tools;
use crate::wasm::{self, Profile};
use sample::Estimate;
use side::{Side, Whose};

/// Measure, against targets
///
/// Prints a table and, last, one JSON line with every figure and its ratio to its target.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench
  cargo xtask bench size
  cargo xtask bench webhook deliver
  TMPDIR=/dev/shm cargo xtask bench webhook --rounds 3 --webhooks 1000")]
pub struct Args {
    /// What to measure [default: all]
    #[arg(value_enum, value_name = "NAME")]
    names: Vec<Name>,
    #[command(flatten)]
    options: Options,
}

/// How much is measured.
#[derive(clap::Args, Debug, Clone)]
pub struct Options {
    /// Rounds, after one that warms up; the median counts
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub rounds: usize,
    /// Webhooks a round and side
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub webhooks: usize,
    /// Deliveries to an edge a round and side
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub deliveries: usize,
    /// Run the idle hour of `cost` for a real hour
    #[arg(long)]
    pub full: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Bytes of both Workers and of the panel's client, gzipped
    Size,
    /// The program cyrus: its size, its start, its memory idle and with 50 live sessions
    Edge,
    /// How soon cyrus accepts events while a set-up script sleeps
    Block,
    /// Webhooks stored a second, against a JavaScript Worker that does the same
    Webhook,
    /// From a webhook to its line at the edge, against the same Worker
    Deliver,
    /// A hub with a long past and a long queue, against an empty one
    Depth,
    /// Cloudflare's bill for 1,000 sessions and for an idle hour of ten edges
    Cost,
}

/// One measured number and what it may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// As in the JSON line; ends with its unit.
    pub name: String,
    /// What was measured: the median of the rounds.
    pub value: f64,
    /// The 95 % interval, where there were rounds.
    pub interval: Option<(f64, f64)>,
    /// What it may be; none: it is only told.
    pub target: Option<Target>,
}

/// What a figure may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Smaller is better.
    AtMost(f64),
    /// Larger is better.
    AtLeast(f64),
}

impl Figure {
    /// A single number that may be at most `target`.
    pub fn new(name: impl Into<String>, value: f64, target: f64) -> Self {
        Self { name: name.into(), value, interval: None, target: Some(Target::AtMost(target)) }
    }

    /// A number of several rounds, without a target.
    pub fn told(name: impl Into<String>, Estimate { median, low, high }: Estimate) -> Self {
        Self { name: name.into(), value: median, interval: Some((low, high)), target: None }
    }

    /// A single number without a target.
    pub fn counted(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, interval: None, target: None }
    }

    /// A number of several rounds that may be at most `target`.
    pub fn at_most(name: impl Into<String>, estimate: Estimate, target: f64) -> Self {
        Self { target: Some(Target::AtMost(target)), ..Self::told(name, estimate) }
    }

    /// A number of several rounds that must be at least `target`.
    pub fn at_least(name: impl Into<String>, estimate: Estimate, target: f64) -> Self {
        Self { target: Some(Target::AtLeast(target)), ..Self::told(name, estimate) }
    }

    /// 1 is exactly on target, more is too much, whichever way is better.
    pub fn ratio(&self) -> Option<f64> {
        self.target.map(|target| match target {
            Target::AtMost(most) => self.value / most,
            Target::AtLeast(least) => least / self.value,
        })
    }
}

/// Measures.
pub fn run(args: &Args) -> Result<ExitCode> {
    let progress = Progress::new();
    let tools = if std::env::var_os(PREBUILT).is_some() { Tools::find()? } else { Tools::ensure(&progress)? };
    let names = if args.names.is_empty() { Name::value_variants() } else { &args.names };
    if names.iter().any(|name| !matches!(name, Name::Edge | Name::Block)) {
        release_workers(&tools, &progress)?;
    }
    // One thread: what is measured has the other processors for itself.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures = Vec::new();
    for name in names {
        figures.extend(match name {
            Name::Size => size::figures(&tools)?,
            Name::Edge => {
                let cyrus = Parts::release_cyrus(&tools, &progress)?;
                let mut figures = edge::figures(&cyrus, &progress)?;
                let parts = Parts { cyrus, ..Parts::build(false, &progress)? };
                let player = parts::player(&tools, &progress)?;
                figures.extend(runtime.block_on(live::figures(&parts, &player, &progress))?);
                figures
            }
            Name::Block => {
                let cyrus = Parts::release_cyrus(&tools, &progress)?;
                let player = parts::player(&tools, &progress)?;
                runtime.block_on(block::figures(&cyrus, &player, &progress))?
            }
            Name::Webhook => runtime.block_on(webhook::figures(&tools, &args.options, &progress))?,
            Name::Cost => runtime.block_on(cost::figures(&tools, &args.options, &progress))?,
            Name::Depth => runtime.block_on(depth::figures(&tools, &args.options, &progress))?,
            Name::Deliver => runtime.block_on(deliver::figures(&tools, &args.options, &progress))?,
        });
    }
    print_table(&figures);
    println!("{}", json_line(&figures));
    Ok(ExitCode::SUCCESS)
}

fn release_workers(tools: &Tools, progress: &Progress) -> Result<()> {
    if std::env::var_os(PREBUILT).is_none() {
        let _lock = parts::lock(tools, progress)?;
        wasm::build(tools, Profile::Release, progress)?;
    }
    Ok(())
}

/// Both sides on empty states, ours first.
async fn pair(tools: &Tools, folder: &Path, settings: &Value) -> Result<[Side; 2]> {
    let [ours, theirs] = Whose::BOTH.map(|whose| Side::start(tools, whose, folder, settings));
    Ok([ours.await?, theirs.await?])
}

/// Prints figures, intervals, targets and ratios.
pub fn print_table(figures: &[Figure]) {
    println!("\n{:<32}{:>14}{:>24}{:>14}{:>8}", "figure", "measured", "95 %", "target", "ratio");
    for figure in figures {
        let interval = figure.interval.map(|(low, high)| format!("{} to {}", number(low), number(high)));
        let target = figure.target.map(|target| match target {
            Target::AtMost(most) => number(most),
            Target::AtLeast(least) => format!("≥ {}", number(least)),
        });
        let ratio = figure.ratio().map(|ratio| format!("{ratio:.2}"));
        let [interval, target, ratio] = [interval, target, ratio].map(Option::unwrap_or_default);
        println!("{:<32}{:>14}{interval:>24}{target:>14}{ratio:>8}", figure.name, number(figure.value));
    }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn json_line(figures: &[Figure]) -> Value {
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    let figures = figures.iter().map(|figure| {
        let mut parts = Map::from_iter([("value".to_owned(), json!(rounded(figure.value)))]);
        if let Some((low, high)) = figure.interval {
            parts.insert("interval".into(), json!([rounded(low), rounded(high)]));
        }
        if let (Some(Target::AtMost(target) | Target::AtLeast(target)), Some(ratio)) =
            (figure.target, figure.ratio())
        {
            parts.insert("target".into(), json!(target));
            parts.insert("ratio".into(), json!(rounded(ratio)));
        }
        (figure.name.clone(), Value::Object(parts))
    });
    Value::Object(Map::from_iter(figures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_holds_every_figure_with_its_ratio() {
        let figures = [Figure::new("aBytes", 500.0, 1000.0)];
        let line = json_line(&figures).to_string();
        assert_eq!(line, r#"{"aBytes":{"ratio":0.5,"target":1000.0,"value":500.0}}"#);
    }

    #[test]
    fn a_throughput_below_its_target_has_a_ratio_above_one() {
        let estimate = Estimate { median: 0.45, low: 0.4, high: 0.5 };
        let figure = Figure::at_least("aRatio", estimate, 0.9);
        assert_eq!(figure.ratio(), Some(2.0));
        let line = json_line(&[figure]).to_string();
        assert_eq!(line, r#"{"aRatio":{"interval":[0.4,0.5],"ratio":2.0,"target":0.9,"value":0.45}}"#);
    }
}
