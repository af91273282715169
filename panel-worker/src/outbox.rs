//! Commands to the hub: first a row, then the attempt, and again each minute until the hub confirms.
//!
//! The row's id is the delivery id, so the hub takes a repeat for what it is.

use serde::Deserialize;
use shared::hub::call::{Command, Order};
use shared::id::{DeliveryId, OrgId};
use worker::Env;
use worker_shell::failure::Answer;
use worker_shell::{clock, log, random};

use crate::db::Db;
use crate::hub_stub;

/// Orders something of the hub. `true`: the hub has confirmed; `false`: it will be sent again.
pub async fn order(env: &Env, org: OrgId, order: Order) -> Answer<bool> {
    let now = clock::now();
    let command = Command { id: DeliveryId(format!("cmd_{}", random::uuid(now).simple())), order };
    Db::of(env)?
        .run(
            "INSERT INTO hub_outbox (id, organization_id, command, created_at) VALUES (?, ?, ?, ?)",
            vec![
                command.id.as_str().into(),
                org.to_string().into(),
                serde_json::to_string(&command)?.into(),
                now.into(),
            ],
        )
        .await?;
    Ok(send(env, org, &command).await.is_ok())
}

/// Sends what is not confirmed, oldest first.
pub async fn send_open(env: &Env) -> Answer<()> {
    #[derive(Deserialize)]
    struct Row {
        organization_id: OrgId,
        command: String,
    }
    let rows: Vec<Row> = Db::of(env)?
        .rows(
            "SELECT organization_id, command FROM hub_outbox WHERE confirmed_at IS NULL ORDER BY created_at LIMIT 100",
            vec![],
        )
        .await?;
    for row in rows {
        let command: Command = serde_json::from_str(&row.command)?;
        if let Err(failure) = send(env, row.organization_id, &command).await {
            log::error("outbox.kept", &[("id", command.id.as_str()), ("reason", &failure.problem().detail)]);
        }
    }
    Ok(())
}

async fn send(env: &Env, org: OrgId, command: &Command) -> Answer<()> {
    let _: serde_json::Value = hub_stub::post(env, org, "/commands", command).await?;
    Db::of(env)?
        .run(
            "UPDATE hub_outbox SET confirmed_at = ? WHERE id = ? AND organization_id = ?",
            vec![clock::now().into(), command.id.as_str().into(), org.to_string().into()],
        )
        .await
}
