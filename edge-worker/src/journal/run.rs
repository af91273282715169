//! Turns and their runs: where each stands, and what a run has told together with how far its file was read.
//!
//! A line, what is said about it and the place behind it are one transaction: a crash can neither lose a line nor
//! tell it twice.

use rusqlite::{Connection, OptionalExtension, params};
use shared::id::{AgentSessionId, RunId, Seq};
use shared::log_line::LogLine;
use shared::money::MicroUsd;
use shared::time::Timestamp;
use shared::turn::Turn;

use super::effect::{self, Effect};
use super::{Journal, JournalError, from_json, json, line};
use crate::executor::{Output, Place};

/// A run as it is written down before its process starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// The run.
    pub id: RunId,
    /// The executor's conversation.
    pub conversation: String,
    /// The conversation is an earlier one.
    pub resumed: bool,
    /// What the conversation had cost before.
    pub prior: MicroUsd,
    /// Where it works.
    pub worktree: String,
    /// On which branch.
    pub branch: String,
}

/// A run whose end was not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftRun {
    /// The executor's conversation.
    pub conversation: String,
    /// What the conversation had cost before.
    pub prior: MicroUsd,
    /// When it began.
    pub begun_at: Timestamp,
    /// How far its run file was told, in bytes.
    pub out_at: u64,
    /// How far its error output was told, in bytes.
    pub err_at: u64,
    /// The agent's newest words that were held back, and the number of their line.
    pub held: Option<Held>,
}

/// The agent's newest words: the last ones of a turn are its answer, not a thought, so they wait for the next ones.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// The words.
    pub text: String,
    /// The number of their line in the session's log.
    pub line: u64,
}

/// What is told of a run at once.
pub struct Told<C> {
    /// The run.
    pub run: RunId,
    /// How far its files are read with this.
    pub places: Vec<Place>,
    /// The lines, not numbered yet.
    pub lines: Vec<LogLine>,
    /// What is said about them, made from the number of the first line; and what is held back now.
    pub compose: C,
}

impl Journal {
    /// The turn that an event began, if it was written down.
    pub async fn turn(&self, session: &AgentSessionId, first: Seq) -> Result<Option<Turn>, JournalError> {
        let session = session.0.clone();
        self.read(move |db| {
            let text: Option<String> = db
                .query_row(
                    "SELECT state FROM turns WHERE session = ?1 AND first_seq = ?2",
                    params![session, first.0],
                    |row| row.get(0),
                )
                .optional()?;
            text.map(|text| from_json(&text)).transpose()
        })
        .await
    }

    /// A session's oldest turn that has not ended.
    pub async fn unended_turn(&self, session: &AgentSessionId) -> Result<Option<Turn>, JournalError> {
        let session = session.0.clone();
        self.read(move |db| {
            let text: Option<String> = db
                .query_row(
                    "SELECT state FROM turns WHERE session = ?1 AND over = 0 ORDER BY first_seq LIMIT 1",
                    [session],
                    |row| row.get(0),
                )
                .optional()?;
            text.map(|text| from_json(&text)).transpose()
        })
        .await
    }

    /// Writes down where a turn stands.
    pub async fn save_turn(&self, session: &AgentSessionId, turn: Turn) -> Result<(), JournalError> {
        let session = session.0.clone();
        self.write(move |db| save(db, &session, &turn)).await
    }

    /// A run begins: written before its process starts, together with its turn.
    pub async fn run_begins(
        &self,
        session: &AgentSessionId,
        turn: Turn,
        run: NewRun,
    ) -> Result<(), JournalError> {
        let session = session.0.clone();
        let now = crate::worker::now().as_millis();
        self.write(move |db| {
            db.execute(
                "INSERT INTO runs (id, session, first_seq, conversation, resumed, prior_micro_usd, begun_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![run.id.to_string(), session, turn.first.0, run.conversation, run.resumed, run.prior.0, now],
            )?;
            db.execute(
                "UPDATE sessions SET open_run = ?2, conversation = ?3, worktree = ?4, branch = ?5 WHERE agent_session_id = ?1",
                params![session, run.id.to_string(), run.conversation, run.worktree, run.branch],
            )?;
            save(db, &session, &turn)
        })
        .await
    }

    /// What is known of a run whose end was not seen; `None`: it was begun by an older `cyrus`.
    pub async fn left_run(&self, run: RunId) -> Result<Option<LeftRun>, JournalError> {
        let run = run.to_string();
        self.read(move |db| {
            db.query_row(
                "SELECT conversation, prior_micro_usd, out_at, err_at, held, begun_at FROM runs WHERE id = ?1",
                [run],
                |row| {
                    let held: Option<String> = row.get(4)?;
                    Ok(LeftRun {
                        conversation: row.get(0)?,
                        prior: MicroUsd(row.get(1)?),
                        begun_at: Timestamp::from_millis(row.get(5)?),
                        out_at: row.get(2)?,
                        err_at: row.get(3)?,
                        held: held.map(|text| from_json(&text)).transpose()?,
                    })
                },
            )
            .optional()
        })
        .await
    }

    /// What a conversation has cost in all its runs that ended or were cut off.
    pub async fn conversation_cost(&self, conversation: &str) -> Result<MicroUsd, JournalError> {
        let conversation = conversation.to_owned();
        self.read(move |db| {
            db.query_row(
                "SELECT coalesce(sum(cost_micro_usd), 0) FROM runs WHERE conversation = ?1",
                [conversation],
                |row| row.get(0).map(MicroUsd),
            )
        })
        .await
    }

    /// Tells what a run has told: its lines, what is said about them, and how far its files are read, as one.
    /// Returns what is held back now.
    pub async fn tell<C>(&self, session: &AgentSessionId, told: Told<C>) -> Result<Option<Held>, JournalError>
    where
        C: FnOnce(u64) -> (Vec<Effect>, Option<Held>) + Send + 'static,
    {
        let session = session.0.clone();
        let now = crate::worker::now().as_millis();
        let Told { run, places, lines, compose } = told;
        let lines = self.redactor.lines(lines);
        let redactor = self.redactor.clone();
        self.write(move |db| {
            let first = line::append(db, &session, lines, now)?;
            let (effects, held) = compose(first);
            let effects = redactor.effects(effects);
            let held = held.map(|held| Held { text: redactor.text(&held.text).into_owned(), ..held });
            for effect in &effects {
                effect::insert(db, &session, effect)?;
            }
            let run = run.to_string();
            for place in places {
                let column = match place.output {
                    Output::Out => "out_at",
                    Output::Err => "err_at",
                };
                let statement = format!("UPDATE runs SET {column} = max({column}, ?2) WHERE id = ?1");
                db.execute(&statement, params![run, place.end])?;
            }
            let text = held.as_ref().map(json).transpose()?;
            db.execute("UPDATE runs SET held = ?2 WHERE id = ?1 AND held IS NOT ?2", params![run, text])?;
            Ok(held)
        })
        .await
    }

    /// What a run has cost so far, as its executor says: kept should nobody see its end.
    pub async fn run_spent(&self, run: RunId, cost: MicroUsd) -> Result<(), JournalError> {
        self.write(move |db| spent(db, run, cost)).await
    }

    /// A run was cut off and left no verdict; its turn goes on. What is to be said of it is written down along.
    pub async fn run_breaks(
        &self,
        session: &AgentSessionId,
        turn: Turn,
        run: RunId,
        effects: Vec<Effect>,
    ) -> Result<(), JournalError> {
        let session = session.0.clone();
        self.write(move |db| {
            run_over(db, run, None)?;
            for effect in &effects {
                effect::insert(db, &session, effect)?;
            }
            save(db, &session, &turn)
        })
        .await
    }

    /// A turn ended: what its run cost, the events that it took in, and what is to be said about it, as one, so that
    /// no crash leaves an ended turn without its answer or makes it run again.
    pub async fn turn_ends(
        &self,
        session: &AgentSessionId,
        turn: Turn,
        run: Option<(RunId, Option<MicroUsd>)>,
        effects: Vec<Effect>,
    ) -> Result<(), JournalError> {
        let session = session.0.clone();
        let effects = self.redactor.effects(effects);
        self.write(move |db| {
            if let Some((run, cost)) = run {
                run_over(db, run, cost)?;
            }
            db.execute("UPDATE sessions SET open_run = NULL WHERE agent_session_id = ?1", [&session])?;
            save(db, &session, &turn)?;
            for seq in &turn.members {
                db.execute(
                    "UPDATE events SET state = 'turn_over' WHERE seq = ?1 AND state = 'open'",
                    [seq.0],
                )?;
            }
            for effect in &effects {
                effect::insert(db, &session, effect)?;
            }
            Ok(())
        })
        .await
    }
}

fn save(db: &Connection, session: &str, turn: &Turn) -> rusqlite::Result<()> {
    let over = matches!(turn.phase, shared::turn::Phase::Over);
    db.execute(
        "INSERT INTO turns (session, first_seq, state, over, changed_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (session, first_seq) DO UPDATE SET state = excluded.state, over = excluded.over, changed_at = excluded.changed_at",
        params![session, turn.first.0, json(turn)?, over, crate::worker::now().as_millis()],
    )?;
    db.execute("UPDATE events SET turn = NULL WHERE turn = ?1", [turn.first.0])?;
    for seq in &turn.members {
        db.execute("UPDATE events SET turn = ?2 WHERE seq = ?1", params![seq.0, turn.first.0])?;
    }
    Ok(())
}

fn spent(db: &Connection, run: RunId, cost: MicroUsd) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE runs SET cost_micro_usd = max(coalesce(cost_micro_usd, 0), ?2) WHERE id = ?1",
        params![run.to_string(), cost.0],
    )
    .map(|_| ())
}

fn run_over(db: &Connection, run: RunId, cost: Option<MicroUsd>) -> rusqlite::Result<()> {
    if let Some(cost) = cost {
        spent(db, run, cost)?;
    }
    db.execute(
        "UPDATE runs SET ended_at = ?2, held = NULL WHERE id = ?1",
        params![run.to_string(), crate::worker::now().as_millis()],
    )
    .map(|_| ())
}
