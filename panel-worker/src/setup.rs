//! `POST /setup`: the first step of an operator. Makes the organization when there is none, an owner's API key,
//! and a one-time sign-in link. Open only to the set-up token; safe to repeat.

use serde::{Deserialize, Serialize};
use shared::id::{KeyId, OrgId};
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, credential, random, reply};

use crate::auth::sign_in;
use crate::db::Db;

const KEY_NAME: &str = "owner, made by set-up";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    organization_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    organization_id: OrgId,
    sign_in_url: String,
    owner_api_key: String,
}

/// Answers the organization, a fresh sign-in link and a fresh owner key; the key of an earlier set-up ends.
pub async fn set_up(mut request: Request, env: &Env) -> Answer<Response> {
    credential::require_setup_token(&request, env)?;
    let wish: Wish = body::read_json(&mut request, 4096).await?;
    let (db, now) = (Db::of(env)?, clock::now());
    let org = organization(&db, &wish.organization_name).await?;
    let key = format!("cyp_{}", shared::digest::sha256_hex(&random::bytes::<32>()));
    let key_id = KeyId::from_uuid(random::uuid(now));
    db.batch(vec![
        db.statement(
            "DELETE FROM api_keys WHERE organization_id = ? AND kind = 'person' AND name = ?",
            vec![org.to_string().into(), KEY_NAME.into()],
        )?,
        db.statement(
            "INSERT INTO api_keys (hash, id, organization_id, kind, role, name, created_at) VALUES (?, ?, ?, 'person', 'owner', ?, ?)",
            vec![
                shared::digest::sha256_hex(key.as_bytes()).into(),
                key_id.to_string().into(),
                org.to_string().into(),
                KEY_NAME.into(),
                now.into(),
            ],
        )?,
    ])
    .await?;
    let sign_in_url = sign_in::new_link(&db, &request, org, "owner", now).await?;
    reply::json(&Made { organization_id: org, sign_in_url, owner_api_key: key })
}

async fn organization(db: &Db, name: &str) -> Answer<OrgId> {
    #[derive(Deserialize)]
    struct Row {
        id: OrgId,
    }
    let first = "SELECT id FROM organizations ORDER BY created_at LIMIT 1";
    if let Some(row) = db.first::<Row>(first, vec![]).await? {
        return Ok(row.id);
    }
    let now = clock::now();
    let org = OrgId::from_uuid(random::uuid(now));
    let name: String = name.chars().take(100).collect();
    db.run(
        "INSERT INTO organizations (id, name, created_at) VALUES (?, ?, ?)",
        vec![org.to_string().into(), name.into(), now.into()],
    )
    .await?;
    Ok(org)
}
