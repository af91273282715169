//! What a browser and Cloudflare have to load, gzipped: both Workers, and the client's first load.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Figure;
use crate::tools::Tools;
use crate::wasm::{Built, Profile};

const WORKER: f64 = 1_000_000.0;
const CLIENT: f64 = 350_000.0;

/// Measures the release build, which must be there.
pub fn figures(tools: &Tools) -> Result<Vec<Figure>> {
    let built = Built::at(tools, Profile::Release);
    let worker = |main: &Path| -> Result<f64> {
        Ok(gzipped(&fs::read(main)?)? + gzipped(&fs::read(main.with_file_name("index.wasm"))?)?)
    };
    Ok(vec![
        Figure::new("proxyGzipBytes", worker(&built.proxy)?, WORKER),
        Figure::new("panelGzipBytes", worker(&built.panel)?, WORKER),
        Figure::new("clientGzipBytes", client(&built.assets)?, CLIENT),
    ])
}

/// The page and every asset that it loads; the style of the Worker's own pages is not among them.
fn client(assets: &Path) -> Result<f64> {
    let mut files = vec![assets.join("index.html")];
    let listed = fs::read_dir(assets.join("assets")).context("the client is not built")?;
    let listed: Vec<PathBuf> =
        listed.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.extend(listed.into_iter().filter(|path| path.file_name().is_some_and(|name| name != "plain.css")));
    files.iter().try_fold(0.0, |sum, path| Ok(sum + gzipped(&fs::read(path)?)?))
}

fn gzipped(bytes: &[u8]) -> Result<f64> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    // Exact: no file here comes near 2^53 bytes.
    Ok(encoder.finish()?.len() as f64)
}
