//! The one alarm that serves all timers: offers, back-off, first thoughts, leases, words owed, retention.
//!
//! After an outage of the hub itself (the alarm would have rung long ago) every lease starts anew and no offer made
//! before counts: nothing moves because the hub was away.

use std::cell::Cell;
use std::rc::Rc;

use shared::hub::lease::Lease;
use shared::hub::ledger::Ledger;
use shared::time::Timestamp;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::{Response, State};
use worker_shell::failure::Answer;
use worker_shell::sql::{self, Sql};
use worker_shell::{clock, log, reply};

use super::Hub;
use super::wakes::Waker;

#[wasm_bindgen]
extern "C" {
    /// The `worker` crate's own is polled later than the rows of the same turn are written, which costs a second commit.
    type AlarmStorage;
    #[wasm_bindgen(method, structural, catch, js_name = setAlarm)]
    fn set_alarm(this: &AlarmStorage, at: f64) -> Result<js_sys::Promise, wasm_bindgen::JsValue>;
}

/// Done events are deleted in groups, so that each does not bring an alarm of its own; at most this late, in ms.
const RETENTION_GROUP_MS: i64 = 3_600_000;
/// Rows deleted in one go.
const RETENTION_BATCH: u64 = 5_000;

/// The object's alarm and what this life of the object knows of it. Clones share that.
#[derive(Clone)]
pub struct Alarm {
    storage: JsValue,
    sql: Sql,
    at: Rc<Cell<Option<i64>>>,
}

impl Alarm {
    /// The alarm of the object whose state this is.
    pub fn of(state: &State) -> Self {
        let storage = state.storage().as_raw().unchecked_ref::<JsValue>().clone();
        Self { storage, sql: Sql::of(state), at: Rc::default() }
    }

    /// Brings the alarm forward, if it would ring later than this. Takes effect with the rows of the same turn.
    pub fn wake_by(&self, wake: Option<Timestamp>) {
        let Some(wake) = wake else { return };
        // An alarm in the past would ring at once and again; a short pause bounds the pace.
        let due = wake.as_millis().max(clock::now().as_millis() + 20);
        if self.at.get().is_some_and(|set| set <= due) {
            return;
        }
        let set = self.storage.unchecked_ref::<AlarmStorage>().set_alarm(due as f64);
        let noted = self.sql.run(
            "INSERT INTO timers (only_row, due) VALUES (1, ?1) ON CONFLICT (only_row) DO UPDATE SET due = ?1",
            vec![sql::Value::Integer(due)],
        );
        match (set, noted) {
            (Ok(_), Ok(())) => self.at.set(Some(due)),
            (set, noted) => {
                let reason = format!("{set:?} {noted:?}");
                log::error("hub.alarm_not_set", &[("reason", &reason)]);
            }
        }
    }
}

impl Hub {
    /// The alarm: does what is due and sets the next one.
    pub(super) async fn ring(&self) -> Answer<Response> {
        self.prepare(Waker::Alarm)?;
        let now = clock::now();
        self.alarm.at.set(None);
        self.forgive_outage(now)?;
        self.apply(now, |rules| rules.ring())?;
        let more = self.forget_old(now)?;
        self.speak(now)?;
        let due = self.next_due(now)?;
        self.wake_by(if more { Some(now) } else { due });
        if self.alarm.at.get().is_none() {
            self.sql().run("DELETE FROM timers", vec![])?;
        }
        reply::json(&serde_json::json!({ "rung": true }))
    }

    /// Brings the alarm forward, if it would ring later than this.
    pub(super) fn wake_by(&self, wake: Option<Timestamp>) {
        self.alarm.wake_by(wake);
    }

    /// Words that are owed are tried again by whoever tried last; a life that ended meanwhile leaves that to the next.
    pub(super) fn remember_words(&self) -> Answer<()> {
        let due = self.sql().texts("SELECT '' || due AS row FROM words ORDER BY due LIMIT 1", vec![])?;
        let due = due.first().and_then(|due| due.parse().ok()).map(Timestamp::from_millis);
        self.wake_by(due);
        Ok(())
    }

    /// Looks whether a timer should have rung long ago; then everything counts from now.
    pub(super) fn forgive_outage(&self, now: Timestamp) -> Answer<()> {
        let due = self.sql().texts("SELECT '' || due AS row FROM timers", vec![])?;
        let Some(due) = due.first().and_then(|due| due.parse::<i64>().ok()) else { return Ok(()) };
        if self.alarm.at.get().is_none() && due > now.as_millis() {
            self.alarm.at.set(Some(due));
        }
        let late = now.as_millis() - due;
        let threshold = i64::try_from(self.settings.outage_threshold_ms()).unwrap_or(i64::MAX);
        if late <= threshold {
            return Ok(());
        }
        log::info("hub.outage_forgiven", &[("late_ms", &late.to_string())]);
        self.apply(now, |rules| rules.forgive_outage())?;
        // It is forgiven once; the alarm that is late still comes, and then this is not late any more.
        self.wake_by(Some(now));
        Ok(())
    }

    fn next_due(&self, now: Timestamp) -> Answer<Option<Timestamp>> {
        let settings = &self.settings;
        let millis =
            |ms: u64| sql::Value::Integer(i64::try_from(ms).unwrap_or(i64::MAX / 4).min(i64::MAX / 4));
        let group = RETENTION_GROUP_MS.min(i64::try_from(settings.retention_ms / 4).unwrap_or(0));
        let rows = self.sql().texts(
            "SELECT json_array(CAST(min(due) AS INTEGER)) AS row FROM (
               SELECT min(offered_at) + ?1 AS due FROM events WHERE live = 1 AND state = 'offered'
               UNION ALL SELECT min(not_before) FROM events WHERE ready = 1 AND not_before > ?2
               UNION ALL SELECT min(first_thought_due) FROM events WHERE first_thought_due IS NOT NULL
               UNION ALL SELECT min(done_at) + ?3 + ?4 FROM events WHERE done_at IS NOT NULL AND live = 0)",
            vec![
                millis(settings.offer_ms),
                sql::time(now),
                millis(settings.retention_ms),
                sql::Value::Integer(group),
            ],
        )?;
        // A number that is bound comes to SQLite as a REAL, and so does a sum with it.
        let mut due = match rows.first() {
            Some(row) => serde_json::from_str::<(Option<i64>,)>(row)?.0,
            None => None,
        };
        let mut also = |at: Timestamp| {
            if at > now {
                due = Some(due.map_or(at.as_millis(), |due| due.min(at.as_millis())));
            }
        };
        let tables = self.tables(now)?;
        let (leased, held_for) = (tables.leased(None)?, tables.held_for()?);
        self.with_fleet(|fleet| {
            for (_, session) in leased {
                let Some(lease) = session.lease else { continue };
                let beat =
                    fleet.get(lease.worker).filter(|_| !session.unclaimed).map(|worker| worker.beat_at);
                let renewed_at = beat.map_or(lease.renewed_at, |beat| beat.max(lease.renewed_at));
                let lease = Lease { renewed_at, ..lease };
                also(lease.lapses_at(settings));
                if !settings.takeover_never {
                    also(lease.movable_at(settings));
                }
            }
            for worker in held_for {
                if let (Some(worker), false) = (fleet.get(worker), settings.takeover_never) {
                    also(worker.expected_until(settings));
                }
            }
            Ok(())
        })?;
        Ok(due.map(Timestamp::from_millis))
    }

    /// Deletes what has been over for longer than the retention. `true`: there is more.
    fn forget_old(&self, now: Timestamp) -> Answer<bool> {
        let retention = i64::try_from(self.settings.retention_ms).unwrap_or(i64::MAX);
        let before = now.plus_millis(retention.saturating_neg());
        // Sessions may be forgotten, and their tokens raise it.
        self.floor.set(None);
        sql::transaction(&self.state, || {
            let sql = self.sql();
            let old = sql.texts(
                "SELECT '' || seq AS row FROM events WHERE done_at IS NOT NULL AND live = 0 AND done_at <= ? ORDER BY done_at LIMIT ?",
                vec![sql::time(before), sql::int(RETENTION_BATCH)?],
            )?;
            if old.is_empty() {
                return Ok(false);
            }
            let list = format!("[{}]", old.join(","));
            for statement in [
                "DELETE FROM chunks WHERE id IN (SELECT c.id FROM json_each(?) j CROSS JOIN chunks c ON c.id >= j.value * 64 AND c.id < j.value * 64 + 64)",
                "DELETE FROM rejections WHERE seq IN (SELECT value FROM json_each(?))",
                "DELETE FROM events WHERE seq IN (SELECT value FROM json_each(?))",
            ] {
                sql.run(statement, vec![list.as_str().into()])?;
            }
            let more = old.len() as u64 == RETENTION_BATCH;
            if !more {
                forget_sessions(&sql, before)?;
            }
            Ok(more)
        })
    }
}

/// Sessions that nothing is left of. Their tokens live on as a floor under all that are new.
fn forget_sessions(sql: &sql::Sql, before: Timestamp) -> Answer<()> {
    let over = "FROM sessions WHERE holder IS NULL AND changed_at <= ?1
        AND NOT EXISTS (SELECT 1 FROM events e WHERE e.session_key = sessions.session_key)";
    sql.run(
        &format!(
            "INSERT INTO meta (name, value) SELECT 'token_floor', max(newest) {over} GROUP BY 1 HAVING max(newest) IS NOT NULL
             ON CONFLICT (name) DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))"
        ),
        vec![sql::time(before)],
    )?;
    sql.run(&format!("DELETE {over}"), vec![sql::time(before)])?;
    sql.run("DELETE FROM commands WHERE taken_at <= ?1", vec![sql::time(before)])
}
