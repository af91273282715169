//! How often the hub is woken and by what: an idle hub must not be. Written at most once a second, with what else is
//! going on; what happened in the last second before a sleep may be missing.

use serde::{Deserialize, Serialize};
use shared::status::Wakes;
use shared::time::Timestamp;
use worker_shell::failure::Answer;
use worker_shell::sql::{Sql, counted_rows};

use super::Hub;

/// What brought the hub to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waker {
    /// It was made anew in memory.
    Life,
    /// A request.
    Request,
    /// The alarm.
    Alarm,
    /// A message or the end of a WebSocket.
    Socket,
    /// A stream was opened.
    Stream,
}

impl Waker {
    /// The word in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Life => "life",
            Self::Request => "request",
            Self::Alarm => "alarm",
            Self::Socket => "socket",
            Self::Stream => "stream",
        }
    }
}

/// What is counted and not yet written, and when it was written last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pending {
    since: Counts,
    written_at: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    lives: u64,
    requests: u64,
    alarms: u64,
    sockets: u64,
    streams: u64,
    read: f64,
    written: f64,
}

const WRITE_EVERY_MS: i64 = 1_000;

impl Hub {
    pub(super) fn count(&self, waker: Waker, now: Timestamp) -> Answer<()> {
        let mut pending = self.wakes.get();
        let counts = &mut pending.since;
        let counter = match waker {
            Waker::Life => &mut counts.lives,
            Waker::Request => &mut counts.requests,
            Waker::Alarm => &mut counts.alarms,
            Waker::Socket => &mut counts.sockets,
            Waker::Stream => &mut counts.streams,
        };
        *counter += 1;
        self.wakes.set(pending);
        if waker != Waker::Life && now.as_millis() - pending.written_at >= WRITE_EVERY_MS {
            self.write_wakes(now)?;
        }
        Ok(())
    }

    /// All that was ever counted.
    pub(super) fn all_wakes(&self, now: Timestamp) -> Answer<Wakes> {
        let all = self.write_wakes(now)?;
        Ok(Wakes {
            lives: all.lives,
            requests: all.requests,
            alarms: all.alarms,
            sockets: all.sockets,
            streams: all.streams,
            rows_read: all.read as u64,
            rows_written: all.written as u64,
        })
    }

    fn write_wakes(&self, now: Timestamp) -> Answer<Counts> {
        let sql = self.sql();
        let stored = stored(&sql)?;
        let pending = self.wakes.get().since;
        let rows = counted_rows();
        let all = Counts {
            lives: stored.lives + pending.lives,
            requests: stored.requests + pending.requests,
            alarms: stored.alarms + pending.alarms,
            sockets: stored.sockets + pending.sockets,
            streams: stored.streams + pending.streams,
            read: stored.read + rows.read,
            written: stored.written + rows.written,
        };
        sql.run(
            "INSERT INTO meta (name, value) VALUES ('wakes', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1",
            vec![serde_json::to_string(&all)?.into()],
        )?;
        self.wakes.set(Pending { since: Counts::default(), written_at: now.as_millis() });
        Ok(all)
    }
}

fn stored(sql: &Sql) -> Answer<Counts> {
    let texts = sql.texts("SELECT value AS row FROM meta WHERE name = 'wakes'", vec![])?;
    Ok(texts.first().map_or(Ok(Counts::default()), |text| serde_json::from_str(text))?)
}
