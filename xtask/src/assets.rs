//! The panel's client as static assets: bound, minified, named by their content so that they can be cached for ever.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::tools::Tools;
use crate::wasm::{self, Profile};

/// Headers of the assets. Hashed files never change; the page itself is asked for anew each time.
const HEADERS: &str = "/assets/*\n  Cache-Control: public, max-age=31536000, immutable\n\n/*\n  \
    Content-Security-Policy: default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'\n  \
    X-Content-Type-Options: nosniff\n  Referrer-Policy: same-origin\n";

/// Builds the assets into `out`, anew unless they are up to date.
pub fn build(tools: &Tools, profile: Profile, out: &Path) -> Result<()> {
    let source = tools.root.join("panel-worker/ui");
    let mut inputs = wasm::recipe(tools)?
        .bytes(include_bytes!("assets.rs"))
        .file(&wasm::module(tools, profile, "panel_ui"))?;
    for file in ["style.css", "boot.js", "index.html"] {
        inputs = inputs.file(&source.join(file))?;
    }
    let stamp = inputs.stamp(out);
    if stamp.fits() {
        return Ok(());
    }
    stamp.clear();
    let work = out.with_extension("work");
    for folder in [out, &work] {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
    }
    let assets = out.join("assets");
    fs::create_dir_all(&assets)?;
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(wasm::module(tools, profile, "panel_ui")).out_name("panel_ui").typescript(false);
    bindgen.web(true)?.generate(&work).context("wasm-bindgen of the panel's client")?;
    let module = work.join("panel_ui_bg.wasm");
    if profile == Profile::Release {
        wasm::optimise(tools, &module, "-Oz")?;
    }
    let minify = |from: &Path, to: &Path, format: &str| {
        tools.node(
            &["node_modules/esbuild/bin/esbuild"],
            &[
                "--minify",
                "--log-level=error",
                format,
                &format!("--outfile={}", to.display()),
                &from.display().to_string(),
            ],
        )
    };
    minify(&work.join("panel_ui.js"), &work.join("panel_ui.min.js"), "--format=esm")?;
    minify(&source.join("style.css"), &work.join("style.min.css"), "--loader:.css=css")?;
    minify(&source.join("boot.js"), &work.join("boot.min.js"), "--target=es2020")?;
    let wasm = place(&assets, "panel_ui", "wasm", &fs::read(&module)?)?;
    let js = place(&assets, "panel_ui", "js", &fs::read(work.join("panel_ui.min.js"))?)?;
    let css = place(&assets, "style", "css", &fs::read(work.join("style.min.css"))?)?;
    let boot = place(&assets, "boot", "js", &fs::read(work.join("boot.min.js"))?)?;
    let init = format!("import init from \"{js}\";\ninit({{ module_or_path: \"{wasm}\" }});\n");
    let init = place(&assets, "init", "js", init.as_bytes())?;
    // The page of a used sign-in link is the Worker's own and names its style without a hash.
    fs::copy(work.join("style.min.css"), assets.join("plain.css"))?;
    let mut page = fs::read_to_string(source.join("index.html"))?;
    for (mark, path) in [("js", &js), ("wasm", &wasm), ("css", &css), ("boot", &boot), ("init", &init)] {
        page = page.replace(&format!("{{{{{mark}}}}}"), path);
    }
    fs::write(out.join("index.html"), page)?;
    fs::write(out.join("_headers"), HEADERS)?;
    fs::remove_dir_all(&work)?;
    stamp.set()
}

fn place(folder: &Path, name: &str, ending: &str, bytes: &[u8]) -> Result<String> {
    let hash: String = Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let file = format!("{name}-{hash}.{ending}");
    fs::write(folder.join(&file), bytes)?;
    Ok(format!("/assets/{file}"))
}
