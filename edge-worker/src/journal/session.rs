//! What is remembered of a session: where its work is, how its conversation is resumed, what it has spent.

use rusqlite::{OptionalExtension, params};
use shared::id::{AgentSessionId, RunId, Seq, SessionId, SessionKey};

use super::effect::{self, Effect};
use super::{Journal, JournalError};

/// A session's row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The panel's id, once it gave one.
    pub panel_id: Option<SessionId>,
    /// The executor's conversation, by which it is resumed.
    pub conversation: Option<String>,
    /// A run that had begun and was not seen to end.
    pub open_run: Option<RunId>,
    /// The repository that it works in, by its name in the configuration.
    pub repository: Option<String>,
    /// The person was asked which repository is meant; what they wanted before that.
    pub asked: Option<String>,
}

/// Where a session works, as far as it is decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// Its own repository.
    pub own: Option<String>,
    /// The person was asked and has not answered yet.
    pub asked: bool,
    /// The repository of the newest session of the same key.
    pub of_key: Option<String>,
}

impl Journal {
    /// The session's row, made when missing.
    pub async fn session(&self, id: &AgentSessionId, key: &SessionKey) -> Result<Remembered, JournalError> {
        let (id, key) = (id.0.clone(), key.0.clone());
        self.write(move |db| {
            db.execute(
                "INSERT INTO sessions (agent_session_id, session_key) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![id, key],
            )?;
            db.query_row(
                "SELECT panel_id, conversation, open_run, repository, asked FROM sessions WHERE agent_session_id = ?1",
                [id],
                |row| {
                    let parse = |text: Option<String>| text.and_then(|text| text.parse().ok());
                    Ok(Remembered {
                        panel_id: parse(row.get(0)?),
                        conversation: row.get(1)?,
                        open_run: row.get::<_, Option<String>>(2)?.and_then(|text| text.parse().ok()),
                        repository: row.get(3)?,
                        asked: row.get(4)?,
                    })
                },
            )
        })
        .await
    }

    /// What is remembered of where a session works, without making a row: its own part, and the repository that
    /// another session of the same key was given last.
    pub async fn whereabouts(
        &self,
        id: &AgentSessionId,
        key: &SessionKey,
    ) -> Result<Whereabouts, JournalError> {
        let (id, key) = (id.0.clone(), key.0.clone());
        self.read(move |db| {
            let own: Option<(Option<String>, Option<String>)> = db
                .query_row("SELECT repository, asked FROM sessions WHERE agent_session_id = ?1", [&id], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let of_key = db
                .query_row(
                    "SELECT repository FROM sessions WHERE session_key = ?1 AND repository IS NOT NULL ORDER BY rowid DESC LIMIT 1",
                    [&key],
                    |row| row.get(0),
                )
                .optional()?;
            let (own, asked) = own.unwrap_or_default();
            Ok(Whereabouts { own, asked: asked.is_some(), of_key })
        })
        .await
    }

    /// The repository of a session is chosen; a question about it is answered.
    pub async fn set_repository(&self, id: &AgentSessionId, name: String) -> Result<(), JournalError> {
        let id = id.0.clone();
        self.write(move |db| {
            db.execute(
                "UPDATE sessions SET repository = ?2, asked = NULL WHERE agent_session_id = ?1",
                params![id, name],
            )
            .map(|_| ())
        })
        .await
    }

    /// Ends a turn that only asks which repository is meant: the question, what was wanted, and the event, as one.
    pub async fn asks(
        &self,
        id: &AgentSessionId,
        wanted: String,
        seq: Seq,
        effects: Vec<Effect>,
    ) -> Result<(), JournalError> {
        let id = id.0.clone();
        let effects = self.redactor.effects(effects);
        self.write(move |db| {
            db.execute("UPDATE sessions SET asked = ?2 WHERE agent_session_id = ?1", params![id, wanted])?;
            db.execute("UPDATE events SET state = 'turn_over' WHERE seq = ?1 AND state = 'open'", [seq.0])?;
            for effect in &effects {
                effect::insert(db, &id, effect)?;
            }
            Ok(())
        })
        .await
    }

    /// A session ends without a word to Linear: what was to be posted there is dropped, and its open run, which is
    /// returned, is no longer to be resumed.
    pub async fn silence(&self, id: &AgentSessionId) -> Result<Option<RunId>, JournalError> {
        let id = id.0.clone();
        self.write(move |db| {
            let run: Option<Option<String>> = db
                .query_row("SELECT open_run FROM sessions WHERE agent_session_id = ?1", [&id], |row| {
                    row.get(0)
                })
                .optional()?;
            db.execute(
                "UPDATE sessions SET open_run = NULL, asked = NULL WHERE agent_session_id = ?1",
                [&id],
            )?;
            db.execute(
                "UPDATE outbox SET state = 'unsaid', done_at = 0 WHERE session = ?1 AND lane = 'linear' AND state = 'open'",
                [&id],
            )?;
            Ok(run.flatten().and_then(|text| text.parse().ok()))
        })
        .await
    }

    /// The panel has a record of it; its next line has this number there.
    pub async fn set_panel_id(
        &self,
        id: &AgentSessionId,
        panel_id: SessionId,
        next_seq: u64,
    ) -> Result<(), JournalError> {
        let id = id.0.clone();
        self.write(move |db| {
            // Lines are numbered here; the panel's number only matters to a journal that is new.
            db.execute(
                "UPDATE sessions SET panel_id = ?2, next_line = max(next_line, ?3), lines_stored = max(lines_stored, ?3 - 1) WHERE agent_session_id = ?1",
                params![id, panel_id.to_string(), next_seq],
            )
            .map(|_| ())
        })
        .await
    }

    /// The panel's id of a session.
    pub async fn panel_id(&self, id: &AgentSessionId) -> Result<Option<SessionId>, JournalError> {
        let id = id.0.clone();
        self.read(move |db| {
            let text: Option<Option<String>> = db
                .query_row("SELECT panel_id FROM sessions WHERE agent_session_id = ?1", [id], |row| {
                    row.get(0)
                })
                .optional()?;
            Ok(text.flatten().and_then(|text| text.parse().ok()))
        })
        .await
    }
}
