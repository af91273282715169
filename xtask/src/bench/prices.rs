//! Cloudflare's public price list, as far as the proxy uses it. US dollars; the Workers Paid plan, beyond what it includes.
//!
//! Source: developers.cloudflare.com, `/workers/platform/pricing/` and `/durable-objects/platform/pricing/`, looked up on
//! [`READ_ON`] in copies whose newest dated entry is of 2026-06-30. SQLite storage is billed since January 2026.

/// When the price list was looked up.
pub const READ_ON: &str = "2026-11-23";

/// A request to a Worker.
pub const WORKER_REQUEST: f64 = 0.30 / 1e6;
/// A millisecond of a Worker's CPU.
pub const CPU_MS: f64 = 0.02 / 1e6;
/// A request to a Durable Object: HTTP, alarm, opening of a WebSocket; twenty incoming WebSocket messages are one.
pub const OBJECT_REQUEST: f64 = 0.15 / 1e6;
/// A second of a Durable Object in memory, which is billed as 128 MB whatever it uses.
pub const OBJECT_SECOND: f64 = 12.50 / 1e6 * OBJECT_GB;
/// The memory that a Durable Object is billed for.
pub const OBJECT_GB: f64 = 0.128;
/// A row read.
pub const ROW_READ: f64 = 0.001 / 1e6;
/// A row written, an index's row and a `setAlarm` too.
pub const ROW_WRITTEN: f64 = 1.00 / 1e6;

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Requests to the proxy Worker.
    pub worker_requests: f64,
    /// CPU of the proxy Worker, in ms.
    pub cpu_ms: f64,
    /// Requests to the hub.
    pub object_requests: f64,
    /// Seconds in which the hub did something.
    pub object_seconds: f64,
    /// Rows read.
    pub rows_read: f64,
    /// Rows written.
    pub rows_written: f64,
}

impl Usage {
    /// Its price in US dollars, without what the plan includes.
    pub fn dollars(&self) -> f64 {
        self.worker_requests * WORKER_REQUEST
            + self.cpu_ms * CPU_MS
            + self.object_requests * OBJECT_REQUEST
            + self.object_seconds * OBJECT_SECOND
            + self.rows_read * ROW_READ
            + self.rows_written * ROW_WRITTEN
    }

    /// This usage `times` over.
    #[must_use]
    pub fn times(&self, times: f64) -> Self {
        Self {
            worker_requests: self.worker_requests * times,
            cpu_ms: self.cpu_ms * times,
            object_requests: self.object_requests * times,
            object_seconds: self.object_seconds * times,
            rows_read: self.rows_read * times,
            rows_written: self.rows_written * times,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_of_each_costs_what_the_list_says() {
        // 0.15 for a million requests, 12.50 for a million GB-s.
        let usage = Usage { object_requests: 1e6, object_seconds: 1e6 / 0.128, ..Usage::default() };
        assert!((usage.dollars() - 12.65).abs() < 1e-9, "{}", usage.dollars());
        assert!((usage.times(2.0).dollars() - 25.30).abs() < 1e-9);
    }
}
