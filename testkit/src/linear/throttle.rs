//! The rate limit: a leaky bucket that refills steadily, or requests within a rolling window, and the headers that
//! tell of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue};

use crate::server::now_ms;

/// Points an hour that the headers state; the stand-in prices requests and does not refuse by points.
const COMPLEXITY_LIMIT: u64 = 2_000_000;

/// One app user's requests.
pub(super) struct Throttle {
    limit: u32,
    count: Count,
}

enum Count {
    /// What is left of an hour's worth, and since when.
    Bucket { left: f64, at: Instant },
    /// When each request of the last window came.
    Window { length: Duration, came: VecDeque<Instant> },
}

impl Throttle {
    /// An hour's requests, all of them there at the start.
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, count: Count::Bucket { left: f64::from(limit), at: Instant::now() } }
    }

    /// So many requests within any span of this length, in real time.
    pub(super) fn rolling(limit: u32, length: Duration) -> Self {
        Self { limit, count: Count::Window { length, came: VecDeque::new() } }
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    /// Takes one request; false when there is none left.
    pub(super) fn take(&mut self) -> bool {
        let (left, _) = self.left();
        let enough = left >= 1.0;
        if enough {
            match &mut self.count {
                Count::Bucket { left, .. } => *left -= 1.0,
                Count::Window { came, .. } => came.push_back(Instant::now()),
            }
        }
        enough
    }

    /// Requests that are left, and how long until all are back.
    fn left(&mut self) -> (f64, Duration) {
        let now = Instant::now();
        let limit = f64::from(self.limit);
        match &mut self.count {
            Count::Bucket { left, at } => {
                *left = (*left + now.duration_since(*at).as_secs_f64() * limit / 3_600.0).min(limit);
                *at = now;
                (*left, Duration::from_secs_f64((limit - *left) * 3_600.0 / limit.max(1.0)))
            }
            Count::Window { length, came } => {
                while came.front().is_some_and(|at| now.duration_since(*at) >= *length) {
                    came.pop_front();
                }
                let last = came.back().map_or(Duration::ZERO, |at| *length - now.duration_since(*at));
                (limit - came.len() as f64, last)
            }
        }
    }

    /// Linear's headers for an answer that cost `complexity` points; resets are ms since 1970.
    pub(super) fn headers(&mut self, complexity: u64) -> HeaderMap {
        let (left, full_in) = self.left();
        // Both are small and not negative: at most an hour, and at most the limit.
        let (full_in_ms, left) = (full_in.as_millis() as i64, left.max(0.0).floor() as u64);
        let reset = now_ms().saturating_add(full_in_ms);
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: u64| {
            headers.insert(name, HeaderValue::from(value));
        };
        put("x-ratelimit-requests-limit", u64::from(self.limit));
        put("x-ratelimit-requests-remaining", left);
        put("x-ratelimit-requests-reset", reset.unsigned_abs());
        put("x-ratelimit-complexity-limit", COMPLEXITY_LIMIT);
        put("x-ratelimit-complexity-remaining", COMPLEXITY_LIMIT.saturating_sub(complexity));
        put("x-ratelimit-complexity-reset", reset.unsigned_abs());
        put("x-complexity", complexity);
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_gives_its_limit_and_then_refuses_until_it_refills() {
        let mut throttle = Throttle::new(3);
        assert!((0..3).all(|_| throttle.take()));
        assert!(!throttle.take());
        assert_eq!(throttle.headers(1)["x-ratelimit-requests-remaining"], "0");
        let Count::Bucket { at, .. } = &mut throttle.count else { panic!("a bucket") };
        *at = at.checked_sub(Duration::from_secs(1_201)).expect("an hour of uptime");
        assert!(throttle.take(), "a third of an hour gives a third of the limit");
        assert!(!throttle.take());
    }

    #[test]
    fn a_rolling_window_takes_no_more_than_its_limit_and_again_when_the_first_is_old() {
        let mut throttle = Throttle::rolling(2, Duration::from_secs(360));
        assert!(throttle.take() && throttle.take());
        assert!(!throttle.take());
        assert_eq!(throttle.headers(1)["x-ratelimit-requests-remaining"], "0");
        let Count::Window { came, .. } = &mut throttle.count else { panic!("a window") };
        came[0] = came[0].checked_sub(Duration::from_secs(361)).expect("minutes of uptime");
        assert!(throttle.take());
        assert!(!throttle.take());
    }
}
