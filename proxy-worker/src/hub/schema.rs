//! The hub's own tables, with a version. Migrations only add; each runs once, in one transaction.

use serde::Deserialize;
use worker::State;
use worker_shell::failure::{Answer, Failure};
use worker_shell::sql::{self, Sql};

/// One file a version; a file is never changed once released.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001_first.sql"),
    include_str!("schema/0002_sessions.sql"),
    include_str!("schema/0003_connected.sql"),
];

/// Brings the tables to this build's version. A newer version is refused: an older build must not guess.
pub fn migrate(state: &State) -> Answer<()> {
    #[derive(Deserialize)]
    struct Row {
        version: u32,
    }
    let sql = Sql::of(state);
    sql.run("CREATE TABLE IF NOT EXISTS schema_version (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), version INTEGER NOT NULL)", vec![])?;
    let row: Option<Row> = sql.first("SELECT version FROM schema_version", vec![])?;
    let version = row.map_or(0, |row| row.version) as usize;
    if version > MIGRATIONS.len() {
        return Err(Failure::internal(
            "the hub's tables are of a newer version; deploy the newer proxy again",
        ));
    }
    for (index, statements) in MIGRATIONS.iter().enumerate().skip(version) {
        sql::transaction(state, || {
            Sql::of(state).run(statements, vec![])?;
            Sql::of(state).run(
                "INSERT INTO schema_version (only_row, version) VALUES (1, ?) ON CONFLICT (only_row) DO UPDATE SET version = excluded.version",
                vec![sql::int(index as u64 + 1)?],
            )
        })?;
    }
    Ok(())
}
