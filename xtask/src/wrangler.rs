//! Tries a deployment of both Workers without deploying: what `wrangler.toml` says must fit what is built.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::tools::Tools;

/// `wrangler deploy --dry-run` for both environments. Nothing leaves this machine.
pub fn dry_run(tools: &Tools) -> Result<()> {
    let home = tools.target.join("tools/wrangler-home");
    std::fs::create_dir_all(&home)?;
    for worker in ["proxy", "panel"] {
        let output = Command::new(&tools.node)
            .args(["node_modules/wrangler/bin/wrangler.js", "deploy", "--dry-run", "--env", worker])
            .current_dir(&tools.root)
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("XDG_CONFIG_HOME", &home)
            .env("WRANGLER_LOG_PATH", home.join("logs"))
            .env("NO_COLOR", "1")
            .env("CI", "true")
            .stdin(Stdio::null())
            .output()
            .context("wrangler did not start")?;
        let told = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("`wrangler deploy --dry-run --env {worker}` failed:\n{}\n{}", told.trim(), error.trim());
        }
        let size = told.lines().find(|line| line.contains("Total Upload")).unwrap_or_default();
        println!("{worker}: {}", size.trim());
    }
    Ok(())
}
