//! The row that an address opens and its list does not hold: fetched by itself, shown above the list, as live as that.
//!
//! Which row, and whether the list holds it, is the list's to say.

use leptos::prelude::*;

use super::list::Look;
use crate::components::empty::{CannotLoad, Stale};
use crate::components::icon::{Icon, Shape};
use crate::components::table::{Opening, Table};
use crate::derive::{memo, when};
use crate::listing::Listing;
use crate::polled::{EVERY, Polled};

/// What the address opens and the list does not hold: older, or not of its filter.
#[component]
pub fn Elsewhere(
    /// What the list is made of.
    look: Look,
    /// How rows are opened and found.
    opening: Opening,
    /// The id of the row.
    id: String,
) -> impl IntoView {
    let one = Polled::start(EVERY, move || opening.find.run(id.clone()));
    let retry = Callback::new(move |()| one.again());
    let opening = Opening { done: retry, ..opening };
    let rows = memo(move || {
        one.data.with(|page| page.as_ref().map(|page| Listing::of(page, look.row).rows)).unwrap_or_default()
    });
    view! {
        <section class="elsewhere" aria-label="What this address opens">
            {when(
                move || !rows.with(Vec::is_empty),
                move || {
                    view! {
                        <Stale failure=one.failure retry />
                        <p class="muted">"Opened by this address, and not among those below:"</p>
                        <Table class=look.class caption="What this address opens" columns=look.columns rows opening=Some(opening) />
                    }
                        .into_any()
                },
            )}
            {move || match (rows.with(Vec::is_empty), one.failure.get(), one.data.with(Option::is_some)) {
                (true, Some(failure), _) => view! { <CannotLoad failure retry /> }.into_any(),
                (true, None, true) => gone(),
                _ => ().into_any(),
            }}
        </section>
    }
}

fn gone() -> AnyView {
    view! {
        <div class="callout">
            <Icon shape=Shape::Info />
            <p>"What this address opens is not here. It may be gone after the retention."</p>
        </div>
    }
    .into_any()
}
