//! `stand-in linear|model [--port N]`: runs one stand-in for tests that are not written in Rust.
//!
//! Prints one JSON line when ready and serves until stdin closes or SIGTERM or SIGINT comes.

use anyhow::{Context, bail};
use serde_json::json;
use testkit::linear::{LinearConfig, LinearStandIn};
use testkit::model::ScriptedModel;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: stand-in linear|model [--port N] [--organization-id ID] [--app-user-id ID] [--access-token TOKEN]";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let which = words.next().context(USAGE)?;
    let mut config = LinearConfig::default();
    while let Some(flag) = words.next() {
        let value = words.next().context(USAGE)?;
        match flag.as_str() {
            "--port" => config.port = value.parse().context("--port wants a number from 0 to 65535")?,
            "--organization-id" => config.organization_id = value,
            "--app-user-id" => config.app_user_id = value,
            "--access-token" => config.access_token = value,
            _ => bail!("unknown flag {flag}; {USAGE}"),
        }
    }
    match which.as_str() {
        "linear" => {
            let linear = LinearStandIn::start(config).await?;
            let config = linear.config();
            println!(
                "{}",
                json!({
                    "url": linear.url(),
                    "organizationId": config.organization_id,
                    "appUserId": config.app_user_id,
                    "accessToken": config.access_token,
                })
            );
            until_asked_to_end().await?;
        }
        "model" => {
            let model = ScriptedModel::start(config.port).await?;
            println!("{}", json!({"url": model.url()}));
            until_asked_to_end().await?;
        }
        _ => bail!(USAGE),
    }
    Ok(())
}

async fn until_asked_to_end() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (close, closed) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own: it may wait for stdin for ever and must not hold back the end.
    std::thread::spawn(move || {
        std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()).ok();
        drop(close);
    });
    tokio::select! {
        _ = closed => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
