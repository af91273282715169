//! A look into a journal from outside: for people who ask, while `cyrus` runs or not. Reads only, takes no lock.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use shared::event::{Event, EventBody};
use shared::log_line::LogLine;
use shared::session::SessionState;
use shared::turn::{Phase, Turn};

use super::{JournalError, from_json, own, schema, writer};

/// An open look.
pub struct Look {
    connection: Connection,
    path: PathBuf,
}

/// A session as the journal knows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its id.
    pub session: String,
    /// What it is about.
    pub title: Option<String>,
    /// The issue, as people call it.
    pub issue: Option<String>,
    /// Where it stands; absent: it was heard of and nothing was done yet.
    pub state: Option<SessionState>,
    /// It was started on this machine, without an issue.
    pub own: bool,
    /// The repository's name.
    pub repository: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The worktree.
    pub worktree: Option<String>,
    /// The list cost of all its runs, in µUSD.
    pub cost_micro_usd: i64,
    /// When its newest run began, in ms since 1970.
    pub begun_at: Option<i64>,
    /// When its newest run ended.
    pub ended_at: Option<i64>,
    /// The number of its last line.
    pub lines: u64,
    /// What is still to be told to Linear or the panel.
    pub waiting: u64,
}

impl Session {
    /// Whether something is still to be done for it.
    pub fn is_open(&self) -> bool {
        self.state.is_some_and(|state| !state.is_over())
    }

    /// Whether a person means it by this word: its id, the beginning of it, or its issue.
    pub fn is_meant_by(&self, word: &str) -> bool {
        !word.is_empty()
            && (self.session.starts_with(word)
                || self.issue.as_ref().is_some_and(|issue| issue.eq_ignore_ascii_case(word)))
    }
}

impl Look {
    /// Opens the journal of a state folder; `None`: there is none yet.
    pub fn open(folder: &Path) -> Result<Option<Self>, JournalError> {
        let path = folder.join("state.db");
        if !path.exists() {
            return Ok(None);
        }
        let sqlite = |source| JournalError::Sqlite { path: path.clone(), source };
        let connection = writer::reader(&path).map_err(sqlite)?;
        let version: u32 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
        if version as usize > schema::MIGRATIONS.len() {
            return Err(JournalError::Newer { path, version });
        }
        // One that an older cyrus wrote is brought up to date by the next start; until then it tells nothing.
        Ok((version as usize == schema::MIGRATIONS.len()).then_some(Self { connection, path }))
    }

    fn ask<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        work(&self.connection).map_err(|source| JournalError::Sqlite { path: self.path.clone(), source })
    }

    /// The newest sessions first, at most so many.
    pub fn sessions(&self, most: u32) -> Result<Vec<Session>, JournalError> {
        self.ask(|db| {
            let mut query = db.prepare(
                "SELECT s.agent_session_id, s.session_key, s.repository, s.branch, s.worktree, s.next_line - 1, s.asked IS NOT NULL,
                    (SELECT coalesce(sum(cost_micro_usd), 0) FROM runs WHERE session = s.agent_session_id),
                    (SELECT max(begun_at) FROM runs WHERE session = s.agent_session_id),
                    (SELECT max(ended_at) FROM runs WHERE session = s.agent_session_id),
                    (SELECT count(*) FROM outbox WHERE session = s.agent_session_id AND state = 'open'),
                    (SELECT state FROM turns WHERE session = s.agent_session_id AND over = 0 ORDER BY first_seq LIMIT 1)
                 FROM sessions s ORDER BY coalesce((SELECT max(begun_at) FROM runs WHERE session = s.agent_session_id), 0) DESC, s.rowid DESC LIMIT ?1",
            )?;
            let mut rows = query.query([most])?;
            let mut sessions = Vec::new();
            while let Some(row) = rows.next()? {
                let session: String = row.get(0)?;
                let key: String = row.get(1)?;
                let turn: Option<String> = row.get(11)?;
                let ended_at: Option<i64> = row.get(9)?;
                let state = match turn.map(|text| from_json::<Turn>(&text)).transpose()? {
                    Some(turn) => Some(state_of(&turn.phase)),
                    None if row.get(6)? => Some(SessionState::AwaitingInput),
                    None => told_last(db, &session)?,
                };
                let about = about(db, &key, &session)?;
                sessions.push(Session {
                    repository: row.get(2)?,
                    branch: row.get(3)?,
                    worktree: row.get(4)?,
                    lines: row.get(5)?,
                    cost_micro_usd: row.get(7)?,
                    begun_at: row.get(8)?,
                    ended_at: ended_at.filter(|at| *at > 0),
                    waiting: row.get(10)?,
                    title: about.title,
                    issue: about.issue,
                    own: about.own,
                    state,
                    session,
                });
            }
            Ok(sessions)
        })
    }

    /// Lines of a session after a number, at most so many, oldest first.
    pub fn lines(&self, session: &str, after: u64, most: u32) -> Result<Vec<LogLine>, JournalError> {
        self.ask(|db| {
            let mut query =
                db.prepare("SELECT line FROM lines WHERE session = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3")?;
            let mut rows = query.query(params![session, after, most])?;
            let mut lines = Vec::new();
            while let Some(row) = rows.next()? {
                lines.push(from_json(&row.get::<_, String>(0)?)?);
            }
            Ok(lines)
        })
    }
}

fn state_of(phase: &Phase) -> SessionState {
    match phase {
        Phase::Waiting => SessionState::Queued,
        Phase::Running { .. } | Phase::Stopping { .. } | Phase::Over => SessionState::Running,
        Phase::Asking { .. } => SessionState::AwaitingInput,
        Phase::Parked { .. } => SessionState::Parked,
    }
}

/// The state that the outside was told last; without anybody to tell it, what the last words were.
fn told_last(db: &Connection, session: &str) -> rusqlite::Result<Option<SessionState>> {
    let word: Option<String> = db
        .query_row(
            "SELECT coalesce(json_extract(effect, '$.status'), CASE json_extract(effect, '$.content.type') WHEN 'error' THEN 'failed' ELSE 'completed' END)
             FROM outbox WHERE session = ?1 AND (json_extract(effect, '$.status') IS NOT NULL OR json_extract(effect, '$.content.type') IN ('response', 'error'))
             ORDER BY json_extract(effect, '$.status') IS NULL, id DESC LIMIT 1",
            [session],
            |row| row.get(0),
        )
        .optional()?;
    Ok(word.as_deref().and_then(SessionState::parse))
}

#[derive(Default)]
struct About {
    title: Option<String>,
    issue: Option<String>,
    own: bool,
}

/// What its first event that is still kept tells.
fn about(db: &Connection, key: &str, session: &str) -> rusqlite::Result<About> {
    let found: Option<(u64, String)> = db
        .query_row(
            "SELECT seq, event FROM events WHERE session_key = ?1 ORDER BY json_extract(event, '$.agentSession.id') = ?2 DESC, seq LIMIT 1",
            params![key, session],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((seq, text)) = found else { return Ok(About::default()) };
    let Ok(event) = serde_json::from_str::<Event>(&text) else { return Ok(About::default()) };
    let issue = event.body.agent_session().issue.as_ref();
    let title = match (&event.body, issue) {
        (_, Some(issue)) => Some(issue.title.clone()),
        (EventBody::RunRequested { prompt, .. }, None) => Some(prompt.clone()),
        (EventBody::SessionPrompted { text, .. }, None) => Some(text.clone()),
        _ => None,
    };
    Ok(About { title, issue: issue.and_then(|issue| issue.identifier.clone()), own: seq >= own::FIRST })
}
