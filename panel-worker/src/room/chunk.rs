//! Chunks of lines in D1: one row a flush.

use serde::Deserialize;
use shared::log_line::LogLine;
use worker::Env;
use worker_shell::clock;
use worker_shell::failure::Answer;

use super::Place;
use crate::db::Db;

/// The number of the last stored line; 0 when there is none.
pub async fn stored_up_to(env: &Env, place: Place) -> Answer<u64> {
    #[derive(Deserialize)]
    struct Row {
        up_to: u64,
    }
    let row: Option<Row> = Db::of(env)?
        .first(
            "SELECT coalesce(max(last_seq), 0) AS up_to FROM session_logs WHERE session_id = ? AND organization_id = ?",
            vec![place.session.to_string().into(), place.org.to_string().into()],
        )
        .await?;
    Ok(row.map_or(0, |row| row.up_to))
}

/// Stores lines, which must be numbered in order, as one chunk.
pub async fn store(env: &Env, place: Place, lines: &[LogLine]) -> Answer<()> {
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return Ok(()) };
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    Db::of(env)?
        .run(
            "INSERT INTO session_logs (session_id, first_seq, last_seq, organization_id, lines, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            vec![
                place.session.to_string().into(),
                first.seq.into(),
                last.seq.into(),
                place.org.to_string().into(),
                text.into(),
                clock::now().into(),
            ],
        )
        .await
}

/// The stored lines after a number, up to some 50 chunks of them.
pub async fn after(env: &Env, place: Place, after: u64) -> Answer<Vec<LogLine>> {
    #[derive(Deserialize)]
    struct Row {
        lines: String,
    }
    let rows: Vec<Row> = Db::of(env)?
        .rows(
            "SELECT lines FROM session_logs WHERE session_id = ? AND organization_id = ? AND last_seq > ? ORDER BY first_seq LIMIT 50",
            vec![place.session.to_string().into(), place.org.to_string().into(), after.into()],
        )
        .await?;
    let mut lines = Vec::new();
    for text in rows.iter().flat_map(|row| row.lines.lines()) {
        let line: LogLine = serde_json::from_str(text)?;
        if line.seq > after {
            lines.push(line);
        }
    }
    Ok(lines)
}
