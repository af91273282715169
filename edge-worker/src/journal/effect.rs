//! The outbox's rows: effects on the outside, in order, each kept until it has happened.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use shared::id::{AgentSessionId, FencingToken, IssueId, SessionKey};
use shared::linear::activity::ActivityContent;
use shared::linear::coalesce::Change;
use shared::linear::session::PlanStep;
use shared::linear::weight::Weight;
use shared::session::{NewSession, SessionUpdate};
use uuid::Uuid;

use super::{Journal, JournalError, from_json, json};

/// Effects of one lane of one session happen one after the other; lanes do not wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// What people read in Linear.
    Linear,
    /// What Linear shows of a session beside its words: plan, links, the issue's state. It holds no words back.
    LinearSide,
    /// What the panel records.
    Panel,
    /// What is pushed.
    Git,
}

impl Lane {
    /// All lanes. What the panel answers may put something into the side lane, so that one comes after it.
    pub const ALL: [Self; 4] = [Self::Linear, Self::Panel, Self::LinearSide, Self::Git];

    fn as_str(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::LinearSide => "linear_side",
            Self::Panel => "panel",
            Self::Git => "git",
        }
    }
}

/// Something that shall happen on the outside, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// An activity in Linear; its id makes a repeat harmless.
    Activity {
        /// Chosen by us.
        id: Uuid,
        /// What it says.
        content: ActivityContent,
        /// The next one replaces it.
        ephemeral: bool,
    },
    /// The lease is shown to the panel and the session recorded there; idempotent by agent session, and a session
    /// that the panel made is known there by its own id.
    OpenSession {
        /// The lease's key.
        session_key: SessionKey,
        /// Its token.
        token: FencingToken,
        /// The record.
        session: Box<NewSession>,
    },
    /// A question in Linear that shows options; the answer comes as a message.
    Question {
        /// Chosen by us.
        id: Uuid,
        /// Markdown.
        body: String,
        /// The options.
        options: Vec<String>,
    },
    /// A thought of cyrus's own: the first sign of life, or what people should see even when limits are near.
    Words {
        /// Chosen by us.
        id: Uuid,
        /// Markdown.
        body: String,
        /// How much it matters.
        weight: Weight,
    },
    /// The plan that the session shows; a newer one takes the place of one that waits.
    Plan {
        /// All its steps.
        steps: Vec<PlanStep>,
    },
    /// A link that the session shows.
    Link {
        /// Its text.
        label: String,
        /// Where it leads.
        url: String,
    },
    /// The issue moves to its team's first started state, unless it is that far already.
    IssueStarted {
        /// The issue.
        issue: IssueId,
    },
    /// The record is closed, unless it says already that the session is over.
    SettleSession(Box<SessionUpdate>),
    /// A commit is pushed to a reference of the remote.
    Push {
        /// The repository's folder on this machine.
        repository: PathBuf,
        /// The commit's full id.
        commit: String,
        /// The reference's full name.
        reference: String,
    },
    /// The record changes; saying it twice changes nothing more.
    UpdateSession(Box<SessionUpdate>),
}

impl Effect {
    /// What makes it this effect and no other: a second one of the same key is the same one, and is not written down
    /// again, done or not. `None`: saying it once more is harmless.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Activity { id, .. } | Self::Question { id, .. } | Self::Words { id, .. } => {
                Some(id.to_string())
            }
            Self::Link { url, .. } => Some(format!("link {url}")),
            Self::IssueStarted { issue } => Some(format!("started {issue}")),
            Self::Plan { .. }
            | Self::OpenSession { .. }
            | Self::SettleSession(_)
            | Self::UpdateSession(_)
            | Self::Push { .. } => None,
        }
    }

    /// How much it matters when Linear's limits are near.
    pub fn weight(&self) -> Weight {
        match self {
            Self::Words { weight, .. } => *weight,
            Self::Question { .. } => Weight::Question,
            Self::Activity { content, .. } => match content {
                ActivityContent::Response { .. } | ActivityContent::Error { .. } => Weight::Final,
                ActivityContent::Elicitation { .. } => Weight::Question,
                ActivityContent::Thought { .. } | ActivityContent::Action { .. } => Weight::Step,
            },
            Self::Plan { .. }
            | Self::Link { .. }
            | Self::IssueStarted { .. }
            | Self::OpenSession { .. }
            | Self::SettleSession(_)
            | Self::UpdateSession(_)
            | Self::Push { .. } => Weight::Milestone,
        }
    }

    /// The lane that it belongs to.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Activity { .. } | Self::Question { .. } | Self::Words { .. } => Lane::Linear,
            Self::Plan { .. } | Self::Link { .. } | Self::IssueStarted { .. } => Lane::LinearSide,
            Self::OpenSession { .. } | Self::SettleSession(_) | Self::UpdateSession(_) => Lane::Panel,
            Self::Push { .. } => Lane::Git,
        }
    }
}

/// An effect that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its number: the order within a lane.
    pub id: i64,
    /// How much it matters.
    pub weight: Weight,
    /// It may have been sent already.
    pub tried: bool,
    /// What shall happen.
    pub effect: Effect,
}

/// What was not told as it was, of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Coalesced {
    /// Thoughts that became part of a later one.
    pub joined: u64,
    /// Steps that gave way.
    pub left_out: u64,
}

/// The most rows that are looked at together.
const LOOK_AT: u32 = 500;

/// Writes an effect's row within a transaction.
pub(super) fn insert(db: &Connection, session: &str, effect: &Effect) -> rusqlite::Result<()> {
    let lane = effect.lane().as_str();
    let text = json(effect)?;
    if matches!(effect, Effect::Push { .. }) && is_newest(db, session, &text)? {
        return Ok(());
    }
    if matches!(effect, Effect::Plan { .. }) {
        db.execute(
            "UPDATE outbox SET state = 'replaced', done_at = ?3 WHERE session = ?1 AND lane = ?2 AND state = 'open' AND tried = 0 AND json_extract(effect, '$.kind') = 'plan'",
            params![session, lane, crate::worker::now().as_millis()],
        )?;
    }
    db.execute(
        "INSERT INTO outbox (session, lane, effect, key, weight) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        params![session, lane, text, effect.key(), effect.weight().name()],
    )
    .map(|_| ())
}

/// Applies a change to rows that wait and were not tried.
fn apply(db: &Connection, change: &Change, now: i64) -> rusqlite::Result<()> {
    let gone = |id: i64, into: i64, state: &str| {
        db.execute(
            "UPDATE outbox SET state = ?3, joined_into = ?2, done_at = ?4 WHERE id = ?1 AND state = 'open' AND tried = 0",
            params![id, into, state, now],
        )
        .map(|_| ())
    };
    match change {
        Change::Drop { id, by } => gone(*id, *by, "left_out"),
        Change::Join { into, from, body } => {
            db.execute(
                "UPDATE outbox SET effect = json_set(effect, '$.content.body', ?2) WHERE id = ?1 AND state = 'open' AND tried = 0",
                params![into, body],
            )?;
            from.iter().try_for_each(|id| gone(*id, *into, "joined"))
        }
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let effect: Effect = from_json(&row.get::<_, String>(1)?)?;
    let weight: Option<String> = row.get(2)?;
    // Rows of older builds have no weight.
    let weight = weight.and_then(|name| Weight::named(&name)).unwrap_or_else(|| effect.weight());
    Ok(Row { id: row.get(0)?, weight, tried: row.get(3)?, effect })
}

/// Whether this is what was pushed, or is to be pushed, last.
fn is_newest(db: &Connection, session: &str, effect: &str) -> rusqlite::Result<bool> {
    let newest: Option<String> = db
        .query_row(
            "SELECT effect FROM outbox WHERE session = ?1 AND lane = 'git' ORDER BY id DESC LIMIT 1",
            [session],
            |row| row.get(0),
        )
        .optional()?;
    Ok(newest.as_deref() == Some(effect))
}

impl Journal {
    /// Writes an effect down; it happens later.
    pub async fn add_effect(&self, session: &AgentSessionId, effect: Effect) -> Result<(), JournalError> {
        let session = session.0.clone();
        let effect = self.redactor.effect(effect);
        self.write(move |db| insert(db, &session, &effect)).await
    }

    /// The oldest open effect of a lane.
    pub async fn next_effect(
        &self,
        session: &AgentSessionId,
        lane: Lane,
    ) -> Result<Option<(i64, Effect)>, JournalError> {
        let session = session.0.clone();
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT id, effect FROM outbox WHERE session = ?1 AND lane = ?2 AND state = 'open' ORDER BY id LIMIT 1",
            )?;
            let mut rows = query.query(params![session, lane.as_str()])?;
            match rows.next()? {
                Some(row) => Ok(Some((row.get(0)?, from_json(&row.get::<_, String>(1)?)?))),
                None => Ok(None),
            }
        })
        .await
    }

    /// The open effects of a lane, oldest first, up to some hundred of them.
    pub async fn waiting(&self, session: &AgentSessionId, lane: Lane) -> Result<Vec<Row>, JournalError> {
        let session = session.0.clone();
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT id, effect, weight, tried FROM outbox WHERE session = ?1 AND lane = ?2 AND state = 'open' ORDER BY id LIMIT ?3",
            )?;
            query.query_map(params![session, lane.as_str(), LOOK_AT], row)?.collect()
        })
        .await
    }

    /// The weight of the heaviest open effect of a lane.
    pub async fn heaviest(
        &self,
        session: &AgentSessionId,
        lane: Lane,
    ) -> Result<Option<Weight>, JournalError> {
        let session = session.0.clone();
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT DISTINCT weight FROM outbox WHERE session = ?1 AND lane = ?2 AND state = 'open'",
            )?;
            let mut heaviest = None;
            let mut rows = query.query(params![session, lane.as_str()])?;
            while let Some(row) = rows.next()? {
                let name: Option<String> = row.get(0)?;
                // One of an older build is sent first of all, and then its own weight counts no more.
                let weight = name.and_then(|name| Weight::named(&name)).unwrap_or(Weight::First);
                heaviest = Some(heaviest.map_or(weight, |known: Weight| known.min(weight)));
            }
            Ok(heaviest)
        })
        .await
    }

    /// Joins and leaves out what the plan says, and marks a row as tried; returns the row as it is to be sent. As one,
    /// so that what may have been sent is never changed after.
    pub async fn about_to_send(&self, changes: Vec<Change>, id: i64) -> Result<Option<Row>, JournalError> {
        let now = crate::worker::now().as_millis();
        self.write(move |db| {
            for change in &changes {
                apply(db, change, now)?;
            }
            let found = db
                .query_row(
                    "SELECT id, effect, weight, tried FROM outbox WHERE id = ?1 AND state = 'open'",
                    [id],
                    row,
                )
                .optional()?;
            db.execute("UPDATE outbox SET tried = 1 WHERE id = ?1 AND tried = 0", [id])?;
            Ok(found)
        })
        .await
    }

    /// What was joined and left out, by session, as far back as effects are kept.
    pub async fn coalesced(&self) -> Result<Vec<(AgentSessionId, Coalesced)>, JournalError> {
        self.read(move |db| {
            let mut query = db.prepare(
                "SELECT session, sum(state = 'joined'), sum(state = 'left_out') FROM outbox WHERE state IN ('joined', 'left_out') GROUP BY session ORDER BY session",
            )?;
            let all = query.query_map([], |row| {
                let count = Coalesced { joined: row.get(1)?, left_out: row.get(2)? };
                Ok((AgentSessionId(row.get(0)?), count))
            })?;
            all.collect()
        })
        .await
    }

    /// An effect has happened.
    pub async fn effect_done(&self, id: i64) -> Result<(), JournalError> {
        self.settle_effect(id, "done").await
    }

    /// An effect cannot happen; it is kept for whoever asks why.
    pub async fn effect_failed(&self, id: i64) -> Result<(), JournalError> {
        self.settle_effect(id, "failed").await
    }

    async fn settle_effect(&self, id: i64, state: &'static str) -> Result<(), JournalError> {
        let now = crate::worker::now().as_millis();
        self.write(move |db| {
            db.execute(
                "UPDATE outbox SET state = ?2, done_at = ?3 WHERE id = ?1 AND state = 'open'",
                params![id, state, now],
            )
            .map(|_| ())
        })
        .await
    }
}
