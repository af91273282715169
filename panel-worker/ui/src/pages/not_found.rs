//! The page for addresses that lead nowhere.

use leptos::prelude::*;

use crate::components::empty::Empty;
use crate::components::icon::Shape;
use crate::components::title::use_title;

/// Says so, and leads back.
#[component]
pub fn NotFound() -> impl IntoView {
    use_title(|| "Page not found".to_owned());
    view! {
        <h1 class="visually-hidden">"Page not found"</h1>
        <Empty kind="no-match" shape=Shape::Question title="There is no page at this address">
            <p>"The link may be old or mistyped."</p>
            <a class="button" href="/">
                "Go to the overview"
            </a>
        </Empty>
    }
}
