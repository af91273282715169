//! `/api/worker-keys`: making a key, shown this once; listing keys; revoking one. The hub hears of it through the outbox.
//!
//! Neither a key's text nor its hash is ever answered again.

use serde::{Deserialize, Serialize};
use shared::api::{NewWorkerKey, Page};
use shared::hub::call::{Command, Order};
use shared::id::{KeyId, OrgId};
use shared::time::Timestamp;
use shared::worker_key::WorkerKey;
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, random, reply};

use super::not_found;
use super::query::Query;
use crate::auth::caller::Caller;
use crate::db::{Db, Value};
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
    let order = Order::KeyAdded { key_id: id, hash: key.hash(), name: name.clone() };
    let (db, command) = (Db::of(env)?, Command { id: outbox::new_id(), order });
    db.batch(vec![
        db.statement(
            "INSERT INTO api_keys (hash, id, organization_id, kind, role, name, created_at) VALUES (?, ?, ?, 'worker', 'worker', ?, ?)",
            vec![key.hash().into(), id.to_string().into(), org.to_string().into(), name.into(), now.into()],
        )?,
        outbox::row(&db, org, &command)?,
    ])
    .await?;
    match outbox::deliver(env, org, &command.id).await {
        Ok(sent) => {
            reply::json_with(201, &NewWorkerKey { id, key: key.reveal(), active: sent.is_confirmed() })
        }
        Err(failure) => {
            // Nobody has seen it, and the hub will never know it.
            db.run(
                "UPDATE api_keys SET revoked_at = ? WHERE organization_id = ? AND id = ?",
                vec![clock::now().into(), org.to_string().into(), id.to_string().into()],
            )
            .await?;
            Err(failure)
        }
    }
}

/// Whether a key opens anything.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum KeyState {
    Active,
    /// Revoked here; the hub has not confirmed it yet.
    Revoking,
    Revoked,
}

/// A key as people see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: KeyId,
    name: String,
    created_at: Timestamp,
    revoked_at: Option<Timestamp>,
    state: KeyState,
}

#[derive(Deserialize)]
struct Row {
    id: KeyId,
    name: String,
    created_at: i64,
    revoked_at: Option<i64>,
    waits: u8,
}

const SELECT: &str = "SELECT k.id, k.name, k.created_at, k.revoked_at,
  EXISTS (SELECT 1 FROM hub_outbox o WHERE o.id = k.revocation AND o.organization_id = k.organization_id AND o.confirmed_at IS NULL) AS waits
  FROM api_keys k WHERE k.organization_id = ? AND k.kind = 'worker'";

impl From<Row> for Shown {
    fn from(row: Row) -> Self {
        let state = match row.revoked_at {
            None => KeyState::Active,
            Some(_) if row.waits != 0 => KeyState::Revoking,
            Some(_) => KeyState::Revoked,
        };
        Self {
            id: row.id,
            name: row.name,
            created_at: Timestamp::from_millis(row.created_at),
            revoked_at: row.revoked_at.map(Timestamp::from_millis),
            state,
        }
    }
}

/// `GET ?limit=&cursor=`: the newest first, revoked ones too.
pub async fn list(request: &Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let org = caller.person()?;
    let query = Query::of(request)?;
    let limit = query.limit()?;
    let (mut condition, mut values): (_, Vec<Value>) = ("", vec![org.to_string().into()]);
    if let Some((at, id)) = query.cursor::<KeyId>()? {
        condition = "AND (k.created_at, k.id) < (?, ?)";
        values.extend([at.into(), id.to_string().into()]);
    }
    values.push((limit + 1).into());
    let select = format!("{SELECT} {condition} ORDER BY k.created_at DESC, k.id DESC LIMIT ?");
    let mut rows: Vec<Row> = Db::of(env)?.rows(&select, values).await?;
    let more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(|row| format!("{}.{}", row.created_at, row.id));
    reply::json(&Page { items: rows.into_iter().map(Shown::from).collect(), next })
}

/// `DELETE …/:id`: revokes it, here at once and at the hub as soon as that can be reached. Once more is harmless.
pub async fn revoke(id: &str, caller: &Caller, env: &Env) -> Answer<Response> {
    let org = caller.admin()?;
    let id: KeyId = id.parse().map_err(|_| not_found("worker key"))?;
    let db = Db::of(env)?;
    let key = find(&db, org, id).await?.ok_or_else(|| not_found("worker key"))?;
    if key.revoked_at.is_none() {
        let command = Command { id: outbox::new_id(), order: Order::KeyRevoked { key_id: id } };
        db.batch(vec![
            db.statement(
                "UPDATE api_keys SET revoked_at = ?1, revocation = ?2
                 WHERE organization_id = ?3 AND id = ?4 AND kind = 'worker' AND revoked_at IS NULL",
                vec![
                    clock::now().into(),
                    command.id.as_str().into(),
                    org.to_string().into(),
                    id.to_string().into(),
                ],
            )?,
            outbox::row(&db, org, &command)?,
        ])
        .await?;
        outbox::deliver(env, org, &command.id).await?;
    }
    let key = find(&db, org, id).await?.ok_or_else(|| not_found("worker key"))?;
    reply::json(&Shown::from(key))
}

async fn find(db: &Db, org: OrgId, id: KeyId) -> Answer<Option<Row>> {
    db.first(&format!("{SELECT} AND k.id = ?"), vec![org.to_string().into(), id.to_string().into()]).await
}
