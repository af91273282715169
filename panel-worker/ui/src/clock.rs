//! One clock for the whole page: a signal that ticks each second, so that ages and elapsed times move together.
//!
//! Nothing else asks the browser for the time.

use std::time::Duration;

use leptos::prelude::*;
use shared::time::Timestamp;

/// The instant of the last tick.
#[derive(Debug, Clone, Copy)]
pub struct Clock(RwSignal<Timestamp>);

impl Clock {
    /// Starts the clock and hands it to all components below.
    pub fn provide() {
        let now = RwSignal::new(read());
        set_interval(move || now.set(read()), Duration::from_secs(1));
        provide_context(Self(now));
    }

    /// The clock of this page; without one it stands still.
    pub fn of_page() -> Self {
        use_context().unwrap_or_else(|| Self(RwSignal::new(read())))
    }

    /// The instant of the last tick; what calls this runs again with the next.
    pub fn now(self) -> Timestamp {
        self.0.get()
    }
}

/// The instant now.
pub fn read() -> Timestamp {
    Timestamp::from_millis(js_sys::Date::now() as i64)
}
