//! One thing that Linear counts: what this worker took of it lately, and what Linear says is left.

use std::collections::VecDeque;

use super::Weight;

/// Parts of a window that are counted together.
const GRAIN: u64 = 72;
/// A request may reach Linear this part of a window after it was counted here.
const LATE: u64 = 36;
/// This part of Linear's limit is left to requests of other workers that are on their way.
const MARGIN: f64 = 0.02;
/// What cannot wait may go beyond this worker's share up to so many times of it, as long as Linear has room.
const OVERDRAFT: f64 = 3.0;

#[derive(Debug, Clone)]
pub(super) struct Meter {
    window_ms: u64,
    /// What a window may hold.
    holding: f64,
    /// What was taken, by the ms at which its grain began.
    taken: VecDeque<(u64, f64)>,
    header: Option<Header>,
}

/// What Linear said last.
#[derive(Debug, Clone, Copy)]
struct Header {
    limit: f64,
    /// As Linear said it.
    told: f64,
    /// Without what was sent since.
    left: f64,
    at: u64,
    reset: Reset,
    /// The reset moves as requests come: the limit refills steadily, and not all at once at the reset.
    steady: bool,
}

/// When Linear says that all is free again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reset {
    /// Its own words, ms since 1970.
    pub stamp: Option<i64>,
    /// From when it said so, ms.
    pub wait: u64,
}

impl Meter {
    pub(super) fn new(window_ms: u64) -> Self {
        Self { window_ms, holding: 0.0, taken: VecDeque::new(), header: None }
    }

    pub(super) fn holds(&mut self, holding: f64) {
        self.holding = holding;
    }

    pub(super) const fn holding(&self) -> f64 {
        self.holding
    }

    /// The limit that Linear states.
    pub(super) fn stated(&self) -> Option<f64> {
        self.header.map(|header| header.limit)
    }

    pub(super) fn take(&mut self, amount: f64, now: u64) {
        let grain = (self.window_ms / GRAIN).max(1);
        let begin = now - now % grain;
        match self.taken.back_mut() {
            Some((last, sum)) if *last >= begin => *sum += amount,
            _ => self.taken.push_back((begin, amount)),
        }
        while self.taken.front().is_some_and(|(begin, _)| self.leaves(*begin) <= now) {
            self.taken.pop_front();
        }
        if let Some(header) = &mut self.header {
            header.left -= amount;
        }
    }

    /// When what was taken in this grain no longer counts.
    fn leaves(&self, begin: u64) -> u64 {
        let late = self.window_ms / GRAIN + self.window_ms / LATE;
        begin.saturating_add(self.window_ms).saturating_add(late.max(2))
    }

    /// What of this worker's share is left; below zero when urgent things went beyond it.
    fn left(&self, now: u64) -> f64 {
        let counts = self.taken.iter().filter(|(begin, _)| self.leaves(*begin) > now);
        self.holding - counts.map(|(_, amount)| amount).sum::<f64>()
    }

    /// What Linear has left and its limit. Of a steady refill half is believed until Linear says so itself.
    fn theirs(&self, now: u64) -> Option<(f64, f64)> {
        let header = self.header?;
        let since = now.saturating_sub(header.at);
        if since >= header.reset.wait {
            return Some((header.limit, header.limit));
        }
        let part = since as f64 / header.reset.wait.max(1) as f64;
        let gained = if header.steady { (header.limit - header.left).max(0.0) * part / 2.0 } else { 0.0 };
        Some(((header.left + gained).min(header.limit), header.limit))
    }

    /// The part that is left, from 0 to 1, of this worker's share or of Linear's limit, whichever is less.
    pub(super) fn part(&self, now: u64) -> f64 {
        let own = if self.holding > 0.0 { self.left(now) / self.holding } else { 0.0 };
        let theirs =
            self.theirs(now).map_or(1.0, |(left, limit)| if limit > 0.0 { left / limit } else { 0.0 });
        own.min(theirs).clamp(0.0, 1.0)
    }

    /// How long to wait before `amount` may be taken for this weight, ms; `None`: it may be taken now.
    pub(super) fn wait(&self, weight: Weight, amount: f64, now: u64) -> Option<u64> {
        let theirs = self.theirs(now);
        let floor = weight.floor();
        let has_room = theirs.is_none_or(|(left, limit)| {
            left - amount >= (limit * MARGIN).floor() && (weight.is_urgent() || left > floor * limit)
        });
        let own = self.left(now);
        let within = own - amount >= 0.0 && (weight.is_urgent() || own > floor * self.holding);
        let overdrawn =
            weight.is_urgent() && theirs.is_some() && own - amount >= self.holding * (1.0 - OVERDRAFT);
        if has_room && (within || overdrawn) {
            return None;
        }
        let next = self.taken.iter().map(|(begin, _)| self.leaves(*begin)).find(|leaves| *leaves > now);
        let window_end = next.map_or(self.window_ms, |leaves| leaves - now);
        // Linear refills between its answers too: look again soon enough to see a hundredth of it.
        let refill = self.header.map_or(self.window_ms, |header| (header.reset.wait / 100).max(1));
        Some(window_end.min(refill).min(self.window_ms / 6).max(1))
    }

    /// Linear says what is left; `on_their_way` of this worker's requests it may not have counted yet.
    pub(super) fn told(
        &mut self,
        limit: Option<u64>,
        remaining: Option<u64>,
        on_their_way: f64,
        reset: Reset,
        now: u64,
    ) {
        let (Some(limit), Some(remaining)) = (limit, remaining) else { return };
        let (limit, left) = (limit as f64, remaining.min(limit) as f64 - on_their_way);
        let steady = match &self.header {
            Some(before) if remaining as f64 >= before.told => before.steady,
            Some(before) => before.reset.stamp != reset.stamp,
            None => false,
        };
        self.header = Some(Header { limit, told: remaining as f64, left, at: now, reset, steady });
    }
}
