//! Event rows: between the table's columns and [`Item`], and the bodies' chunks.
//!
//! A row comes out of SQLite as one JSON text, so that it crosses into this module once and not once a column.

use serde::Deserialize;
use shared::hub::delivery::EventState;
use shared::hub::fleet::Wants;
use shared::hub::ledger::{Hold, Item, Sort};
use shared::id::{AgentSessionId, FencingToken, Seq, SessionKey, WorkerId};
use shared::time::Timestamp;
use worker_shell::failure::{Answer, Failure};
use worker_shell::sql::{self, Sql, Value};

/// What [`read`] takes, as the text of one JSON array.
pub const COLUMNS: &str = "json_array(seq, session_key, agent_session, sort, wants, state, hold, attempts, token, worker_id, finished, \
     takeover, ask, first_thought, first_thought_due, not_before, offered_at, accepted_at, done_at, reason, given_back) AS row";

/// Where a chunk of an event begins in the table: 64 chunks of 1 MiB are more than any body has.
const CHUNKS: u64 = 64;

/// Reads one row of [`COLUMNS`].
pub fn read(text: &str) -> Answer<Item> {
    let row: Flat = serde_json::from_str(text)?;
    row.item()
}

/// The array in its own order; serde reads tuples of at most sixteen, so it is a struct.
#[derive(Deserialize)]
struct Flat(
    u64,
    SessionKey,
    AgentSessionId,
    u8,
    Option<String>,
    EventState,
    Option<String>,
    u32,
    u64,
    Option<WorkerId>,
    u8,
    u8,
    u8,
    u8,
    Option<i64>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    u8,
);

impl Flat {
    fn item(self) -> Answer<Item> {
        let Self(seq, key, agent_session, sort, wants, state, hold, attempts, token, worker, ..) = self;
        let (finished, takeover, ask, first_thought) =
            (self.10 != 0, self.11 != 0, self.12 != 0, self.13 != 0);
        Ok(Item {
            seq: Seq(seq),
            key,
            agent_session,
            sort: sort_of(sort),
            wants: wants.map_or(Ok(Wants::default()), |wants| serde_json::from_str(&wants))?,
            state,
            hold: hold.as_deref().map(hold_of).transpose()?,
            attempts,
            token: FencingToken(token),
            worker,
            finished,
            given_back: self.20 != 0,
            takeover,
            ask,
            first_thought,
            first_thought_due: self.14.map(Timestamp::from_millis),
            not_before: Timestamp::from_millis(self.15),
            offered_at: self.16.map(Timestamp::from_millis),
            accepted_at: self.17.map(Timestamp::from_millis),
            ended_at: self.18.map(Timestamp::from_millis),
            reason: self.19,
        })
    }
}

fn sort_of(number: u8) -> Sort {
    match number {
        1 => Sort::Local,
        2 => Sort::Stop,
        3 => Sort::LocalStop,
        _ => Sort::Work,
    }
}

/// The number in the column.
pub fn sort_number(sort: Sort) -> i64 {
    match sort {
        Sort::Work => 0,
        Sort::Local => 1,
        Sort::Stop => 2,
        Sort::LocalStop => 3,
    }
}

/// Begins the word of what is held for room; what the event wants follows, so that the index leads to it.
pub const ROOM: &str = "room:";

/// The word in the column.
pub fn hold_word(hold: Hold) -> String {
    match hold {
        Hold::Order => "order".to_owned(),
        Hold::Served => "served".to_owned(),
        Hold::Room => ROOM.to_owned(),
        Hold::Worker(worker) => worker.to_string(),
    }
}

/// Reads the word.
pub fn hold_of(word: &str) -> Answer<Hold> {
    match word {
        "order" => Ok(Hold::Order),
        "served" => Ok(Hold::Served),
        room if room.starts_with(ROOM) => Ok(Hold::Room),
        worker => worker
            .parse()
            .map(Hold::Worker)
            .map_err(|_| Failure::internal("an event waits for what is no worker")),
    }
}

/// An instant for a column that may be empty.
pub fn instant(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, sql::time)
}

/// The largest body that is in the event's own row, in bytes; larger ones are in chunks. A row here may hold 2 MB.
pub const CHUNK: usize = 1024 * 1024;

/// The body, put together from its chunks where it has any.
pub fn body(sql: &Sql, seq: Seq) -> Answer<String> {
    let own = sql
        .texts("SELECT body AS row FROM events WHERE seq = ? AND body IS NOT NULL", vec![sql::int(seq.0)?])?;
    if let Some(own) = own.into_iter().next() {
        return Ok(own);
    }
    let first = seq.0.saturating_mul(CHUNKS);
    let chunks = sql.texts(
        "SELECT text AS row FROM chunks WHERE id >= ?1 AND id < ?1 + 64 ORDER BY id",
        vec![sql::int(first)?],
    )?;
    Ok(chunks.concat())
}

/// Stores a large body in chunks.
pub fn store_chunks(sql: &Sql, seq: Seq, text: &str) -> Answer<()> {
    let mut rest = text;
    let mut id = seq.0.saturating_mul(CHUNKS);
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at(rest.floor_char_boundary(CHUNK));
        sql.run("INSERT INTO chunks (id, text) VALUES (?, ?)", vec![sql::int(id)?, chunk.into()])?;
        rest = tail;
        id += 1;
    }
    Ok(())
}
