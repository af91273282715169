//! The one thread that writes: whatever waits for it goes into one commit, so that many sessions share a sync of the
//! disk. Each piece of work has a savepoint of its own: one that fails undoes only itself.
//!
//! Nobody is told that something is written before the commit that holds it is on disk.

use std::path::Path;
use std::sync::mpsc;

use rusqlite::Connection;

use super::failpoint;

/// Work on the database within a transaction, or nothing if none could begin; it answers its caller itself.
type Work = Box<dyn FnOnce(Option<&Connection>) -> Settled + Send>;

/// What is to be called once it is known whether the commit has happened.
type Settled = Box<dyn FnOnce(Committed) + Send>;

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Committed {
    Yes,
    No,
}

/// The most pieces of work in one commit.
const MOST: usize = 256;

/// The way to the thread. Clones share it; it ends with the last of them, after what was given to it.
#[derive(Clone)]
pub(super) struct Writer {
    work: mpsc::Sender<Work>,
}

impl Writer {
    /// Starts the thread on a connection that is migrated.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (work, waiting) = mpsc::channel::<Work>();
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || run(connection, &waiting))?;
        Ok(Self { work })
    }

    /// Runs `work` and answers when its commit is on disk. `None`: the thread is gone.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Option<rusqlite::Result<T>> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let boxed: Work = Box::new(move |db| {
            let value = db.ok_or_else(not_committed).and_then(|db| within_savepoint(db, work));
            Box::new(move |committed| {
                let value = match (value, committed) {
                    (Ok(_), Committed::No) => Err(not_committed()),
                    (value, _) => value,
                };
                // Nobody waits for the answer any more.
                let _ = reply.send(value);
            })
        });
        self.work.send(boxed).ok()?;
        answer.await.ok()
    }
}

/// A connection that only reads what is committed.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    use rusqlite::OpenFlags;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

fn run(connection: Connection, waiting: &mpsc::Receiver<Work>) {
    while let Ok(first) = waiting.recv() {
        let begun = connection.execute_batch("BEGIN IMMEDIATE");
        let open = begun.is_ok().then_some(&connection);
        let mut settled = vec![first(open)];
        while settled.len() < MOST
            && let Ok(next) = waiting.try_recv()
        {
            settled.push(next(open));
        }
        failpoint::before_commit();
        let committed = match begun.and_then(|()| connection.execute_batch("COMMIT")) {
            Ok(()) => Committed::Yes,
            Err(error) => {
                tracing::error!("the journal could not commit: {error}");
                // Without this the next BEGIN would fail as well. It fails itself when SQLite has rolled back.
                let _ = connection.execute_batch("ROLLBACK");
                Committed::No
            }
        };
        failpoint::after_commit();
        for tell in settled {
            tell(committed);
        }
    }
}

fn not_committed() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT);
    rusqlite::Error::SqliteFailure(code, Some("the commit failed".to_owned()))
}

fn within_savepoint<T>(
    db: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    db.execute_batch("SAVEPOINT work")?;
    match work(db) {
        Ok(value) => db.execute_batch("RELEASE work").map(|()| value),
        Err(error) => {
            db.execute_batch("ROLLBACK TO work; RELEASE work")?;
            Err(error)
        }
    }
}
