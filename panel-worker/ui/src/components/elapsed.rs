//! How long a session has taken: ticks while it runs, stands still when it is over.

use leptos::prelude::*;
use shared::session::SessionRecord;
use shared::time::Timestamp;

use crate::clock::Clock;
use crate::format;

/// The time from start to end or now; a dash where nothing began.
#[component]
pub fn Elapsed(
    /// The session.
    #[prop(into)]
    record: Signal<SessionRecord>,
) -> impl IntoView {
    let clock = Clock::of_page();
    let text = Memo::new(move |_| {
        let times = record.with(Times::of);
        if times.ticks() { times.text(clock.now()) } else { times.text(Timestamp::default()) }
    });
    view! { <span class="num">{text}</span> }
}

/// The four facts that a length of time hangs on.
#[derive(Debug, Clone, Copy)]
struct Times {
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    took: Option<i64>,
    over: bool,
}

impl Times {
    fn of(record: &SessionRecord) -> Self {
        Self {
            started: record.started_at,
            ended: record.completed_at,
            took: record.duration_ms,
            over: record.status.is_over(),
        }
    }

    fn ticks(self) -> bool {
        !self.over && self.started.is_some()
    }

    fn text(self, now: Timestamp) -> String {
        let ended = |started: Timestamp| self.took.or(self.ended.map(|ended| ended.since(started)));
        match self.started {
            Some(started) if !self.over => format::clock(now.since(started)),
            Some(started) => ended(started).map_or_else(|| "–".to_owned(), format::duration),
            None => self.took.map_or_else(|| "–".to_owned(), format::duration),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(i64) -> Timestamp = Timestamp::from_millis;

    #[test]
    fn a_running_session_counts_up_to_now_even_after_an_earlier_end() {
        let times = Times { started: Some(AT(0)), ended: Some(AT(1_000)), took: Some(1_000), over: false };
        assert!(times.ticks());
        assert_eq!(times.text(AT(61_000)), "1 m 01 s");
    }

    #[test]
    fn a_session_that_is_over_does_not_move() {
        let times = Times { started: Some(AT(0)), ended: Some(AT(4_200)), took: None, over: true };
        assert_eq!((times.ticks(), times.text(AT(99_999))), (false, "4.2 s".to_owned()));
    }

    #[test]
    fn what_never_began_has_no_length() {
        let times = Times { started: None, ended: None, took: None, over: false };
        assert_eq!((times.ticks(), times.text(AT(99_999))), (false, "–".to_owned()));
    }
}
