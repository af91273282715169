//! How often the hub is woken and by what: an idle hub must not be. Written at most once a second, and a second after
//! the last wake, since the object may leave memory then.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::status::Wakes;
use shared::time::Timestamp;
use worker::Delay;
use worker_shell::failure::Answer;
use worker_shell::sql::{Sql, counted_rows};
use worker_shell::{clock, log};

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

/// What is counted and not yet written, and when it was written last. Clones share that.
#[derive(Clone)]
pub struct Counter {
    sql: Sql,
    since: Rc<Cell<Counts>>,
    written_at: Rc<Cell<i64>>,
    /// It will be written in a moment.
    arranged: Rc<Cell<bool>>,
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

const WRITE_EVERY_MS: u64 = 1_000;

impl Counter {
    /// The counter over these tables.
    pub fn of(sql: Sql) -> Self {
        Self { sql, since: Rc::default(), written_at: Rc::default(), arranged: Rc::default() }
    }

    fn write(&self, now: Timestamp) -> Answer<Counts> {
        let stored = stored(&self.sql)?;
        let pending = self.since.get();
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
        self.sql.run(
            "INSERT INTO meta (name, value) VALUES ('wakes', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1",
            vec![serde_json::to_string(&all)?.into()],
        )?;
        self.since.set(Counts::default());
        self.written_at.set(now.as_millis());
        Ok(all)
    }
}

impl Hub {
    pub(super) fn count(&self, waker: Waker, now: Timestamp) -> Answer<()> {
        let mut counts = self.wakes.since.get();
        let counter = match waker {
            Waker::Life => &mut counts.lives,
            Waker::Request => &mut counts.requests,
            Waker::Alarm => &mut counts.alarms,
            Waker::Socket => &mut counts.sockets,
            Waker::Stream => &mut counts.streams,
        };
        *counter += 1;
        self.wakes.since.set(counts);
        let pause = i64::try_from(WRITE_EVERY_MS).unwrap_or(i64::MAX);
        if waker != Waker::Life && now.as_millis() - self.wakes.written_at.get() >= pause {
            self.wakes.write(now)?;
        } else if !self.wakes.arranged.replace(true) {
            let wakes = self.wakes.clone();
            self.state.wait_until(async move {
                Delay::from(Duration::from_millis(WRITE_EVERY_MS)).await;
                wakes.arranged.set(false);
                if wakes.since.get() != Counts::default()
                    && let Err(failure) = wakes.write(clock::now())
                {
                    log::error("hub.wakes_not_written", &[("reason", &failure.problem().detail)]);
                }
            });
        }
        Ok(())
    }

    /// All that was ever counted.
    pub(super) fn all_wakes(&self, now: Timestamp) -> Answer<Wakes> {
        let all = self.wakes.write(now)?;
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
}

fn stored(sql: &Sql) -> Answer<Counts> {
    let texts = sql.texts("SELECT value AS row FROM meta WHERE name = 'wakes'", vec![])?;
    Ok(texts.first().map_or(Ok(Counts::default()), |text| serde_json::from_str(text))?)
}
