//! The caller of a request and what it may do.

use serde::Deserialize;
use shared::digest::sha256_hex;
use shared::id::{KeyId, OrgId};
use shared::problem::{Problem, ProblemCode};
use worker::{Env, Method, Request};
use worker_shell::failure::{Answer, Failure};
use worker_shell::{clock, credential};

use super::cookie;
use crate::db::Db;

/// Who is asking.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A person, by cookie or by an API key.
    Person {
        /// Their organization.
        org: OrgId,
        /// `owner`, `admin`, `operator` or `viewer`.
        role: String,
    },
    /// A worker, by its key.
    Worker {
        /// Its organization.
        org: OrgId,
        /// Its key.
        key_id: KeyId,
    },
}

#[derive(Deserialize)]
struct KeyRow {
    id: KeyId,
    organization_id: OrgId,
    kind: String,
    role: String,
}

#[derive(Deserialize)]
struct BrowserRow {
    organization_id: OrgId,
    role: String,
}

impl Caller {
    /// The organization that every query of this request names.
    pub fn org(&self) -> OrgId {
        match self {
            Self::Person { org, .. } | Self::Worker { org, .. } => *org,
        }
    }

    /// The organization, if the caller is a worker.
    pub fn worker(&self) -> Answer<(OrgId, KeyId)> {
        match self {
            Self::Worker { org, key_id } => Ok((*org, *key_id)),
            Self::Person { .. } => Err(forbidden("this route is for worker keys")),
        }
    }

    /// The organization, if the caller is a person who may change things.
    pub fn operator(&self) -> Answer<OrgId> {
        match self {
            Self::Person { org, role } if role != "viewer" => Ok(*org),
            Self::Person { .. } => {
                Err(forbidden("a viewer may look but not change; ask an owner for another role"))
            }
            Self::Worker { .. } => Err(forbidden("this route is for people")),
        }
    }

    /// The organization, if the caller is a person, whatever their role.
    pub fn person(&self) -> Answer<OrgId> {
        match self {
            Self::Person { org, .. } => Ok(*org),
            Self::Worker { .. } => Err(forbidden("this route is for people")),
        }
    }

    /// The organization, if the caller is a person who may take access away from others.
    pub fn admin(&self) -> Answer<OrgId> {
        match self {
            Self::Person { org, role } if matches!(role.as_str(), "owner" | "admin") => Ok(*org),
            Self::Person { .. } => Err(forbidden("this is for an admin or an owner; ask one of them")),
            Self::Worker { .. } => Err(forbidden("this route is for people")),
        }
    }
}

/// Finds out who is asking; refuses strangers, and browsers on another site that ride on a cookie.
pub async fn identify(request: &Request, env: &Env) -> Answer<Caller> {
    let db = Db::of(env)?;
    if let Some(key) = credential::bearer(request) {
        let row: Option<KeyRow> = db
            .first(
                "SELECT id, organization_id, kind, role FROM api_keys WHERE hash = ? AND revoked_at IS NULL",
                vec![sha256_hex(key.as_bytes()).into()],
            )
            .await?;
        let row =
            row.ok_or_else(|| Problem::new(ProblemCode::Unauthorized, "this API key is unknown or revoked"))?;
        return Ok(match row.kind.as_str() {
            "worker" => Caller::Worker { org: row.organization_id, key_id: row.id },
            _ => Caller::Person { org: row.organization_id, role: row.role },
        });
    }
    let signed_out = || {
        Failure::from(Problem::new(
            ProblemCode::Unauthorized,
            "sign in with the one-time link that `cargo xtask up` prints, or send an API key as Bearer",
        ))
    };
    let secret = cookie::read(request)?.ok_or_else(signed_out)?;
    check_origin(request)?;
    let row: Option<BrowserRow> = db
        .first(
            "SELECT organization_id, role FROM browser_sessions WHERE hash = ? AND expires_at > ?",
            vec![sha256_hex(secret.as_bytes()).into(), clock::now().into()],
        )
        .await?;
    let row = row.ok_or_else(signed_out)?;
    Ok(Caller::Person { org: row.organization_id, role: row.role })
}

/// A write that a cookie authorises must come from the panel's own pages.
pub fn check_origin(request: &Request) -> Answer<()> {
    if matches!(request.method(), Method::Get | Method::Head) {
        return Ok(());
    }
    let own = request.url()?.origin().ascii_serialization();
    if request.headers().get("origin")?.as_deref() == Some(own.as_str()) {
        return Ok(());
    }
    Err(Problem::new(
        ProblemCode::OriginMismatch,
        "writes with a cookie are taken from the panel's own pages only; scripts use an API key",
    )
    .into())
}

fn forbidden(detail: &str) -> Failure {
    Problem::new(ProblemCode::Forbidden, detail).into()
}
