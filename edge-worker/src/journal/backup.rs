//! A copy of the journal that is whole at one instant, and whether a copy is sound.
//!
//! The copy is made by SQLite itself (`VACUUM INTO`), beside a `cyrus` that runs. What else belongs to a backup is
//! known to [`crate::cli`].

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{JournalError, schema, writer};

/// Copies the journal of a state folder into a new file. `false`: there is no journal yet.
pub fn copy(folder: &Path, to: &Path) -> Result<bool, JournalError> {
    let path = folder.join("state.db");
    if !path.exists() {
        return Ok(false);
    }
    let sqlite = |source| JournalError::Sqlite { path: path.clone(), source };
    let connection = writer::reader(&path).map_err(sqlite)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map_err(sqlite)?;
    Ok(true)
}

/// Whether a copy can be read from end to end by this build; its version.
pub fn check(file: &Path) -> Result<u32, JournalError> {
    let sqlite = |source| JournalError::Sqlite { path: file.to_owned(), source };
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
    let verdict: String =
        connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).map_err(sqlite)?;
    if verdict != "ok" {
        return Err(sqlite(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
            Some(verdict),
        )));
    }
    let version: u32 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
    if version as usize > schema::MIGRATIONS.len() {
        return Err(JournalError::Newer { path: file.to_owned(), version });
    }
    Ok(version)
}
