//! Events that no hub sent: those of runs that were started on this machine.
//!
//! They are numbered here, far above any number of a hub, and the hub is never told that they are done.

use rusqlite::params;
use shared::event::Event;
use shared::id::{AgentSessionId, FencingToken, Seq, SessionKey};

use super::event::Taken;
use super::{Journal, JournalError, json};

/// The first number of an own event. No hub counts that far.
pub const FIRST: u64 = 1 << 52;

impl Journal {
    /// Writes an event of this machine down, under the next number.
    pub async fn take_own(
        &self,
        key: &SessionKey,
        token: FencingToken,
        repository: Option<String>,
        event: Event,
    ) -> Result<Taken, JournalError> {
        let key = key.clone();
        self.write(move |db| {
            let last: Option<u64> =
                db.query_row("SELECT max(seq) FROM events WHERE seq >= ?1", [FIRST], |row| row.get(0))?;
            let taken = Taken {
                seq: Seq(last.map_or(FIRST, |last| last + 1)),
                session_key: key,
                token,
                first_thought: false,
                takeover: false,
                repository,
                ask: false,
                turn_over: false,
                turn: None,
                event,
            };
            db.execute(
                "INSERT INTO events (seq, session_key, token, state, first_thought, takeover, event, repository, ask, acked) VALUES (?1, ?2, ?3, 'open', 0, 0, ?4, ?5, 0, 1)",
                params![taken.seq.0, taken.session_key.as_str(), token.0, json(&taken.event)?, taken.repository],
            )?;
            Ok(taken)
        })
        .await
    }

    /// Gives up own events that a killed process left open: nobody waits for them any more. Tells how many.
    pub async fn give_up_own(&self) -> Result<usize, JournalError> {
        self.write(|db| {
            db.execute(
                "UPDATE events SET state = 'given_up' WHERE seq >= ?1 AND state IN ('open', 'turn_over')",
                [FIRST],
            )
        })
        .await
    }

    /// The worktree that a session had last.
    pub async fn worktree_of(&self, id: &AgentSessionId) -> Result<Option<String>, JournalError> {
        let id = id.0.clone();
        self.write(move |db| {
            let mut query = db.prepare("SELECT worktree FROM sessions WHERE agent_session_id = ?1")?;
            let mut rows = query.query([id])?;
            rows.next()?.map_or(Ok(None), |row| row.get(0))
        })
        .await
    }
}
