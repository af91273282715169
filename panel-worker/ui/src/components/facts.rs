//! A fact under its name: the pieces that the session page's header is made of.

use leptos::prelude::*;

/// One name and its value, inside a `<dl>`.
#[component]
pub fn Fact(
    /// The name.
    name: &'static str,
    /// The value.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="fact">
            <dt>{name}</dt>
            <dd>{children()}</dd>
        </div>
    }
}
