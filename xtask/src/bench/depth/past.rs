//! A long past for a hub, written into its own SQLite file while no workerd has it open.
//!
//! Nothing is invented: the hub itself stores one event of each kind by way of its public interface, and those rows
//! are copied with keys and ids of their own, whatever columns the tables have.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, params_from_iter};
use shared::id::EventId;
use uuid::Uuid;

/// Rows that the hub holds for one session, to be copied.
struct Template {
    session_key: String,
    agent_session: String,
    sessions: Vec<Vec<Value>>,
    events: Vec<(Vec<Value>, Vec<Vec<Value>>)>,
}

/// How many copies of which session.
pub struct Copies {
    /// The session's key as its webhooks had it.
    pub session_key: String,
    /// The agent session's id in them.
    pub agent_session: String,
    /// How often.
    pub count: usize,
}

/// The file of the hub that knows this worker key.
pub fn file_of(state: &Path, key_hash: &str) -> Result<PathBuf> {
    let mut folders = vec![state.join("do")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sqlite")
                && knows(&path, key_hash)
            {
                return Ok(path);
            }
        }
    }
    anyhow::bail!("no SQLite file under {} is that hub's", state.display())
}

fn knows(path: &Path, key_hash: &str) -> bool {
    let count = |connection: Connection| {
        connection.query_row("SELECT count(*) FROM worker_keys WHERE hash = ?", [key_hash], |row| {
            row.get::<_, i64>(0)
        })
    };
    Connection::open(path).and_then(count).is_ok_and(|count| count == 1)
}

/// Copies sessions with everything that belongs to them.
pub fn write(file: &Path, copies: &[Copies]) -> Result<()> {
    let mut connection = Connection::open(file)?;
    let columns = Columns {
        sessions: columns(&connection, "sessions")?,
        events: columns(&connection, "events")?,
        chunks: columns(&connection, "chunks")?,
    };
    let transaction = connection.transaction()?;
    let mut seq: i64 = transaction.query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
    for copies in copies {
        let template = Template::read(&transaction, &columns, copies)?;
        for _ in 0..copies.count {
            seq = template.copy(&transaction, &columns, seq)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

struct Columns {
    sessions: Vec<String>,
    events: Vec<String>,
    chunks: Vec<String>,
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    ensure!(!names.is_empty(), "the hub has no table `{table}`");
    Ok(names)
}

fn rows(
    transaction: &Transaction<'_>,
    columns: &[String],
    rest: &str,
    key: &dyn rusqlite::ToSql,
) -> Result<Vec<Vec<Value>>> {
    let mut statement = transaction.prepare_cached(&format!("SELECT {} FROM {rest}", columns.join(", ")))?;
    let rows = statement.query_map([key], |row| (0..columns.len()).map(|index| row.get(index)).collect())?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Template {
    fn read(
        transaction: &Transaction<'_>,
        columns: &Columns,
        Copies { session_key, agent_session, .. }: &Copies,
    ) -> Result<Self> {
        // None where nobody has had the session yet.
        let sessions = rows(transaction, &columns.sessions, "sessions WHERE session_key = ?", session_key)?;
        let at = position(&columns.events, "seq")?;
        let mut events = Vec::new();
        for event in
            rows(transaction, &columns.events, "events WHERE session_key = ? ORDER BY seq", session_key)?
        {
            let Some(Value::Integer(seq)) = event.get(at) else { continue };
            let chunks = rows(transaction, &columns.chunks, "chunks WHERE id / 64 = ? ORDER BY id", seq)?;
            events.push((event, chunks));
        }
        ensure!(!events.is_empty(), "the hub has no event of session {session_key}");
        Ok(Self { session_key: session_key.clone(), agent_session: agent_session.clone(), sessions, events })
    }

    /// Gives the last seq that it used.
    fn copy(&self, transaction: &Transaction<'_>, columns: &Columns, mut seq: i64) -> Result<i64> {
        let (key, agent_session) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let own =
            |text: &str| text.replace(&self.session_key, &key).replace(&self.agent_session, &agent_session);
        let renamed = |values: &[Value]| -> Vec<Value> {
            values
                .iter()
                .map(|value| match value {
                    Value::Text(text) => Value::Text(own(text)),
                    other => other.clone(),
                })
                .collect()
        };
        for session in &self.sessions {
            insert(transaction, "sessions", &columns.sessions, renamed(session))?;
        }
        for (event, chunks) in &self.events {
            seq += 1;
            let mut event = renamed(event);
            let mut set = |column: &str, value: Value| -> Result<()> {
                *event.get_mut(position(&columns.events, column)?).context("a short row")? = value;
                Ok(())
            };
            set("seq", Value::Integer(seq))?;
            set("id", Value::Text(EventId::from_uuid(Uuid::now_v7()).to_string()))?;
            set("delivery_id", Value::Text(Uuid::new_v4().to_string()))?;
            set("meaning", Value::Text(format!("past/{seq}")))?;
            insert(transaction, "events", &columns.events, event)?;
            for (n, chunk) in (0..).zip(chunks) {
                let mut chunk = renamed(chunk);
                *chunk.get_mut(position(&columns.chunks, "id")?).context("a short row")? =
                    Value::Integer(seq * 64 + n);
                insert(transaction, "chunks", &columns.chunks, chunk)?;
            }
        }
        Ok(seq)
    }
}

fn position(columns: &[String], name: &str) -> Result<usize> {
    columns
        .iter()
        .position(|column| column == name)
        .with_context(|| format!("the hub's table has no column `{name}`"))
}

fn insert(transaction: &Transaction<'_>, table: &str, columns: &[String], values: Vec<Value>) -> Result<()> {
    let marks = vec!["?"; columns.len()].join(", ");
    let text = format!("INSERT INTO {table} ({}) VALUES ({marks})", columns.join(", "));
    transaction.prepare_cached(&text)?.execute(params_from_iter(values))?;
    Ok(())
}
