//! How long something has taken: ticks while it runs, stands still when it is over.

use leptos::prelude::*;
use shared::time::Timestamp;

use crate::clock::Clock;
use crate::derive::memo;
use crate::rows::Times;

/// The time from start to end or now; a dash where nothing began.
#[component]
pub fn Elapsed(
    /// What the length hangs on.
    #[prop(into)]
    times: Signal<Times>,
) -> impl IntoView {
    let clock = Clock::of_page();
    let text = memo(move || {
        let times = times.get();
        if times.ticks() { times.text(clock.now()) } else { times.text(Timestamp::default()) }
    });
    view! { <span class="num">{text}</span> }
}
