//! The button that goes through the themes.

use leptos::prelude::*;

use super::icon::{Icon, Shape};
use crate::theme::Theme;

/// System, light, dark, and round again.
#[component]
pub fn ThemeToggle() -> impl IntoView {
    let theme = RwSignal::new(Theme::stored());
    let label = move || format!("Theme: {}", theme.get().label());
    let go_on = move |_| {
        theme.update(|theme| *theme = theme.next());
        theme.get_untracked().choose();
    };
    view! {
        <button type="button" class="icon-button" title=label aria-label=label on:click=go_on>
            {move || {
                let shape = match theme.get() {
                    Theme::System => Shape::Screen,
                    Theme::Light => Shape::Sun,
                    Theme::Dark => Shape::Moon,
                };
                view! { <Icon shape /> }
            }}
        </button>
    }
}
