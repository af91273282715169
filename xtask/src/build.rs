//! `build`: the Workers and the panel's client as deployed. `wrangler.toml` calls it before a deployment.

use std::process::ExitCode;

use anyhow::Result;

use crate::progress::Progress;
use crate::tools::Tools;
use crate::wasm::{self, Profile};

/// Build the Workers and the panel's client into build/
///
/// `wrangler deploy` runs this by itself.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  cargo xtask build --release")]
pub struct Args {
    /// As deployed: small, slow to build. Without it: as `up` and the tests use it.
    #[arg(long)]
    release: bool,
}

/// Builds.
pub fn run(args: &Args) -> Result<ExitCode> {
    let progress = Progress::new();
    let tools = Tools::ensure(&progress)?;
    let _lock = crate::parts::lock(&tools, &progress)?;
    let profile = if args.release { Profile::Release } else { Profile::Dev };
    wasm::build(&tools, profile, &progress)?;
    Ok(ExitCode::SUCCESS)
}
