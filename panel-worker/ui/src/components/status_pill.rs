//! Where a session or run stands: sign, word and colour. `data-status` carries the word of the wire.

use leptos::prelude::*;
use shared::session::SessionState;

use super::icon::Icon;
use crate::wording::{status_shape, status_word};

/// Shows a state, and follows it.
#[component]
pub fn StatusPill(
    /// The state.
    #[prop(into)]
    status: Signal<SessionState>,
) -> impl IntoView {
    view! {
        <span class="pill" data-status=move || status.get().as_str()>
            {move || view! { <Icon shape=status_shape(status.get()) /> }}
            <span>{move || status_word(status.get())}</span>
        </span>
    }
}
