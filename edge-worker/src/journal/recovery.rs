//! Sessions that moved to another worker: what is open of them ends here, and work that a run left is to be put aside.
//!
//! The row is written together with the loss, so no crash forgets work. What was still to be said is never said.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use shared::id::{AgentSessionId, FencingToken, RunId, Seq, SessionKey};
use shared::turn::Turn;

use super::{Journal, JournalError, from_json, json};

/// Work of a run whose lease was lost, until the panel knows where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LostWork {
    /// The run.
    pub run: RunId,
    /// The lease that it had.
    pub session_key: SessionKey,
    /// Its token.
    pub token: FencingToken,
    /// The Linear session.
    pub session: AgentSessionId,
    /// The repository, by its name in the configuration.
    pub repository: Option<String>,
    /// Where the run worked.
    pub worktree: String,
    /// On which branch.
    pub branch: String,
}

impl Journal {
    /// Gives events up whose lease is lost: their runs' work is to be put aside, and what waits to be said of their
    /// sessions stays unsaid. Events that are not open are left alone.
    pub async fn lose(&self, seqs: Vec<Seq>) -> Result<(), JournalError> {
        let now = crate::worker::now().as_millis();
        self.write(move |db| {
            for seq in &seqs {
                let open: Option<(String, u64)> = db
                    .query_row(
                        "SELECT session_key, token FROM events WHERE seq = ?1 AND state IN ('open', 'turn_over')",
                        [seq.0],
                        |row| Ok((row.get(0)?, row.get(1)?)),
                    )
                    .optional()?;
                let Some((key, token)) = open else { continue };
                put_aside(db, *seq, &key, FencingToken(token))?;
                silence(db, &key, now)?;
                db.execute(
                    "UPDATE events SET state = 'given_up', turn = NULL, done_at = ?2 WHERE seq = ?1",
                    params![seq.0, now],
                )?;
            }
            Ok(())
        })
        .await?;
        self.loss.notify_one();
        Ok(())
    }

    /// Waits until leases were lost since the last time.
    pub async fn lost_some(&self) {
        self.loss.notified().await;
    }

    /// Work that is to be put aside, oldest first.
    pub async fn lost_work(&self) -> Result<Vec<LostWork>, JournalError> {
        self.read(|db| {
            let mut query = db.prepare("SELECT recovery FROM recoveries WHERE told = 0 ORDER BY run")?;
            let rows = query.query_map([], |row| row.get::<_, String>(0))?;
            rows.map(|text| from_json(&text?)).collect()
        })
        .await
    }

    /// A run's work is where the panel says that it is.
    pub async fn work_is_safe(&self, run: RunId) -> Result<(), JournalError> {
        self.write(move |db| {
            db.execute("UPDATE recoveries SET told = 1 WHERE run = ?1", [run.to_string()]).map(|_| ())
        })
        .await
    }
}

/// Writes down that the work of the event's turn is to be put aside, if a run of it has begun.
fn put_aside(db: &Connection, seq: Seq, key: &str, token: FencingToken) -> rusqlite::Result<()> {
    let turn: Option<(String, String)> = db
        .query_row("SELECT session, state FROM turns WHERE first_seq = ?1 AND over = 0", [seq.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((session, state)) = turn else { return Ok(()) };
    let turn: Turn = from_json(&state)?;
    db.execute("DELETE FROM turns WHERE first_seq = ?1", [seq.0])?;
    db.execute("UPDATE sessions SET open_run = NULL WHERE agent_session_id = ?1", [&session])?;
    let Some(run) = turn.runs.last() else { return Ok(()) };
    let place: Option<(Option<String>, Option<String>, Option<String>)> = db
        .query_row(
            "SELECT repository, worktree, branch FROM sessions WHERE agent_session_id = ?1",
            [&session],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((repository, Some(worktree), Some(branch))) = place else { return Ok(()) };
    let work = LostWork {
        run: *run,
        session_key: SessionKey(key.to_owned()),
        token,
        session: AgentSessionId(session.clone()),
        repository,
        worktree,
        branch,
    };
    db.execute(
        "INSERT INTO recoveries (run, session, recovery) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![run.to_string(), session, json(&work)?],
    )
    .map(|_| ())
}

/// Nothing more is said of the key's sessions under the lease that is lost: whoever has it now says it.
fn silence(db: &Connection, key: &str, now: i64) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE outbox SET state = 'void', done_at = ?2 WHERE state = 'open'
         AND session IN (SELECT agent_session_id FROM sessions WHERE session_key = ?1)",
        params![key, now],
    )?;
    db.execute(
        "UPDATE sessions SET lines_stored = next_line - 1 WHERE session_key = ?1 AND lines_stored < next_line - 1",
        [key],
    )
    .map(|_| ())
}
