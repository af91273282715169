//! Log lines of a session, numbered here, kept for a week once the panel has stored them.

use rusqlite::{Connection, params};
use shared::id::AgentSessionId;
use shared::log_line::LogLine;

use super::{Journal, JournalError, from_json, json};

impl Journal {
    /// Writes lines down and gives each the next number of its session; returns the last one's.
    pub async fn add_lines(&self, id: &AgentSessionId, lines: Vec<LogLine>) -> Result<u64, JournalError> {
        let id = id.0.clone();
        let lines = self.redactor.lines(lines);
        let now = crate::worker::now().as_millis();
        self.write(move |db| {
            let count = lines.len() as u64;
            append(db, &id, lines, now).map(|first| (first + count).saturating_sub(1))
        })
        .await
    }

    /// Lines after a number, up to some 200 KB of them and at least one if there is any.
    pub async fn lines_after(&self, id: &AgentSessionId, after: u64) -> Result<Vec<LogLine>, JournalError> {
        let id = id.0.clone();
        self.read(move |db| {
            let mut query =
                db.prepare("SELECT line FROM lines WHERE session = ?1 AND seq > ?2 ORDER BY seq LIMIT 500")?;
            let mut rows = query.query(params![id, after])?;
            let (mut lines, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let text: String = row.get(0)?;
                bytes += text.len();
                if bytes > 200_000 && !lines.is_empty() {
                    break;
                }
                lines.push(from_json(&text)?);
            }
            Ok(lines)
        })
        .await
    }

    /// How far the panel has stored, and the number of the last line.
    pub async fn line_marks(&self, id: &AgentSessionId) -> Result<(u64, u64), JournalError> {
        let id = id.0.clone();
        self.read(move |db| {
            db.query_row(
                "SELECT lines_stored, next_line - 1 FROM sessions WHERE agent_session_id = ?1",
                [id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
        .await
    }

    /// The panel has stored up to a number.
    pub async fn lines_stored(&self, id: &AgentSessionId, up_to: u64) -> Result<(), JournalError> {
        let id = id.0.clone();
        self.write(move |db| {
            db.execute(
                "UPDATE sessions SET lines_stored = max(lines_stored, ?2) WHERE agent_session_id = ?1",
                params![id, up_to],
            )
            .map(|_| ())
        })
        .await
    }
}

/// Writes lines down within a transaction; returns the number of the first one.
pub(super) fn append(db: &Connection, session: &str, lines: Vec<LogLine>, now: i64) -> rusqlite::Result<u64> {
    let first: u64 =
        db.query_row("SELECT next_line FROM sessions WHERE agent_session_id = ?1", [session], |row| {
            row.get(0)
        })?;
    let mut next = first;
    let mut insert =
        db.prepare_cached("INSERT INTO lines (session, seq, line, at) VALUES (?1, ?2, ?3, ?4)")?;
    for mut line in lines {
        line.seq = next;
        insert.execute(params![session, next, json(&line)?, now])?;
        next += 1;
    }
    db.execute("UPDATE sessions SET next_line = ?2 WHERE agent_session_id = ?1", params![session, next])?;
    Ok(first)
}
