//! Builds the wasm parts: both Workers and the panel's client.
//!
//! `cargo build` → wasm-bindgen (linked in, so its version always is the one in `Cargo.lock`) → for release
//! `wasm-opt` → a shim that workerd can load. Results go to `build/`, which `wrangler.toml` points at. Nothing
//! is downloaded here; the tools come from `package.json`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::parts;
use crate::progress::Progress;
use crate::stamp::Inputs;
use crate::tools::Tools;

/// How to build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Quick to build: for `up` and the tests.
    Dev,
    /// As deployed.
    Release,
}

impl Profile {
    fn cargo(self) -> &'static str {
        match self {
            Self::Dev => "wasm-dev",
            Self::Release => "wasm-release",
        }
    }

    /// The folder under `build/`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }
}

/// Features that V8 takes; `--all-features` makes modules that it refuses.
const WASM_OPT: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Where everything was put.
#[derive(Debug, Clone)]
pub struct Built {
    /// The proxy's entry module.
    pub proxy: PathBuf,
    /// The panel's entry module.
    pub panel: PathBuf,
    /// The panel's static assets.
    pub assets: PathBuf,
}

impl Built {
    /// Where a build of this profile puts everything.
    pub fn at(tools: &Tools, profile: Profile) -> Self {
        let out = tools.root.join("build").join(profile.folder());
        Self {
            proxy: out.join("proxy/worker.mjs"),
            panel: out.join("panel/worker.mjs"),
            assets: out.join("assets"),
        }
    }
}

/// Builds all three; what is up to date is left as it is.
pub fn build(tools: &Tools, profile: Profile, progress: &Progress) -> Result<Built> {
    progress.step(&format!("building the Workers and the panel's client ({})", profile.folder()));
    cargo(tools, profile, &[])?;
    let out = tools.root.join("build").join(profile.folder());
    worker(tools, profile, "proxy_worker", &out.join("proxy"), &["Hub", "Directory"])?;
    worker(tools, profile, "panel_worker", &out.join("panel"), &["Room"])?;
    crate::assets::build(tools, profile, &out.join("assets"))?;
    progress.done();
    Ok(Built::at(tools, profile))
}

/// Where a proxy with this cargo feature is put.
pub fn faulty_proxy(tools: &Tools, profile: Profile, feature: &str) -> PathBuf {
    tools.root.join("build").join(profile.folder()).join(feature).join("worker.mjs")
}

/// Builds the proxy with a cargo feature that takes a guard away, beside the good one. Gives its entry module.
pub fn build_faulty_proxy(
    tools: &Tools,
    profile: Profile,
    feature: &str,
    progress: &Progress,
) -> Result<PathBuf> {
    progress.step(&format!("building the proxy with {feature}"));
    cargo(tools, profile, &["--features", &format!("proxy-worker/{feature}")])?;
    let entry = faulty_proxy(tools, profile, feature);
    let out = entry.parent().context("a build has a folder")?;
    worker(tools, profile, "proxy_worker", out, &["Hub", "Directory"])?;
    progress.done();
    Ok(entry)
}

/// Always the same packages, so that what they share is compiled once.
fn cargo(tools: &Tools, profile: Profile, features: &[&str]) -> Result<()> {
    let what = ["build", "--target", "wasm32-unknown-unknown", "--profile", profile.cargo()];
    let packages = ["-p", "proxy-worker", "-p", "panel-worker", "-p", "panel-ui"];
    parts::cargo(tools, &[&what[..], &packages[..], features].concat())
}

/// Where cargo put a module.
pub fn module(tools: &Tools, profile: Profile, name: &str) -> PathBuf {
    tools.target.join("wasm32-unknown-unknown").join(profile.cargo()).join(format!("{name}.wasm"))
}

fn worker(tools: &Tools, profile: Profile, name: &str, out: &Path, objects: &[&str]) -> Result<()> {
    let stamp = recipe(tools)?.file(&module(tools, profile, name))?.stamp(out);
    if stamp.fits() {
        return Ok(());
    }
    stamp.clear();
    let bindings = out.join("bindings");
    let _ = fs::remove_dir_all(out);
    fs::create_dir_all(&bindings)?;
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(module(tools, profile, name)).out_name("index").typescript(false);
    bindgen.bundler(true)?.generate(&bindings).with_context(|| format!("wasm-bindgen of {name}"))?;
    if profile == Profile::Release {
        // The proxy runs for each webhook; of the panel's client every byte is loaded before it shows anything.
        let level = if name == "proxy_worker" { "-O3" } else { "-Oz" };
        optimise(tools, &bindings.join("index_bg.wasm"), level)?;
    }
    fs::rename(bindings.join("index_bg.wasm"), out.join("index.wasm"))?;
    fs::write(bindings.join("entry.js"), shim(objects))?;
    let entry = out.join("worker.mjs");
    tools.node(
        &["node_modules/esbuild/bin/esbuild"],
        &[
            "--bundle",
            "--format=esm",
            "--log-level=warning",
            "--external:*.wasm",
            &format!("--outfile={}", entry.display()),
            &bindings.join("entry.js").display().to_string(),
        ],
    )?;
    fs::remove_dir_all(&bindings)?;
    stamp.set()
}

/// What every step depends on beside its own inputs: this recipe and the tools' versions.
pub fn recipe(tools: &Tools) -> Result<Inputs> {
    Inputs::default().bytes(include_bytes!("wasm.rs")).file(&tools.root.join("package-lock.json"))
}

/// The module that workerd loads: it makes the instance and hands out what Rust exports.
fn shim(objects: &[&str]) -> String {
    let objects = objects.join(", ");
    format!(
        "import * as rust from \"./index_bg.js\";\n\
         import wasm from \"./index.wasm\";\n\
         const instance = new WebAssembly.Instance(wasm, {{ \"./index_bg.js\": rust }});\n\
         rust.__wbg_set_wasm(instance.exports);\n\
         instance.exports.__wbindgen_start?.();\n\
         export const {{ {objects} }} = rust;\n\
         export default {{ fetch: rust.fetch, scheduled: rust.scheduled }};\n"
    )
}

/// Runs `wasm-opt` in place, at `level`.
pub fn optimise(tools: &Tools, module: &Path, level: &str) -> Result<()> {
    let path = module.display().to_string();
    let mut arguments = WASM_OPT.to_vec();
    arguments.extend([level, path.as_str(), "-o", path.as_str()]);
    tools.node(&["node_modules/binaryen/bin/wasm-opt"], &arguments)
}
