//! The rate limit: a leaky bucket that refills steadily, and the headers that tell of it.

use std::time::Instant;

use axum::http::{HeaderMap, HeaderValue};

use crate::server::now_ms;

/// Points an hour that the headers state; the stand-in prices requests and does not refuse by points.
const COMPLEXITY_LIMIT: u64 = 2_000_000;

/// One app user's hourly requests.
pub(super) struct Throttle {
    limit: u32,
    left: f64,
    at: Instant,
}

impl Throttle {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, left: f64::from(limit), at: Instant::now() }
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    /// Takes one request out of the bucket; false when it is empty.
    pub(super) fn take(&mut self) -> bool {
        self.refill();
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }

    fn refill(&mut self) {
        let now = Instant::now();
        let gained = now.duration_since(self.at).as_secs_f64() * f64::from(self.limit) / 3_600.0;
        self.left = (self.left + gained).min(f64::from(self.limit));
        self.at = now;
    }

    /// Linear's headers for an answer that cost `complexity` points; resets are ms since 1970.
    pub(super) fn headers(&mut self, complexity: u64) -> HeaderMap {
        self.refill();
        let missing = f64::from(self.limit) - self.left;
        let full_in_ms = (missing * 3_600_000.0 / f64::from(self.limit.max(1))).ceil();
        // Both are small and not negative: at most an hour, and at most the limit.
        let (full_in_ms, left) = (full_in_ms as i64, self.left.floor() as u64);
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
        throttle.at =
            throttle.at.checked_sub(std::time::Duration::from_secs(1_201)).expect("an hour of uptime");
        assert!(throttle.take(), "a third of an hour gives a third of the limit");
        assert!(!throttle.take());
    }
}
