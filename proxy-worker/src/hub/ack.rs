//! Acks: what a worker says of its offers, taken only under the lease's own token.

use shared::ack::{Ack, AckAnswer, AckState};
use shared::hub::backoff::pause_ms;
use shared::hub::delivery::{EventState, Happening};
use shared::id::WorkerId;
use shared::settings::Settings;
use shared::time::Timestamp;
use worker::{Request, Response};
use worker_shell::failure::Answer;
use worker_shell::sql;
use worker_shell::{body, clock, random, reply};

use super::{Hub, event, lease};

impl Hub {
    /// `POST /acks`: one answer per item, in order.
    pub(super) async fn take_acks(&self, mut request: Request) -> Answer<Response> {
        let worker = self.worker_of(&request)?;
        let acks: Vec<Ack> = body::read_json(&mut request, 1024 * 1024).await?;
        let (now, settings) = (clock::now(), self.settings()?);
        let mut answers = Vec::with_capacity(acks.len());
        for ack in &acks {
            answers.push(sql::transaction(&self.state, || self.take_ack(worker, ack, now, &settings))?);
        }
        self.sql().run(
            "UPDATE workers SET last_seen_at = ? WHERE id = ?",
            vec![sql::time(now), worker.to_string().into()],
        )?;
        self.dispatch(now)?;
        self.set_timer(now).await?;
        reply::json(&answers)
    }

    fn take_ack(
        &self,
        worker: WorkerId,
        ack: &Ack,
        now: Timestamp,
        settings: &Settings,
    ) -> Answer<AckAnswer> {
        let sql = self.sql();
        let Some(row) = event::find(&sql, ack.seq)? else { return Ok(AckAnswer::Unknown) };
        // The newest token decides, not the lease's row: after `done` the lease is gone, and a repeat is harmless.
        let newest = lease::newest(&sql, &row.session_key)?.map_or(0, |token| token.newest);
        let offered_here = row.worker_id == Some(worker) && row.token == ack.token.0;
        if newest != ack.token.0 || !offered_here {
            let repeat = row.state == EventState::Done && offered_here;
            return Ok(if repeat { AckAnswer::Ok } else { AckAnswer::Stale });
        }
        let happening = match ack.state {
            AckState::Accepted => Happening::Accept,
            AckState::Done => Happening::Finish,
            AckState::Retry => Happening::Retry,
            AckState::Reject => Happening::OfferEnded,
        };
        let state = event::advance(&sql, &row, happening, settings.max_attempts, now)?;
        match ack.state {
            AckState::Retry if state == Some(EventState::Pending) => {
                let [random] = random::bytes();
                let pause =
                    pause_ms(row.attempts.saturating_add(1), settings, random).max(ack.after_ms.unwrap_or(0));
                let not_before = now.plus_millis(i64::try_from(pause).unwrap_or(i64::MAX));
                sql.run(
                    "UPDATE events SET not_before = ? WHERE seq = ?",
                    vec![sql::time(not_before), sql::int(row.seq)?],
                )?;
            }
            AckState::Accepted | AckState::Done => lease::stick(&sql, &row.session_key, worker)?,
            AckState::Reject => sql.run(
                "INSERT INTO rejections (seq, worker_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
                vec![sql::int(row.seq)?, worker.to_string().into()],
            )?,
            _ => {}
        }
        if let Some(reason) = &ack.reason {
            let short: String = reason.chars().take(300).collect();
            sql.run("UPDATE events SET reason = ? WHERE seq = ?", vec![short.into(), sql::int(row.seq)?])?;
        }
        lease::release_if_idle(&sql, &row.session_key)?;
        Ok(AckAnswer::Ok)
    }
}
