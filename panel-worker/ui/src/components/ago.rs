//! How long ago something was, with the exact time for those who hover, and for machines.

use leptos::prelude::*;
use shared::time::Timestamp;

use crate::clock::Clock;
use crate::derive::memo;
use crate::format;

/// `3 min ago`; ticks by itself.
#[component]
pub fn Ago(
    /// The instant.
    #[prop(into)]
    at: Signal<Timestamp>,
) -> impl IntoView {
    let clock = Clock::of_page();
    let text = memo(move || format::ago(clock.now().since(at.get())));
    view! {
        <time class="ago" datetime=move || at.get().to_string() title=move || exact(at.get())>
            {text}
        </time>
    }
}

/// Date and time where the browser stands, `2026-11-22 10:15:25`.
pub fn exact(at: Timestamp) -> String {
    local(at).chars().take(19).map(|letter| if letter == 'T' { ' ' } else { letter }).collect()
}

/// The time of day where the browser stands, `10:15:25.781`.
pub fn time_of_day(at: Timestamp) -> String {
    local(at).chars().skip(11).take(12).collect()
}

fn local(at: Timestamp) -> String {
    let date = js_sys::Date::new(&wasm_bindgen::JsValue::from_f64(at.as_millis() as f64));
    at.plus_millis(-(date.get_timezone_offset() as i64) * 60_000).to_string()
}
