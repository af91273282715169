//! Offers out: what waits goes to the lease's holder, or to a worker that gets a new lease.
//!
//! The next event of a session is offered once the one before it is accepted; a follow-up must reach a
//! running agent. Nothing here waits, so an offer and its row are one.

use shared::hub::balance::{Candidate, choose};
use shared::hub::delivery::Happening;
use shared::hub::lease::Standing;
use shared::id::{FencingToken, WorkerId};
use shared::settings::Settings;
use shared::stream::StreamLine;
use shared::time::Timestamp;
use worker_shell::failure::Answer;
use worker_shell::log;
use worker_shell::sql;

use super::event::EventRow;
use super::stream::to_text;
use super::worker::WorkerRow;
use super::{Hub, event, lease};

impl Hub {
    /// Offers everything that can be offered now.
    pub(super) fn dispatch(&self, now: Timestamp) -> Answer<()> {
        let settings = self.settings()?;
        let waiting = event::select(
            &self.sql(),
            "state = 'pending' AND not_before <= ? AND NOT EXISTS (SELECT 1 FROM events p
               WHERE p.session_key = e.session_key AND p.seq < e.seq AND p.state IN ('pending', 'offered'))",
            vec![sql::time(now)],
        )?;
        for row in waiting {
            if let Some((worker, token)) = sql::transaction(&self.state, || self.grant(&row, now, &settings))?
            {
                self.send_offer(&row, worker, token, now, &settings)?;
            }
        }
        Ok(())
    }

    /// Who gets the event, under which token; `None`: it stays queued.
    fn grant(
        &self,
        row: &EventRow,
        now: Timestamp,
        settings: &Settings,
    ) -> Answer<Option<(WorkerId, FencingToken)>> {
        let sql = self.sql();
        let key = &row.session_key;
        let candidates = self.candidates(row)?;
        let connected = |worker| candidates.iter().any(|candidate: &Candidate| candidate.worker == worker);
        if let Some(held) = lease::find(&sql, key)? {
            let held = held.lease();
            if connected(held.worker) {
                return Ok(Some((held.worker, held.token)));
            }
            if held.standing(now, settings) != Standing::Movable {
                return Ok(None);
            }
            let Some(worker) = choose(&candidates, None) else { return Ok(None) };
            let token = self.move_session(row, worker, now, settings)?;
            return Ok(Some((worker, token)));
        }
        let sticky = lease::newest(&sql, key)?.and_then(|row| row.sticky_worker);
        if let Some(sticky) = sticky.filter(|sticky| !connected(*sticky))
            && self.still_expected(sticky, now, settings)?
        {
            return Ok(None);
        }
        let Some(worker) = choose(&candidates, sticky) else { return Ok(None) };
        let token = lease::give(&sql, key, worker, now)?;
        Ok(Some((worker, token)))
    }

    /// Connected workers that have not rejected the event and are not leaving.
    fn candidates(&self, row: &EventRow) -> Answer<Vec<Candidate>> {
        #[derive(serde::Deserialize)]
        struct Rejection {
            worker_id: WorkerId,
        }
        let rejected: Vec<Rejection> =
            self.sql().rows("SELECT worker_id FROM rejections WHERE seq = ?", vec![sql::int(row.seq)?])?;
        let takes = |worker: &WorkerRow| {
            worker.revoked == 0
                && worker.draining == 0
                && !rejected.iter().any(|rejection| rejection.worker_id == worker.id)
                && !self.streams_of(&worker.id.to_string()).is_empty()
        };
        let candidate = |worker: WorkerRow| Candidate {
            worker: worker.id,
            slots: worker.slots,
            used: worker.used,
            weight: worker.weight,
        };
        Ok(self.workers()?.into_iter().filter(takes).map(candidate).collect())
    }

    /// Whether the worker that a session sticks to was seen so lately that the session waits for it.
    fn still_expected(&self, sticky: WorkerId, now: Timestamp, settings: &Settings) -> Answer<bool> {
        let worker = self.workers()?.into_iter().find(|worker| worker.id == sticky);
        let Some(worker) = worker.filter(|worker| worker.revoked == 0 && worker.draining == 0) else {
            return Ok(false);
        };
        let wait = settings.lease_ms.saturating_add(settings.takeover_after_ms);
        let waited = now.since(Timestamp::from_millis(worker.last_seen_at));
        Ok(settings.takeover_never || waited < i64::try_from(wait).unwrap_or(i64::MAX))
    }

    /// Moves every session whose lease has lapsed beyond the grace, where another worker can take it. Its events may
    /// all be in the old worker's journal, so nothing waits that would bring [`Self::dispatch`] to look at it.
    pub(super) fn move_lapsed(&self, now: Timestamp) -> Answer<()> {
        let settings = self.settings()?;
        for held in lease::all(&self.sql())? {
            if held.lease().standing(now, &settings) != Standing::Movable {
                continue;
            }
            let open = event::select(
                &self.sql(),
                "session_key = ? AND state IN ('offered', 'accepted')",
                vec![held.session_key.as_str().into()],
            )?;
            let Some(oldest) = open.first() else { continue };
            let mut candidates = self.candidates(oldest)?;
            candidates.retain(|candidate| candidate.worker != held.worker_id);
            let Some(to) = choose(&candidates, None) else { continue };
            sql::transaction(&self.state, || self.move_session(oldest, to, now, &settings).map(drop))?;
            let revoked =
                StreamLine::Revoked { session_key: held.session_key, token: FencingToken(held.token) };
            for socket in self.streams_of(&held.worker_id.to_string()) {
                let _ = socket.send_with_str(to_text(&revoked)?);
            }
        }
        Ok(())
    }

    /// Moves a session: a new token, and every event that is not done is offered again, oldest first.
    fn move_session(
        &self,
        row: &EventRow,
        to: WorkerId,
        now: Timestamp,
        settings: &Settings,
    ) -> Answer<FencingToken> {
        let sql = self.sql();
        let key = &row.session_key;
        let open = event::select(
            &sql,
            "session_key = ? AND state IN ('offered', 'accepted')",
            vec![key.as_str().into()],
        )?;
        for moved in &open {
            event::advance(&sql, moved, Happening::LeaseMoved, settings.max_attempts, now)?;
        }
        let token = lease::give(&sql, key, to, now)?;
        sql.run(
            "UPDATE events SET takeover = 1 WHERE session_key = ? AND state = 'pending'",
            vec![key.as_str().into()],
        )?;
        log::info("lease.moved", &[("session_key", key.as_str()), ("to", &to.to_string())]);
        Ok(token)
    }

    fn send_offer(
        &self,
        row: &EventRow,
        worker: WorkerId,
        token: FencingToken,
        now: Timestamp,
        settings: &Settings,
    ) -> Answer<()> {
        let sql = self.sql();
        // A move may have put an older event of the session back: that one goes first, in the next round.
        let Some(row) = event::select(
            &sql,
            "session_key = ?1 AND state = 'pending' AND NOT EXISTS (SELECT 1 FROM events p
               WHERE p.session_key = ?1 AND p.seq < e.seq AND p.state IN ('pending', 'offered'))",
            vec![row.session_key.as_str().into()],
        )?
        .into_iter()
        .next() else {
            return Ok(());
        };
        sql.run(
            "UPDATE events SET token = ?, worker_id = ? WHERE seq = ?",
            vec![sql::int(token.0)?, worker.to_string().into(), sql::int(row.seq)?],
        )?;
        event::advance(&sql, &row, Happening::Offer, settings.max_attempts, now)?;
        let text = to_text(&self.offer_line(&row, token)?)?;
        for socket in self.streams_of(&worker.to_string()) {
            let _ = socket.send_with_str(&text);
        }
        Ok(())
    }

    /// The `event` line of a row.
    pub(super) fn offer_line(&self, row: &EventRow, token: FencingToken) -> Answer<StreamLine> {
        Ok(StreamLine::Event {
            seq: row.seq(),
            attempt: row.attempts.saturating_add(1),
            session_key: row.session_key.clone(),
            token,
            takeover: row.takeover != 0,
            ask: false,
            first_thought: row.first_thought != 0,
            linear_slice: None,
            event: Box::new(event::body(&self.sql(), row.seq())?),
        })
    }
}
