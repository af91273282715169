//! What must be on the machine, found or installed: the wasm target, Node 22, the npm packages.
//!
//! A prerequisite that cannot be installed from here is named with the exact command that mends it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use crate::progress::Progress;

/// The oldest Node that the Workers' runtime takes.
const NODE_MAJOR: u32 = 22;

/// Paths of what the other commands use.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The repository.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// A Node that is new enough.
    pub node: PathBuf,
}

/// The `cargo` that runs this.
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// The repository's folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

impl Tools {
    /// Finds everything, and installs what can be installed.
    pub fn ensure(progress: &Progress) -> Result<Self> {
        let root = root();
        ensure_wasm_target(&root, progress)?;
        ensure_packages(&root, progress)?;
        let node = find_node(&root)?;
        Ok(Self { target: target_folder(&root), root, node })
    }

    /// Finds everything; for when it was ensured before.
    pub fn find() -> Result<Self> {
        let root = root();
        let node = find_node(&root)?;
        Ok(Self { target: target_folder(&root), root, node })
    }

    /// Runs a Node program of `node_modules`; its output is shown only when it fails.
    pub fn node(&self, program: &[&str], arguments: &[&str]) -> Result<()> {
        let name = program.join(" ");
        let path = self.root.join(program.first().copied().unwrap_or_default());
        // Some packages replace their script by a native program at install time.
        let is_script = fs::read(&path).is_ok_and(|bytes| {
            bytes.starts_with(b"#!") || bytes.starts_with(b"var ") || bytes.starts_with(b"import")
        });
        let mut command = if is_script { Command::new(&self.node) } else { Command::new(&path) };
        if is_script {
            command.arg(&path);
        }
        let output = command
            .args(arguments)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{name} did not start"))?;
        if !output.status.success() {
            bail!(
                "{name} failed:\n{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    /// The real `claude`: `CYRUS_CLAUDE`, else the pinned package, else the one on the path.
    pub fn claude(&self) -> Result<PathBuf> {
        if let Some(path) = std::env::var_os("CYRUS_CLAUDE") {
            return Ok(PathBuf::from(path));
        }
        let package = format!("node_modules/@anthropic-ai/claude-code-{}/claude", platform());
        let pinned = self.root.join(package);
        if pinned.is_file() {
            return Ok(pinned);
        }
        which("claude").ok_or_else(|| {
            anyhow!("no `claude` was found for {}; install it with `npm install --global @anthropic-ai/claude-code`, or set CYRUS_CLAUDE to its path", platform())
        })
    }
}

fn platform() -> String {
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    format!("{os}-{arch}")
}

/// The first program of that name on the path.
pub fn which(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

fn ensure_wasm_target(root: &Path, progress: &Progress) -> Result<()> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).current_dir(root).output();
    let sysroot = sysroot.context("no `rustc`; install Rust by https://rustup.rs")?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    if sysroot.join("lib/rustlib/wasm32-unknown-unknown/lib").is_dir() {
        return Ok(());
    }
    progress.step("installing the Rust target wasm32-unknown-unknown");
    let added =
        Command::new("rustup").args(["target", "add", "wasm32-unknown-unknown"]).current_dir(root).output();
    if !added.is_ok_and(|output| output.status.success()) {
        bail!(
            "the Rust target wasm32-unknown-unknown is missing; run `rustup target add wasm32-unknown-unknown`"
        );
    }
    progress.done();
    Ok(())
}

/// Installs the npm packages when the lock is newer than what is installed.
fn ensure_packages(root: &Path, progress: &Progress) -> Result<()> {
    let lock = fs::read(root.join("package-lock.json"))
        .context("package-lock.json is missing; check it out again")?;
    let stamp = root.join("node_modules/.installed-lock");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    if which("npm").is_none() {
        bail!("no `npm` was found; install Node 20 or newer from https://nodejs.org");
    }
    progress.step("installing the npm packages (workerd, the real claude, build tools; about 700 MB)");
    let output = Command::new("npm")
        // `npm ci` cannot read a lock without download addresses for packages of other systems; this installs by the same lock.
        .args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("npm did not start")?;
    if !output.status.success() {
        bail!(
            "`npm install --no-save --ignore-scripts` failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::write(stamp, lock)?;
    progress.done();
    Ok(())
}

fn find_node(root: &Path) -> Result<PathBuf> {
    let packaged = root.join(format!("node_modules/node-{}/bin/node", platform()));
    let candidates = [which("node"), Some(packaged)];
    candidates.into_iter().flatten().find(|node| major(node).is_some_and(|major| major >= NODE_MAJOR)).ok_or_else(|| {
        anyhow!("Node {NODE_MAJOR} or newer is needed and npm had none for {}; install it from https://nodejs.org", platform())
    })
}

fn major(node: &Path) -> Option<u32> {
    let output = Command::new(node).arg("--version").output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}
