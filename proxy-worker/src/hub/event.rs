//! Event rows: reading them, and writing the one outcome that a step gives.

use serde::Deserialize;
use shared::event::Event;
use shared::hub::delivery::{EventState, Happening, step};
use shared::id::{FencingToken, Seq, SessionKey, WorkerId};
use shared::time::Timestamp;
use worker_shell::failure::{Answer, Failure};
use worker_shell::sql::{self, Sql, Value};

/// A row without its body.
#[derive(Debug, Clone, Deserialize)]
pub struct EventRow {
    pub seq: u64,
    pub session_key: SessionKey,
    pub kind: String,
    pub state: EventState,
    pub attempts: u32,
    pub token: u64,
    pub worker_id: Option<WorkerId>,
    pub takeover: u8,
    pub first_thought: u8,
}

const COLUMNS: &str = "seq, session_key, kind, state, attempts, token, worker_id, takeover, first_thought";

impl EventRow {
    /// Its number.
    pub fn seq(&self) -> Seq {
        Seq(self.seq)
    }

    /// The token under which it was last offered.
    pub fn token(&self) -> FencingToken {
        FencingToken(self.token)
    }
}

/// The row of one event.
pub fn find(sql: &Sql, seq: Seq) -> Answer<Option<EventRow>> {
    sql.first(&format!("SELECT {COLUMNS} FROM events WHERE seq = ?"), vec![sql::int(seq.0)?])
}

/// The rows that a condition picks, in the hub's order.
pub fn select(sql: &Sql, condition: &str, values: Vec<Value>) -> Answer<Vec<EventRow>> {
    sql.rows(&format!("SELECT {COLUMNS} FROM events e WHERE {condition} ORDER BY seq"), values)
}

/// The body, put together from its chunks.
pub fn body(sql: &Sql, seq: Seq) -> Answer<Event> {
    #[derive(Deserialize)]
    struct Chunk {
        text: String,
    }
    let chunks: Vec<Chunk> =
        sql.rows("SELECT text FROM event_chunks WHERE seq = ? ORDER BY n", vec![sql::int(seq.0)?])?;
    let text: String = chunks.into_iter().map(|chunk| chunk.text).collect();
    serde_json::from_str(&text).map_err(|error| Failure::internal(format!("stored event {seq}: {error}")))
}

/// Stores a body in chunks of at most 1 MiB: a row here may hold 2 MB.
pub fn store_body(sql: &Sql, seq: Seq, text: &str) -> Answer<()> {
    let mut rest = text;
    let mut n = 0;
    while !rest.is_empty() {
        let mut end = rest.len().min(1024 * 1024);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (chunk, tail) = rest.split_at(end);
        sql.run(
            "INSERT INTO event_chunks (seq, n, text) VALUES (?, ?, ?)",
            vec![sql::int(seq.0)?, Value::Integer(n), chunk.into()],
        )?;
        rest = tail;
        n += 1;
    }
    Ok(())
}

/// Takes one step with an event and writes its outcome. `None`: the step cannot be taken, nothing changed.
pub fn advance(
    sql: &Sql,
    row: &EventRow,
    happening: Happening,
    max_attempts: u32,
    now: Timestamp,
) -> Answer<Option<EventState>> {
    let Some(outcome) = step(row.state, row.attempts, happening, max_attempts) else { return Ok(None) };
    let stamp = match outcome.state {
        EventState::Offered => ", offered_at = ?4",
        EventState::Accepted => ", accepted_at = coalesce(accepted_at, ?4), first_thought_due = NULL",
        EventState::Done => ", done_at = coalesce(done_at, ?4), first_thought_due = NULL",
        EventState::Dead | EventState::Cancelled => ", done_at = ?4, first_thought_due = NULL",
        EventState::Pending => ", offered_at = NULL",
    };
    let mut values =
        vec![sql::int(row.seq)?, outcome.state.as_str().into(), sql::int(u64::from(outcome.attempts))?];
    if stamp.contains("?4") {
        values.push(sql::time(now));
    }
    sql.run(&format!("UPDATE events SET state = ?2, attempts = ?3{stamp} WHERE seq = ?1"), values)?;
    Ok(Some(outcome.state))
}
