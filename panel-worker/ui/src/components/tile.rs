//! One number of the overview under its name.

use leptos::prelude::*;

/// A number, its name, and a note.
#[component]
pub fn Tile(
    /// What it counts.
    name: &'static str,
    /// The number.
    #[prop(into)]
    value: Signal<String>,
    /// What to know about it.
    #[prop(into)]
    note: Signal<String>,
) -> impl IntoView {
    view! {
        <div class="tile">
            <dt>{name}</dt>
            <dd>
                <span class="tile-value num">{value}</span>
                <span class="tile-note">{note}</span>
            </dd>
        </div>
    }
}
