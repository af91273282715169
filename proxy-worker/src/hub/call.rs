//! One call of the rules: the fleet in memory, one transaction, then the deeds.
//!
//! The fleet is read from the tables once per life of the object and kept current by the calls; a call that fails
//! throws it away. A deed is done only after its transaction: what a worker was told is always in the tables.

use serde::Deserialize;
use shared::hub::fleet::{Fleet, Worker};
use shared::hub::ledger::Item;
use shared::hub::rules::{Deed, Rules};
use shared::id::{FencingToken, WorkerId};
use shared::stream::StreamLine;
use shared::time::Timestamp;
use worker_shell::failure::Answer;
use worker_shell::sql;

use super::ledger::Tables;
use super::stream::to_text;
use super::{Hub, row};

impl Hub {
    pub(super) fn tables(&self, now: Timestamp) -> Answer<Tables> {
        let floor = match self.floor.get() {
            Some(floor) => floor,
            None => {
                let sql = self.sql();
                let rows = sql.texts("SELECT value AS row FROM meta WHERE name = 'token_floor'", vec![])?;
                FencingToken(rows.first().and_then(|text| text.parse().ok()).unwrap_or(0))
            }
        };
        self.floor.set(Some(floor));
        Ok(Tables { sql: self.sql(), now, floor })
    }

    /// Looks at the fleet.
    pub(super) fn with_fleet<T>(&self, look: impl FnOnce(&mut Fleet) -> Answer<T>) -> Answer<T> {
        let mut fleet = self.fleet.take().map_or_else(|| self.load_fleet(), Ok)?;
        let seen = look(&mut fleet);
        self.fleet.replace(Some(fleet));
        seen
    }

    /// Reads the fleet anew at its next use: a worker was registered, left, or lost its key.
    pub(super) fn forget_fleet(&self) {
        self.fleet.replace(None);
    }

    /// Runs the rules in one transaction, then does the deeds.
    pub(super) fn apply<T: 'static>(
        &self,
        now: Timestamp,
        work: impl FnOnce(&mut Rules<'_, Tables>) -> Answer<T>,
    ) -> Answer<T> {
        let mut fleet = self.fleet.take().map_or_else(|| self.load_fleet(), Ok)?;
        // Until the transaction holds, the tables alone are right: a failure leaves `None` behind.
        let (value, deeds, wake) = sql::transaction(&self.state, || {
            let mut rules = Rules::new(self.tables(now)?, &mut fleet, &self.settings, now);
            rules.fencing = !cfg!(feature = "chaos-no-fencing");
            let value = work(&mut rules)?;
            let (deeds, wake) = (std::mem::take(&mut rules.deeds), rules.wake);
            Ok((value, deeds, wake))
        })?;
        self.fleet.replace(Some(fleet));
        self.wake_by(wake);
        for deed in deeds {
            self.perform(deed, now)?;
        }
        Ok(value)
    }

    fn perform(&self, deed: Deed, now: Timestamp) -> Answer<()> {
        match deed {
            Deed::Offer { worker, item } => {
                let text = self.offer_text(&item)?;
                for socket in self.streams_of(&worker.to_string()) {
                    let _ = socket.send_with_str(&text);
                }
            }
            Deed::Revoke { worker, key, token } => {
                let text = to_text(&StreamLine::Revoked { session_key: key, token })?;
                for socket in self.streams_of(&worker.to_string()) {
                    let _ = socket.send_with_str(&text);
                }
            }
            Deed::CloseStream { worker } => {
                for socket in self.streams_of(&worker.to_string()) {
                    let _ = socket.close(Some(4002), Some("offer not accepted"));
                }
            }
            Deed::Strikes { worker, strikes } => self.sql().run(
                "UPDATE workers SET strikes = ? WHERE id = ?",
                vec![sql::int(u64::from(strikes))?, worker.to_string().into()],
            )?,
            Deed::Speak => self.wake_by(Some(now)),
        }
        Ok(())
    }

    /// The `event` line of an offer. The stored text goes into it as it is: nothing is parsed again.
    fn offer_text(&self, item: &Item) -> Answer<String> {
        let kept = self.fresh.take().filter(|(seq, _)| *seq == item.seq);
        let event = match kept {
            Some((_, text)) => text,
            None => row::body(&self.sql(), item.seq)?,
        };
        let slice = self.linear_slice()?;
        let key = serde_json::to_string(&item.key)?;
        Ok(format!(
            r#"{{"type":"event","seq":{},"attempt":{},"sessionKey":{key},"token":{},"takeover":{},"ask":{},"firstThought":{},"linearSlice":{slice},"event":{event}}}"#,
            item.seq,
            item.attempts.saturating_add(1),
            item.token,
            item.takeover,
            item.ask,
            item.first_thought,
        ))
    }

    fn load_fleet(&self) -> Answer<Fleet> {
        #[derive(Deserialize)]
        struct Row(WorkerId, u32, u32, u32, u32, u8, u8, u32, i64, i64, u32, String, String);
        let rows = self.sql().texts(
            "SELECT json_array(w.id, w.slots, w.reported, w.weight, w.protocol, w.draining, coalesce(k.revoked_at IS NOT NULL, 1), w.strikes,
               w.last_seen_at, w.beat_at, coalesce(l.leases, 0), w.repositories, w.teams) AS row
             FROM workers w LEFT JOIN worker_keys k ON k.hash = w.key_hash
             LEFT JOIN (SELECT holder, count(*) AS leases FROM sessions WHERE holder IS NOT NULL GROUP BY holder) l ON l.holder = w.id
             ORDER BY w.id",
            vec![],
        )?;
        let lower = |json: &str| -> Answer<Vec<String>> {
            let names: Vec<String> = serde_json::from_str(json)?;
            Ok(names.into_iter().map(|name| name.to_lowercase()).collect())
        };
        let mut workers = Vec::with_capacity(rows.len());
        for row in rows {
            let Row(
                id,
                slots,
                reported,
                weight,
                protocol,
                draining,
                revoked,
                strikes,
                seen,
                beat,
                leases,
                repositories,
                teams,
            ) = serde_json::from_str(&row)?;
            workers.push(Worker {
                id,
                slots,
                leases,
                reported: if leases == 0 { 0 } else { reported },
                weight,
                protocol,
                connected: !self.streams_of(&id.to_string()).is_empty(),
                draining: draining != 0,
                revoked: revoked != 0,
                strikes,
                last_seen_at: Timestamp::from_millis(seen),
                beat_at: Timestamp::from_millis(beat),
                repositories: lower(&repositories)?,
                teams: lower(&teams)?,
            });
        }
        Ok(Fleet { workers, cursor: shared::id::Seq(0), crowded: None })
    }
}
