//! The one alarm that serves all timers: offers, back-off, first thoughts, leases, retention.
//!
//! After an outage of the hub itself (the alarm rings more than 30 s late) every lease starts anew and no
//! offer made before counts: nothing moves because the hub was away.

use serde::Deserialize;
use shared::time::Timestamp;
use worker::{Response, ScheduledTime};
use worker_shell::failure::Answer;
use worker_shell::{clock, log, reply, sql};

use super::{Hub, event};

const OUTAGE_MS: i64 = 30_000;

impl Hub {
    /// The alarm: does what is due and sets the next one.
    pub(super) async fn ring(&self) -> Answer<Response> {
        self.prepare()?;
        let now = clock::now();
        self.alarm_at.set(None);
        self.forgive_outage(now)?;
        self.end_stale_offers(now)?;
        self.post_first_thoughts(now).await?;
        self.forget_old(now)?;
        self.move_lapsed(now)?;
        self.dispatch(now)?;
        self.set_timer(now).await?;
        reply::json(&serde_json::json!({ "rung": true }))
    }

    /// Sets the alarm to the earliest thing that will be due, if it is not set to that already.
    pub(super) async fn set_timer(&self, now: Timestamp) -> Answer<()> {
        let Some(due) = self.next_due(now)? else { return Ok(()) };
        // An alarm in the past would ring at once and again; a short pause bounds the pace.
        let due = due.max(now.as_millis() + 50);
        if self.alarm_at.get().is_some_and(|set| set <= due && set > now.as_millis()) {
            return Ok(());
        }
        let date = worker::js_sys::Date::new(&(due as f64).into());
        self.state.storage().set_alarm(ScheduledTime::new(date)).await?;
        self.alarm_at.set(Some(due));
        self.sql().run(
            "INSERT INTO timers (only_row, due) VALUES (1, ?) ON CONFLICT (only_row) DO UPDATE SET due = excluded.due",
            vec![sql::Value::Integer(due)],
        )
    }

    fn next_due(&self, now: Timestamp) -> Answer<Option<i64>> {
        #[derive(Deserialize)]
        struct Row {
            due: Option<i64>,
        }
        let settings = self.settings()?;
        let millis = |ms: u64| sql::Value::Integer(i64::try_from(ms).unwrap_or(i64::MAX));
        let row: Option<Row> = self.sql().first(
            "SELECT min(due) AS due FROM (
               SELECT min(offered_at) + ?1 AS due FROM events WHERE state = 'offered'
               UNION ALL SELECT min(not_before) FROM events WHERE state = 'pending' AND not_before > ?2
               UNION ALL SELECT min(first_thought_due) FROM events WHERE state IN ('pending', 'offered')
               UNION ALL SELECT min(due) FROM (SELECT l.renewed_at + ?3 AS due FROM leases l) WHERE due > ?2
               UNION ALL SELECT min(done_at) + ?4 FROM events WHERE state IN ('done', 'cancelled'))",
            vec![
                millis(settings.offer_ms),
                sql::time(now),
                millis(settings.lease_ms.saturating_add(settings.takeover_after_ms)),
                millis(settings.retention_ms),
            ],
        )?;
        Ok(row.and_then(|row| row.due))
    }

    fn forgive_outage(&self, now: Timestamp) -> Answer<()> {
        #[derive(Deserialize)]
        struct Row {
            due: i64,
        }
        let row: Option<Row> = self.sql().first("SELECT due FROM timers", vec![])?;
        let Some(late) = row.map(|row| now.as_millis() - row.due).filter(|late| *late > OUTAGE_MS) else {
            return Ok(());
        };
        log::info("hub.outage_forgiven", &[("late_ms", &late.to_string())]);
        let sql = self.sql();
        sql.run("UPDATE leases SET renewed_at = ?", vec![sql::time(now)])?;
        sql.run("UPDATE workers SET last_seen_at = ?", vec![sql::time(now)])?;
        sql.run("UPDATE events SET offered_at = ? WHERE state = 'offered'", vec![sql::time(now)])
    }

    /// An offer that nobody took ends the stream it was sent on: that is how a half-open connection is found.
    fn end_stale_offers(&self, now: Timestamp) -> Answer<()> {
        let offer_ms = i64::try_from(self.settings()?.offer_ms).unwrap_or(i64::MAX);
        let before = now.plus_millis(-offer_ms);
        for row in
            event::select(&self.sql(), "state = 'offered' AND offered_at <= ?", vec![sql::time(before)])?
        {
            let Some(worker) = row.worker_id.map(|id| id.to_string()) else { continue };
            for socket in self.streams_of(&worker) {
                let _ = socket.close(Some(4002), Some("offer not accepted"));
            }
            self.take_back_offers(&worker)?;
        }
        Ok(())
    }

    fn forget_old(&self, now: Timestamp) -> Answer<()> {
        let retention = i64::try_from(self.settings()?.retention_ms).unwrap_or(i64::MAX);
        let before = now.plus_millis(retention.saturating_neg());
        sql::transaction(&self.state, || {
            let sql = self.sql();
            let old = "SELECT seq FROM events WHERE state IN ('done', 'cancelled') AND done_at < ?";
            for table in ["event_chunks", "rejections"] {
                sql.run(&format!("DELETE FROM {table} WHERE seq IN ({old})"), vec![sql::time(before)])?;
            }
            sql.run(&format!("DELETE FROM events WHERE seq IN ({old})"), vec![sql::time(before)])
        })
    }
}
