//! Events that were taken: written before they are accepted, done when their turn's effects have left.

use rusqlite::{OptionalExtension, params};
use shared::event::Event;
use shared::id::{FencingToken, Seq, SessionKey};

use super::{Journal, JournalError, from_json, json};

/// An event as it was offered.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The hub's number.
    pub seq: Seq,
    /// What leases it.
    pub session_key: SessionKey,
    /// The token under which it was offered last.
    pub token: FencingToken,
    /// The proxy has posted the first thought.
    pub first_thought: bool,
    /// The session moved here.
    pub takeover: bool,
    /// The repository that it is for, by its name in the configuration; `None`: none is chosen, or none is needed.
    pub repository: Option<String>,
    /// Nobody serves it by rule: the person is asked which repository is meant.
    pub ask: bool,
    /// Its turn has ended; only what was said about it may still be on its way.
    pub turn_over: bool,
    /// The first event of the turn that took it in.
    pub turn: Option<Seq>,
    /// The event.
    pub event: Event,
}

/// A done event that the hub has not confirmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// The hub's number.
    pub seq: Seq,
    /// The token under which it was offered last.
    pub token: FencingToken,
    /// What goes along with the `done` ack: the result of a check.
    pub result: Option<serde_json::Value>,
}

/// What the journal knew of an event when it was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is new and written now.
    New,
    /// It is here, not done, and being worked on; its token was renewed.
    Open,
    /// It is done.
    Done,
}

impl Journal {
    /// Sessions that no person began and that came within the hour before an event.
    pub async fn begun_by_nobody(&self, before: Seq) -> Result<u32, JournalError> {
        self.read(move |db| {
            db.query_row(
                "SELECT count(*) FROM events, (SELECT json_extract(event, '$.receivedAt') AS at FROM events WHERE seq = ?1) AS this
                 WHERE seq < ?1 AND json_extract(event, '$.kind') = 'session_created'
                   AND json_extract(event, '$.agentSession.creatorName') IS NULL
                   AND julianday(json_extract(event, '$.receivedAt')) > julianday(this.at) - 1.0 / 24",
                [before.0],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Writes an offer down. The same event again changes only its token.
    pub async fn take(&self, taken: Taken) -> Result<Known, JournalError> {
        self.write(move |db| {
            let seq = taken.seq.0;
            let state: Option<String> =
                db.query_row("SELECT state FROM events WHERE seq = ?1", [seq], |row| row.get(0)).optional()?;
            if let Some(state) = state {
                db.execute(
                    "UPDATE events SET token = ?2, takeover = ?3, repository = coalesce(?4, repository), ask = ?5 WHERE seq = ?1",
                    params![seq, taken.token.0, taken.takeover, taken.repository, taken.ask],
                )?;
                return Ok(match state.as_str() {
                    "done" => Known::Done,
                    // It had moved away or its offer had ended, and here it is again.
                    "given_up" => {
                        db.execute("UPDATE events SET state = 'open', turn = NULL WHERE seq = ?1", [seq])?;
                        db.execute("DELETE FROM turns WHERE first_seq = ?1", [seq])?;
                        Known::New
                    }
                    _ => Known::Open,
                });
            }
            db.execute(
                "INSERT INTO events (seq, session_key, token, state, first_thought, takeover, event, repository, ask) VALUES (?1, ?2, ?3, 'open', ?4, ?5, ?6, ?7, ?8)",
                params![seq, taken.session_key.as_str(), taken.token.0, taken.first_thought, taken.takeover, json(&taken.event)?, taken.repository, taken.ask],
            )?;
            Ok(Known::New)
        })
        .await
    }

    /// Events that are not done, in the hub's order.
    pub async fn open_events(&self) -> Result<Vec<Taken>, JournalError> {
        self.read(|db| {
            let condition = "state IN ('open', 'turn_over') ORDER BY seq";
            let mut query = db.prepare(&format!("SELECT {COLUMNS} FROM events WHERE {condition}"))?;
            query.query_map([], taken)?.collect()
        })
        .await
    }

    /// The events that a turn took in, whatever became of them, in the order that it names.
    pub async fn events_of_turn(&self, members: Vec<Seq>) -> Result<Vec<Taken>, JournalError> {
        self.read(move |db| {
            let mut query = db.prepare(&format!("SELECT {COLUMNS} FROM events WHERE seq = ?1"))?;
            let found = members.iter().map(|seq| query.query_row([seq.0], taken).optional());
            found.filter_map(Result::transpose).collect()
        })
        .await
    }

    /// Whether an event is still to be worked on.
    pub async fn is_open(&self, seq: Seq) -> Result<bool, JournalError> {
        self.read(move |db| {
            let state: Option<String> = db
                .query_row("SELECT state FROM events WHERE seq = ?1", [seq.0], |row| row.get(0))
                .optional()?;
            Ok(state.as_deref() == Some("open"))
        })
        .await
    }

    /// Events of one session key that are not done, in the hub's order.
    pub async fn open_events_of(&self, key: &SessionKey) -> Result<Vec<Taken>, JournalError> {
        let mut open = self.open_events().await?;
        open.retain(|taken| taken.session_key == *key);
        Ok(open)
    }

    /// Marks events as done.
    pub async fn finish(&self, seqs: Vec<Seq>) -> Result<(), JournalError> {
        self.close(seqs, "done").await
    }

    /// Marks an event as done, with what its `done` ack shall carry.
    pub async fn finish_with(&self, seq: Seq, result: serde_json::Value) -> Result<(), JournalError> {
        let now = crate::worker::now().as_millis();
        self.write(move |db| {
            db.execute(
                "UPDATE events SET state = 'done', result = ?2, done_at = ?3 WHERE seq = ?1 AND state IN ('open', 'turn_over')",
                params![seq.0, json(&result)?, now],
            )
            .map(|_| ())
        })
        .await
    }

    /// Marks events as given up here: the hub has moved or cancelled them.
    pub async fn give_up(&self, seqs: Vec<Seq>) -> Result<(), JournalError> {
        self.close(seqs, "given_up").await
    }

    async fn close(&self, seqs: Vec<Seq>, state: &'static str) -> Result<(), JournalError> {
        let now = crate::worker::now().as_millis();
        self.write(move |db| {
            for seq in seqs {
                db.execute(
                    "UPDATE events SET state = ?2, done_at = ?3 WHERE seq = ?1 AND state IN ('open', 'turn_over')",
                    params![seq.0, state, now],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Done events that the hub has not confirmed.
    pub async fn unconfirmed(&self) -> Result<Vec<Finished>, JournalError> {
        self.read(|db| {
            let mut query = db.prepare(
                "SELECT seq, token, result FROM events WHERE state = 'done' AND acked = 0 ORDER BY seq",
            )?;
            let rows = query.query_map([], |row| {
                let result: Option<String> = row.get(2)?;
                Ok(Finished {
                    seq: Seq(row.get(0)?),
                    token: FencingToken(row.get(1)?),
                    result: result.map(|text| from_json(&text)).transpose()?,
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// The hub has confirmed that these are done.
    pub async fn confirm(&self, seqs: Vec<Seq>) -> Result<(), JournalError> {
        self.write(move |db| {
            for seq in seqs {
                db.execute("UPDATE events SET acked = 1 WHERE seq = ?1 AND state = 'done'", [seq.0])?;
            }
            Ok(())
        })
        .await
    }

    /// Of these events, the ones that are not in the journal, or were given up here.
    pub async fn missing(&self, seqs: Vec<Seq>) -> Result<Vec<Seq>, JournalError> {
        self.read(move |db| {
            let mut missing = Vec::new();
            for seq in seqs {
                let known: Option<u64> = db
                    .query_row(
                        "SELECT seq FROM events WHERE seq = ?1 AND state <> 'given_up'",
                        [seq.0],
                        |row| row.get(0),
                    )
                    .optional()?;
                if known.is_none() {
                    missing.push(seq);
                }
            }
            Ok(missing)
        })
        .await
    }
}

const COLUMNS: &str =
    "seq, session_key, token, first_thought, takeover, event, state = 'turn_over', repository, ask, turn";

fn taken(row: &rusqlite::Row<'_>) -> rusqlite::Result<Taken> {
    Ok(Taken {
        seq: Seq(row.get(0)?),
        session_key: SessionKey(row.get(1)?),
        token: FencingToken(row.get(2)?),
        first_thought: row.get(3)?,
        takeover: row.get(4)?,
        turn_over: row.get(6)?,
        repository: row.get(7)?,
        ask: row.get(8)?,
        turn: row.get::<_, Option<u64>>(9)?.map(Seq),
        event: from_json(&row.get::<_, String>(5)?)?,
    })
}
