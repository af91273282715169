//! A clock that goes on while the machine sleeps, so that a laptop that wakes knows how old its leases are.
//!
//! Readings are durations since a moment that stays the same while the machine is up. Tests bring their own clock.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The time since a fixed moment. Never goes back; counts suspend.
    fn now(&self) -> Duration;
}

/// The machine's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct BootClock;

// Elsewhere than on Linux the monotonic clock itself goes on while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SOURCE: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SOURCE: ClockId = ClockId::CLOCK_MONOTONIC;

impl Clock for BootClock {
    fn now(&self) -> Duration {
        static BEGUN: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        clock_gettime(SOURCE).map_or_else(|_| BEGUN.elapsed(), Duration::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on() {
        let before = BootClock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(BootClock.now() > before);
    }
}
