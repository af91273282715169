//! What was done that somebody may have to answer for: secrets handed out, and what workers obey changed.
//!
//! A row says who, what and when; never a secret.

use shared::id::OrgId;
use worker::D1PreparedStatement;
use worker_shell::clock;
use worker_shell::failure::Answer;

use crate::auth::caller::Caller;
use crate::db::Db;

/// A row, to be written together with what it tells of. `deed` is one of a few fixed words.
pub fn row(db: &Db, caller: &Caller, deed: &str, subject: Option<String>) -> Answer<D1PreparedStatement> {
    let org: OrgId = caller.org();
    let actor = match caller {
        Caller::Person { role, .. } => role.clone(),
        Caller::Worker { key_id, .. } => key_id.to_string(),
    };
    db.statement(
        "INSERT INTO audit (organization_id, actor, deed, subject, at) VALUES (?, ?, ?, ?, ?)",
        vec![org.to_string().into(), actor.into(), deed.into(), subject.into(), clock::now().into()],
    )
}
