//! `Idempotency-Key`: a request that is sent again under it is the request that was sent before.
//!
//! What a request makes gets ids that are made of the key, so that a repeat makes nothing twice, however much at once
//! it comes. A key belongs to one organization and, by its purpose, to one kind of request.

use serde::{Deserialize, Serialize};
use shared::digest::{sha256, sha256_hex};
use shared::id::OrgId;
use uuid::Uuid;
use worker::Request;
use worker_shell::clock;
use worker_shell::failure::{Answer, Failure};

use super::given;
use super::query::invalid;
use crate::db::Db;

/// A key that a request came with.
pub struct IdempotencyKey {
    org: OrgId,
    text: String,
}

impl IdempotencyKey {
    /// The one of this request; `None`: it has none.
    pub fn of(org: OrgId, request: &Request) -> Answer<Option<Self>> {
        let Some(text) = request.headers().get("idempotency-key")? else { return Ok(None) };
        if !(1..=255).contains(&text.len()) || !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(invalid("`Idempotency-Key` must be 1 to 255 printable ASCII characters"));
        }
        Ok(Some(Self { org, text }))
    }

    /// The id that this key makes for a purpose.
    pub fn id(&self, purpose: &str) -> Uuid {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(sha256(self.scoped(purpose).as_bytes())).for_each(|(to, from)| *to = from);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// Notes what is asked for under it. `true`: the same was asked before. Anything else that was is a refusal.
    pub async fn asked_before(&self, db: &Db, purpose: &str, request: &impl Serialize) -> Answer<bool> {
        #[derive(Deserialize)]
        struct Row {
            request_hash: String,
        }
        let (org, key) = (self.org.to_string(), sha256_hex(self.scoped(purpose).as_bytes()));
        let request = sha256_hex(&serde_json::to_vec(request)?);
        let noted: Option<Row> = db
            .first(
                "INSERT INTO idempotency_keys (organization_id, key_hash, request_hash, created_at) VALUES (?, ?, ?, ?)
                 ON CONFLICT DO NOTHING RETURNING request_hash",
                vec![
                    org.as_str().into(),
                    key.as_str().into(),
                    request.as_str().into(),
                    clock::now().into(),
                ],
            )
            .await?;
        if noted.is_some() {
            return Ok(false);
        }
        let before: Option<Row> = db
            .first(
                "SELECT request_hash FROM idempotency_keys WHERE organization_id = ? AND key_hash = ?",
                vec![org.into(), key.into()],
            )
            .await?;
        if before.is_some_and(|before| before.request_hash == request) { Ok(true) } else { Err(used()) }
    }

    fn scoped(&self, purpose: &str) -> String {
        format!("{}\n{purpose}\n{}", self.org, self.text)
    }
}

/// The refusal of another request under a key that was used.
pub fn used() -> Failure {
    given::not_possible("this Idempotency-Key came with another request; use a fresh key for each one")
}
