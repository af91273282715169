//! Where something stands: sign, word and colour. `data-status` carries the word of the wire.

use leptos::prelude::*;

use super::icon::Icon;
use crate::wording::Sign;

/// Shows a state, and follows it.
#[component]
pub fn StatusPill(
    /// The state.
    #[prop(into)]
    sign: Signal<Sign>,
) -> impl IntoView {
    view! {
        <span class="pill" data-status=move || sign.get().state data-tone=move || sign.get().tone>
            {move || view! { <Icon shape=sign.get().shape /> }}
            <span>{move || sign.get().word}</span>
        </span>
    }
}
