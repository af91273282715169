//! What the journal forgets: done events and effects, ended runs and stored lines, a week after the fact.
//!
//! Nothing goes that is still to happen, or that the hub or the panel has not confirmed.

use rusqlite::{Connection, params};
use shared::time::Timestamp;

/// How long what is done is kept for whoever asks: as long as the hub keeps it.
const KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// The most lines of one session that are kept once the panel has them.
const LINES_KEPT: u64 = 50_000;

/// Deletes what is old.
pub(super) fn prune(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let before = now.as_millis().saturating_sub(KEPT_MS);
    db.execute("DELETE FROM events WHERE state = 'done' AND acked = 1 AND done_at < ?1", [before])?;
    db.execute("DELETE FROM outbox WHERE state <> 'open' AND done_at < ?1", [before])?;
    db.execute("DELETE FROM turns WHERE over = 1 AND changed_at < ?1", [before])?;
    db.execute(
        "DELETE FROM runs WHERE ended_at < ?1 AND conversation NOT IN (SELECT conversation FROM sessions WHERE conversation IS NOT NULL)",
        [before],
    )?;
    db.execute(
        "DELETE FROM lines WHERE at < ?1 AND seq <= (SELECT lines_stored FROM sessions WHERE agent_session_id = session)",
        [before],
    )?;
    db.execute(
        "DELETE FROM lines WHERE seq <= (SELECT min(lines_stored, next_line - 1 - ?1) FROM sessions WHERE agent_session_id = session)",
        params![LINES_KEPT],
    )?;
    Ok(())
}
