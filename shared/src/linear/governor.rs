//! How much of Linear's limits this worker may use now, and for what.
//!
//! The hub grants a slice of the workspace's hourly requests. A tenth of it is what any six minutes may hold, so the
//! hour holds no more than the slice wherever it begins, and a limit by six minutes is kept as well. What is left of
//! those six minutes is the level: steps may use it down to a half, milestones to a fifth, first thoughts, questions
//! and final answers to nothing. Linear's headers tell of the other workers too and lower the level at once.
//! Complexity points are governed alike. Pure: clocks come in as arguments.

mod meter;
#[cfg(test)]
mod tests;

use meter::{Meter, Reset};

use super::answer::RateLimit;
use super::weight::Weight;

/// The span that is governed, ms.
pub const WINDOW_MS: u64 = 360_000;
/// Requests an hour that Linear gives an app user: what is taken for granted until somebody says otherwise.
const USUAL_REQUESTS: f64 = 5_000.0;
/// Complexity points an hour.
const USUAL_POINTS: f64 = 2_000_000.0;
/// Windows in an hour.
const WINDOWS_AN_HOUR: f64 = 10.0;
/// Steps that follow each other without a pause, as a part of what a window holds.
const STEPS_AT_ONCE: f64 = 0.25;
/// Steps that a window takes besides, in even pauses, as a part of what it holds.
const STEPS_A_WINDOW: f64 = 0.4;
/// From this level on upwards all goes as it comes.
const FREE_FROM: f64 = 0.6;
/// Until Linear has answered once, requests that may be on their way.
const UNKNOWN_IN_FLIGHT: u32 = 2;
/// Steps and milestones that may be on their way: other workers learn of them only from Linear's next answer.
const IN_FLIGHT: u32 = 8;
/// After "over the limit" what cannot wait for the reset tries again after this part of a window, then after twice
/// as long.
const FIRST_TRY: u64 = 18;

/// How much there is to spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Below a half: milestones only.
    Scarce,
    /// Steps are joined and thinned out.
    Tight,
    /// Everything goes as it comes.
    Free,
}

/// The answer to [`Governor::ask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// Send it now; it is counted.
    Now,
    /// Not yet; ask again after so many ms, or when anything was granted or answered.
    Wait(u64),
}

/// One worker's share of one workspace's limits. Times are ms of one steady clock.
#[derive(Debug, Clone)]
pub struct Governor {
    window_ms: u64,
    slice: Option<u32>,
    requests: Meter,
    points: Meter,
    /// Steps that may go now, and since when that was so.
    steps: (f64, u64),
    in_flight: u32,
    answered: bool,
    over: Option<Over>,
}

/// Linear said "over the limit".
#[derive(Debug, Clone, Copy)]
struct Over {
    until: u64,
    next_try: u64,
    pause: u64,
}

impl Default for Governor {
    fn default() -> Self {
        Self::new(WINDOW_MS)
    }
}

impl Governor {
    /// A governor over windows of this length, ms; a test shortens it, and slices then are for ten such windows.
    pub fn new(window_ms: u64) -> Self {
        let window_ms = window_ms.max(1);
        let mut governor = Self {
            window_ms,
            slice: None,
            requests: Meter::new(window_ms),
            points: Meter::new(window_ms),
            steps: (f64::INFINITY, 0),
            in_flight: 0,
            answered: false,
            over: None,
        };
        governor.fit();
        governor
    }

    /// The hub's newest slice: requests within the next hour; `None`: the hub keeps none, and Linear's own limit holds.
    pub fn grant(&mut self, slice: Option<u32>) {
        self.slice = slice;
        self.fit();
    }

    /// What a window may hold follows the slice and the limit that the headers state.
    fn fit(&mut self) {
        let stated = self.requests.stated();
        let usual = stated.unwrap_or(USUAL_REQUESTS) / WINDOWS_AN_HOUR;
        let granted = self.slice.map_or(usual, |slice| f64::from(slice) / WINDOWS_AN_HOUR);
        self.requests.holds(stated.map_or(granted, |stated| granted.min(stated)));
        let share = (granted / (USUAL_REQUESTS / WINDOWS_AN_HOUR)).min(1.0);
        self.points.holds(self.points.stated().unwrap_or(USUAL_POINTS) / WINDOWS_AN_HOUR * share);
    }

    /// Asks to send something of this weight that costs about so many complexity points.
    pub fn ask(&mut self, weight: Weight, points: u32, now: u64) -> Go {
        let points = f64::from(points);
        if let Some(wait) = self.barred(weight, now) {
            return Go::Wait(wait);
        }
        let most = match (self.answered, weight.is_urgent()) {
            (false, _) => UNKNOWN_IN_FLIGHT,
            (true, false) => IN_FLIGHT,
            (true, true) => u32::MAX,
        };
        if self.in_flight >= most {
            return Go::Wait(self.window_ms);
        }
        let paced = weight == Weight::Step;
        if paced && self.refill(now) < 1.0 {
            return Go::Wait(self.step_pause());
        }
        for (meter, wanted) in [(&self.requests, 1.0), (&self.points, points)] {
            if let Some(wait) = meter.wait(weight, wanted, now) {
                return Go::Wait(wait);
            }
        }
        if paced {
            self.steps.0 -= 1.0;
        }
        if let Some(over) = &mut self.over {
            over.pause = over.pause.saturating_mul(2);
            over.next_try = now.saturating_add(over.pause);
        }
        self.requests.take(1.0, now);
        self.points.take(points, now);
        self.in_flight = self.in_flight.saturating_add(1);
        Go::Now
    }

    /// How long something must wait because Linear said "over the limit".
    fn barred(&self, weight: Weight, now: u64) -> Option<u64> {
        let over = self.over.filter(|over| now < over.until)?;
        let until = if weight.is_urgent() { over.next_try.min(over.until) } else { over.until };
        (now < until).then(|| until - now)
    }

    /// Linear answered something that was let go with `points`: `wall_ms` is its ms since 1970 at `now`.
    pub fn answered(&mut self, limit: &RateLimit, points: u32, now: u64, wall_ms: i64) {
        self.answered = true;
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(cost) = limit.complexity {
            let more = cost.saturating_sub(u64::from(points));
            self.points.take(f64::from(u32::try_from(more).unwrap_or(u32::MAX)), now);
        }
        let reset = |stamp: Option<i64>| {
            let ms = stamp.map(|stamp| u64::try_from(stamp.saturating_sub(wall_ms)).unwrap_or(0));
            let hour = self.window_ms.saturating_mul(10);
            Reset { stamp, wait: ms.unwrap_or(hour).min(hour) }
        };
        let (of_requests, of_points) = (reset(limit.requests_reset_ms), reset(limit.complexity_reset_ms));
        let on_their_way = f64::from(self.in_flight);
        self.requests.told(limit.requests_limit, limit.requests_remaining, on_their_way, of_requests, now);
        self.points.told(limit.complexity_limit, limit.complexity_remaining, 0.0, of_points, now);
        self.fit();
    }

    /// No answer came to something that was let go.
    pub fn unanswered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Linear refused something as over its limit: nothing goes for so many ms, but that urgent things try meanwhile,
    /// since the limit refills steadily.
    pub fn over_limit(&mut self, for_ms: u64, now: u64) {
        let until = now.saturating_add(for_ms.clamp(1_000, self.window_ms.saturating_mul(10).max(1_000)));
        let pause =
            self.over.filter(|over| now < over.until).map_or(self.window_ms / FIRST_TRY, |over| over.pause);
        self.over = Some(Over { until, next_try: now.saturating_add(pause), pause });
    }

    /// Something was taken although Linear had said "over the limit": it has room again.
    pub fn taken(&mut self) {
        self.over = None;
    }

    /// How much there is to spend now.
    pub fn level(&self, now: u64) -> Level {
        if self.over.is_some_and(|over| now < over.until) {
            return Level::Scarce;
        }
        let part = self.requests.part(now).min(self.points.part(now));
        if part <= Weight::Step.floor() {
            Level::Scarce
        } else if part < FREE_FROM || self.steps_at(now) < 1.0 {
            Level::Tight
        } else {
            Level::Free
        }
    }

    fn most_steps(&self) -> f64 {
        (self.requests.holding() * STEPS_AT_ONCE).max(1.0)
    }

    /// Steps a ms.
    fn step_rate(&self) -> f64 {
        (self.requests.holding() * STEPS_A_WINDOW).max(1.0) / self.window_ms as f64
    }

    /// Steps that may go at a time.
    fn steps_at(&self, now: u64) -> f64 {
        let since = now.saturating_sub(self.steps.1) as f64;
        (self.steps.0 + since * self.step_rate()).min(self.most_steps())
    }

    fn refill(&mut self, now: u64) -> f64 {
        self.steps = (self.steps_at(now), now);
        self.steps.0
    }

    /// Until the next step may go, ms.
    fn step_pause(&self) -> u64 {
        let missing = (1.0 - self.steps.0).max(0.0);
        ((missing / self.step_rate()).ceil() as u64).max(1)
    }
}
