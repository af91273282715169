//! `POST /api/worker-keys`: a key for a worker, shown this once, made known to the hub through the outbox.

use serde::Deserialize;
use shared::api::NewWorkerKey;
use shared::hub::call::Order;
use shared::id::KeyId;
use shared::worker_key::WorkerKey;
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, random, reply};

use crate::auth::caller::Caller;
use crate::db::Db;
use crate::outbox;

/// Makes a key.
pub async fn create(mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    #[derive(Deserialize)]
    struct Wish {
        name: String,
    }
    let org = caller.operator()?;
    let wish: Wish = body::read_json(&mut request, 4096).await?;
    let name: String = wish.name.chars().take(100).collect();
    let now = clock::now();
    let id = KeyId::from_uuid(random::uuid(now));
    let key = WorkerKey::new(org, random::bytes());
    Db::of(env)?
        .run(
            "INSERT INTO api_keys (hash, id, organization_id, kind, role, name, created_at) VALUES (?, ?, ?, 'worker', 'worker', ?, ?)",
            vec![key.hash().into(), id.to_string().into(), org.to_string().into(), name.as_str().into(), now.into()],
        )
        .await?;
    let active = outbox::order(env, org, Order::KeyAdded { key_id: id, hash: key.hash(), name }).await?;
    reply::json_with(201, &NewWorkerKey { id, key: key.reveal(), active })
}
