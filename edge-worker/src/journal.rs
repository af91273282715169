//! The journal: every state change is a row in `state.db` (SQLite, WAL) before its effect happens.
//!
//! An event is accepted only after its row is here. Parts: [`schema`], [`event`], [`session`], [`run`] (what a run has
//! told, as one with how far its file was read), [`effect`] (the outbox's rows), [`line`] (log lines), [`look`] (for
//! those who only ask), [`own`] (events of this machine), [`recovery`] (work of a lost lease), [`backup`],
//! [`retention`], [`writer`] (the one thread that writes), [`failpoint`]. No wait of the disk holds up the event loop.
//! A lock on the folder refuses a second `cyrus start`.

pub mod backup;
pub mod effect;
pub mod event;
mod failpoint;
pub mod line;
pub mod look;
pub mod own;
pub mod recovery;
mod retention;
pub mod run;
mod schema;
pub mod session;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use shared::id::WorkerId;
use tokio::sync::Notify;

use writer::Writer;

use crate::redact::Redactor;

/// Why the journal did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// SQLite's answer.
    #[error("the journal failed; check that the disk has space and that {path} is writable")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// The folder cannot be used.
    #[error("cannot use the state folder {path}; it must exist and be writable")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else works with this folder.
    #[error("another cyrus runs with {path}; stop it first, or use another state folder")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The file is of a newer `cyrus`.
    #[error("{path} was written by a newer cyrus (version {version}); install that one again")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// A row that this build cannot read.
    #[error("a row of the journal cannot be read")]
    Row(#[source] serde_json::Error),
    /// The thread of the database is gone.
    #[error("the journal's thread ended early; start cyrus again")]
    Gone,
}

/// A journal that is open and locked. Clones share it.
#[derive(Clone)]
pub struct Journal {
    writer: Writer,
    reader: Arc<Mutex<Connection>>,
    path: PathBuf,
    worker_id: WorkerId,
    redactor: Redactor,
    loss: Arc<Notify>,
    _lock: Arc<File>,
}

impl Journal {
    /// Opens `state.db` in a folder, made when missing. `fresh` is this worker's id if the file is new.
    pub fn open(folder: &Path, fresh: WorkerId) -> Result<Self, JournalError> {
        let in_folder = |source| JournalError::Folder { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(in_folder)?;
        let lock = File::create(folder.join("lock")).map_err(in_folder)?;
        match take_lock(&lock) {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(JournalError::Locked { path: folder.to_owned() });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(in_folder(source)),
        }
        let path = folder.join("state.db");
        let sqlite = |source| JournalError::Sqlite { path: path.clone(), source };
        let mut connection = Connection::open(&path).map_err(sqlite)?;
        let version = schema::migrate(&mut connection).map_err(sqlite)?;
        if let Some(version) = version {
            return Err(JournalError::Newer { path, version });
        }
        let worker_id = schema::worker_id(&connection, fresh).map_err(sqlite)?;
        retention::prune(&connection, crate::worker::now()).map_err(sqlite)?;
        let reader = Arc::new(Mutex::new(writer::reader(&path).map_err(sqlite)?));
        let writer = Writer::start(connection).map_err(in_folder)?;
        let (redactor, loss) = (Redactor::default(), Arc::new(Notify::new()));
        Ok(Self { writer, reader, path, worker_id, redactor, loss, _lock: Arc::new(lock) })
    }

    /// The worker that this journal is.
    pub fn worker_id(&self) -> WorkerId {
        self.worker_id
    }

    /// What takes secrets out of all lines and effects before they are written down; whoever holds a secret teaches it.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Runs `work` in a transaction, perhaps together with that of others. It is on disk when this returns.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let done = self.writer.write(work).await.ok_or(JournalError::Gone)?;
        done.map_err(|source| JournalError::Sqlite { path: self.path.clone(), source })
    }

    /// Reads what is committed, on a blocking thread.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let reader = Arc::clone(&self.reader);
        let path = self.path.clone();
        let done = tokio::task::spawn_blocking(move || {
            // A poisoned lock means a panic elsewhere; a connection that only reads is sound all the same.
            let reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            work(&reader)
        })
        .await
        .map_err(|_| JournalError::Gone)?;
        done.map_err(|source| JournalError::Sqlite { path, source })
    }
}

/// Takes the lock, or waits 200 ms for it: a child that the process before was just starting holds it until it has
/// become its own program.
fn take_lock(lock: &File) -> Result<(), std::fs::TryLockError> {
    for _ in 0..20 {
        match lock.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => {
                std::thread::sleep(std::time::Duration::from_millis(10))
            }
            taken => return taken,
        }
    }
    lock.try_lock()
}

/// JSON in a column.
fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// JSON from a column.
fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}
