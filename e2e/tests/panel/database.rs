//! The panel's D1 from below, for what no route makes or shows. Tests that have a route for it take the route.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use e2e::node;
use e2e::system::System;
use serde_json::{Value, json};

/// The panel's database.
fn file(system: &System) -> Result<PathBuf> {
    let mut folders = vec![system.up.state_dir.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let in_d1 = path.components().any(|part| part.as_os_str() == "d1");
            if path.is_dir() {
                folders.push(path);
            } else if in_d1 && name.ends_with(".sqlite") && name != "metadata.sqlite" {
                return Ok(path);
            }
        }
    }
    anyhow::bail!("no D1 database under {}", system.up.state_dir.display())
}

/// Runs `[[text, [value, …]], …]` and gives a list of rows for each.
pub async fn run_sql(system: &System, statements: Value) -> Result<Value> {
    let script = node::repository().join("e2e/tests/panel/database.mjs");
    let mut command = tokio::process::Command::new(node::node()?);
    command.arg("--no-warnings").arg(script).arg(file(system)?).arg(statements.to_string());
    let output = command.kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The rows of one `SELECT`.
pub async fn rows(system: &System, text: &str, values: Value) -> Result<Vec<Value>> {
    let found = run_sql(system, json!([[text, values]])).await?;
    Ok(found[0].as_array().context("rows")?.clone())
}
