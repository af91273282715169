//! The areas of the tests, and what each of them runs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::tools::{self, Tools};

/// A part of the tests that can be run alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Area {
    /// The shared crate, and the commands of xtask
    Shared,
    /// The proxy Worker in workerd
    Proxy,
    /// The program cyrus, with the real claude, and the stand-ins
    Edge,
    /// Splitting work and running it side by side
    Orchestration,
    /// The panel Worker in workerd
    Panel,
    /// The panel's client, and the pages in a real browser
    Ui,
    /// The whole system
    E2e,
}

/// One program to run.
#[derive(Debug)]
pub struct Step {
    /// What is shown above its output.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// It wants `CYRUS_CHROMIUM`.
    pub needs_a_browser: bool,
    /// It is one test: its exit code is the result, and it tells no counts.
    pub is_one_test: bool,
}

impl Area {
    /// The word on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Its tests start `xtask up`.
    pub fn needs_a_system(self) -> bool {
        matches!(self, Self::Proxy | Self::Panel | Self::Ui | Self::E2e)
    }

    /// It plays the loss table, also with faulty Workers.
    pub fn needs_chaos(self) -> bool {
        self == Self::Proxy
    }

    /// It plays `chaos edge`, in any form.
    pub fn needs_chaos_edge(self) -> bool {
        self == Self::E2e
    }

    /// What the table says beside the numbers.
    pub fn note(self) -> Option<&'static str> {
        (self == Self::Orchestration).then_some("nothing of it exists yet")
    }

    /// What to run, in order.
    pub fn steps(self) -> Result<Vec<Step>> {
        Ok(match self {
            Self::Shared => {
                vec![cargo(&["-p", "shared", "--all-features"]), cargo(&["-p", "xtask"])]
            }
            Self::Proxy => vec![
                cargo(&["-p", "e2e", "--test", "hub_tables", "--test", "proxy"]),
                loss_table(&[])?,
                loss_table(&["--seed", "6", "--rounds", "4", "--fault", "no-fencing", "--expect-damage"])?,
                loss_table(&["--seed", "5", "--rounds", "4", "--fault", "no-dedupe", "--expect-damage"])?,
            ],
            Self::Edge => vec![cargo(&["-p", "edge-worker", "-p", "testkit"])],
            Self::Orchestration => vec![],
            Self::Panel => vec![cargo(&["-p", "e2e", "--test", "panel"])],
            Self::Ui => vec![cargo(&["-p", "panel-ui", "--lib"]), browser()?],
            Self::E2e => {
                vec![
                    cargo(&["-p", "e2e", "--test", "whole"]),
                    one_test(&["chaos", "edge", "--kills", "20", "--seed", "1"])?,
                    one_test(&["chaos", "edge", "--limits", "--short"])?,
                ]
            }
        })
    }
}

fn cargo(what: &[&str]) -> Step {
    let arguments: Vec<String> =
        ["test", "--no-fail-fast"].iter().chain(what).map(ToString::to_string).collect();
    Step {
        name: format!("cargo {}", arguments.join(" ")),
        program: tools::cargo(),
        arguments,
        needs_a_browser: false,
        is_one_test: false,
    }
}

/// The short form of the loss table, played by this program; another seed each time unless one is given.
fn loss_table(more: &[&str]) -> Result<Step> {
    one_test(&[&["chaos", "proxy", "--deliveries", "150"], more].concat())
}

/// A command of this program whose exit code is the result.
fn one_test(arguments: &[&str]) -> Result<Step> {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    Ok(Step {
        name: format!("cargo xtask {}", arguments.join(" ")),
        program: std::env::current_exe().context("this program's own path")?,
        arguments,
        needs_a_browser: false,
        is_one_test: true,
    })
}

/// The tests that drive Chromium. No tests at all is an error.
fn browser() -> Result<Step> {
    let listed = fs::read_dir(tools::root().join("e2e/browser")).into_iter().flatten().flatten();
    let names = listed.map(|entry| format!("e2e/browser/{}", entry.file_name().to_string_lossy()));
    let mut files: Vec<String> = names.filter(|name| name.ends_with(".test.mjs")).collect();
    files.sort();
    if files.is_empty() {
        bail!("there are no tests in e2e/browser");
    }
    let flags = ["--test", "--test-reporter=spec"].map(str::to_owned);
    Ok(Step {
        name: "node --test e2e/browser".into(),
        program: Tools::find()?.node,
        arguments: flags.into_iter().chain(files).collect(),
        needs_a_browser: true,
        is_one_test: false,
    })
}
