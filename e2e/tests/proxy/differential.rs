//! The official `@linear/sdk` handler beside the proxy: same bodies, same verdicts.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::delivery::now_ms;
use e2e::node;
use e2e::raw_worker::RawWorker;
use e2e::system::System;

pub async fn the_official_handler_and_the_proxy_accept_and_refuse_the_same_bodies(
    system: Arc<System>,
) -> Result<()> {
    let worker = RawWorker::register(&system).await?;
    let sound = system.new_session().created_by_delegation(now_ms());
    let output = tokio::process::Command::new(node::node()?)
        .arg(node::repository().join("e2e/linear-webhooks.mjs"))
        .env("PROXY_URL", &system.up.proxy_url)
        .env("WEBHOOK_SECRET", &system.up.webhook_secrets.linear)
        .env("SOUND_BODY", sound.to_string())
        .kill_on_drop(true)
        .output()
        .await
        .context("node did not start")?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{out}{err}");
    // A script that compared nothing would end well too.
    let compared: usize =
        out.trim().rsplit(' ').next().and_then(|count| count.parse().ok()).context("no count")?;
    ensure!(compared > 200, "only {compared} bodies were compared");
    // What was accepted waits in the hub and is finished here, up to one that was sent last.
    let mut stream = worker.stream().await?;
    let last = system.new_session();
    system.send(&last.created_by_delegation(now_ms())).await?.assert_outcome("the last", "stored");
    let offer = stream.offer_of(&last.issue_id).await?;
    assert_eq!(worker.ack(offer.seq, offer.token, "done").await?, "ok");
    Ok(())
}
