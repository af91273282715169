//! The outbox's rows: effects on the outside, in order, each kept until it has happened.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use shared::id::{AgentSessionId, FencingToken, SessionKey};
use shared::linear::activity::ActivityContent;
use shared::session::{NewSession, SessionUpdate};
use uuid::Uuid;

use super::{Journal, JournalError, from_json, json};

/// Effects of one lane of one session happen one after the other; lanes do not wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// What people read in Linear.
    Linear,
    /// What the panel records.
    Panel,
}

impl Lane {
    /// Both lanes.
    pub const ALL: [Self; 2] = [Self::Linear, Self::Panel];

    fn as_str(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Panel => "panel",
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
    /// The record is closed, unless it says already that the session is over.
    SettleSession(Box<SessionUpdate>),
    /// The record changes; saying it twice changes nothing more.
    UpdateSession(Box<SessionUpdate>),
}

impl Effect {
    /// What makes it this effect and no other: a second one of the same key is the same one, and is not written down
    /// again, done or not. `None`: saying it once more is harmless.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Activity { id, .. } | Self::Question { id, .. } => Some(id.to_string()),
            Self::OpenSession { .. } | Self::SettleSession(_) | Self::UpdateSession(_) => None,
        }
    }

    /// The lane that it belongs to.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Activity { .. } | Self::Question { .. } => Lane::Linear,
            Self::OpenSession { .. } | Self::SettleSession(_) | Self::UpdateSession(_) => Lane::Panel,
        }
    }
}

/// Writes an effect's row within a transaction.
pub(super) fn insert(db: &Connection, session: &str, effect: &Effect) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO outbox (session, lane, effect, key) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![session, effect.lane().as_str(), json(effect)?, effect.key()],
    )
    .map(|_| ())
}

impl Journal {
    /// Writes an effect down; it happens later.
    pub async fn add_effect(&self, session: &AgentSessionId, effect: Effect) -> Result<(), JournalError> {
        let session = session.0.clone();
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
