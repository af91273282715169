//! Lines that have come and are not in D1 yet, and who waits for them to be.
//!
//! Each post waits in its own request, so an object with unstored lines never hibernates.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::select;
use futures_util::lock::Mutex;
use shared::log_line::{LogAnswer, LogLine};
use shared::session::SessionState;
use shared::time::Timestamp;
use worker::Delay;
use worker_shell::failure::{Answer, Failure};
use worker_shell::{clock, log, settings};

use super::{Place, Room, chunk, viewer};

/// How long a line waits for those before it, in ms.
const HOLE_MS: i64 = 1_500;

/// What a life of the Room remembers.
#[derive(Default)]
pub struct Buffer {
    /// Everything up to here has come; `None` until it was read from D1.
    received: Cell<Option<u64>>,
    /// Everything up to here is in D1.
    stored: Cell<u64>,
    waiting: RefCell<Vec<LogLine>>,
    /// Lines whose predecessors have not come yet.
    early: RefCell<BTreeMap<u64, LogLine>>,
    sleepers: RefCell<Vec<oneshot::Sender<()>>>,
    last_flush: Cell<Timestamp>,
    /// The session is over: what still comes is its end, and joining it with later lines is of no use.
    over: Cell<bool>,
    /// One write to D1 at a time, in order.
    writing: Mutex<()>,
}

impl Buffer {
    /// Everything up to here is in D1.
    pub fn stored(&self) -> u64 {
        self.stored.get()
    }

    /// Lines that are not in D1 yet, after a number.
    pub fn unstored_after(&self, after: u64) -> Vec<LogLine> {
        self.waiting.borrow().iter().filter(|line| line.seq > after).cloned().collect()
    }
}

impl Room {
    /// Takes lines: drops what it has, shows the rest to viewers at once, answers when they are stored.
    pub(super) async fn append(&self, place: Place, lines: Vec<LogLine>) -> Answer<LogAnswer> {
        self.load(place).await?;
        let wanted = lines.last().map_or(0, |line| line.seq);
        self.buffer.early.borrow_mut().extend(lines.into_iter().map(|line| (line.seq, line)));
        self.take_early()?;
        let patience = clock::now().plus_millis(HOLE_MS);
        while self.buffer.received.get().unwrap_or(0) < wanted && clock::now() < patience {
            self.sleep_until(patience).await;
        }
        if self.buffer.received.get().unwrap_or(0) < wanted {
            self.accept_hole()?;
        }
        while self.buffer.stored.get() < wanted {
            // Looked at anew each time: a viewer may have come, or the session may have ended.
            let due = self.due()?;
            if clock::now() >= due {
                self.flush(place).await?;
                break;
            }
            self.sleep_until(due).await;
        }
        Ok(LogAnswer { up_to: self.buffer.stored.get(), flush_ms: self.flush_ms()? })
    }

    /// When what waits is to be stored.
    fn due(&self) -> Answer<Timestamp> {
        if self.buffer.over.get() {
            return Ok(self.buffer.last_flush.get());
        }
        let flush_ms = i64::try_from(self.flush_ms()?).unwrap_or(i64::MAX);
        Ok(self.buffer.last_flush.get().plus_millis(flush_ms))
    }

    /// The session has another state: at its end, what waits is stored at once, and whoever waits for that is answered.
    pub(super) async fn session_changed(&self, place: Place, status: SessionState) {
        self.buffer.over.set(status.is_over());
        if status.is_over() && self.flush(place).await.is_err() {
            // The posts that wait try again by themselves.
            log::error("room.not_flushed", &[("session", &place.session.to_string())]);
        }
    }

    /// Takes what now follows without a hole. Posts that are on their way at once may overtake each other.
    fn take_early(&self) -> Answer<()> {
        let mut fresh = Vec::new();
        {
            let mut early = self.buffer.early.borrow_mut();
            let mut received = self.buffer.received.get().unwrap_or(0);
            while let Some(entry) = early.first_entry().filter(|entry| *entry.key() <= received + 1) {
                let line = entry.remove();
                if line.seq == received + 1 {
                    received = line.seq;
                    fresh.push(line);
                }
            }
            self.buffer.received.set(Some(received));
        }
        if !fresh.is_empty() {
            viewer::show(&self.state, &fresh)?;
            self.buffer.waiting.borrow_mut().extend(fresh);
        }
        Ok(())
    }

    /// What is missing did not come: the rest is taken, and viewers are told of the gap.
    fn accept_hole(&self) -> Answer<()> {
        let first = self.buffer.early.borrow().first_key_value().map(|(seq, _)| *seq);
        if let Some(first) = first {
            self.buffer.received.set(Some(first.saturating_sub(1)));
            self.take_early()?;
        }
        Ok(())
    }

    /// Reads from D1 what was stored before this life of the Room.
    pub(super) async fn load(&self, place: Place) -> Answer<()> {
        if self.buffer.received.get().is_none() {
            let up_to = chunk::stored_up_to(&self.env, place).await?;
            // Another request may have come this far while this one waited.
            if self.buffer.received.get().is_none() {
                self.buffer.received.set(Some(up_to));
                self.buffer.stored.set(up_to);
            }
        }
        Ok(())
    }

    fn flush_ms(&self) -> Answer<u64> {
        let settings = settings::read(&self.env)?;
        let watched = !self.state.get_websockets().is_empty();
        Ok(if watched { settings.flush_watched_ms } else { settings.flush_unwatched_ms })
    }

    /// Sleeps until an instant, or until somebody has stored something.
    async fn sleep_until(&self, due: Timestamp) {
        let Ok(wait) = u64::try_from(due.since(clock::now())) else { return };
        let (wake, woken) = oneshot::channel();
        self.buffer.sleepers.borrow_mut().push(wake);
        select(woken, Delay::from(Duration::from_millis(wait))).await;
    }

    /// Writes what waits as one chunk. What cannot be written waits on, in order.
    pub(super) async fn flush(&self, place: Place) -> Answer<()> {
        let _turn = self.buffer.writing.lock().await;
        let lines: Vec<LogLine> = self.buffer.waiting.borrow().clone();
        let Some(last) = lines.last().map(|line| line.seq) else { return Ok(()) };
        chunk::store(&self.env, place, &lines).await.map_err(|failure| {
            let problem = failure.problem();
            Failure::internal(format!("log chunk not stored: {}", problem.detail))
        })?;
        self.buffer.stored.set(last);
        self.buffer.last_flush.set(clock::now());
        self.buffer.waiting.borrow_mut().retain(|line| line.seq > last);
        for sleeper in self.buffer.sleepers.borrow_mut().drain(..) {
            // Whoever gave up waiting is gone; that is all right.
            let _ = sleeper.send(());
        }
        Ok(())
    }
}
