//! The four ways in which there is nothing to see: nothing yet, nothing matches, not allowed, cannot load.
//!
//! Each says why, and the one next step.

use leptos::prelude::*;

use super::icon::{Icon, Shape};
use crate::api::Failure;

/// A sign, a heading, and what to do next.
#[component]
pub fn Empty(
    /// Which of the four, for the style sheet and tests: `nothing-yet`, `no-match`, `not-allowed`, `cannot-load`.
    kind: &'static str,
    /// The sign.
    shape: Shape,
    /// The heading.
    #[prop(into)]
    title: String,
    /// The explanation and the next step.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="empty" data-empty=kind>
            <span class="empty-sign">
                <Icon shape />
            </span>
            <h2>{title}</h2>
            {children()}
        </div>
    }
}

/// What could not be loaded, why, and a button to try again.
#[component]
pub fn CannotLoad(
    /// What went wrong.
    failure: Failure,
    /// Tries again.
    #[prop(into)]
    retry: Callback<()>,
) -> impl IntoView {
    let (kind, shape) =
        if failure.is_forbidden() { ("not-allowed", Shape::Stop) } else { ("cannot-load", Shape::Warning) };
    view! {
        <div role="alert">
            <Empty kind shape title=failure.title()>
                <p>{failure.detail()}</p>
                <p class="muted">"Code: " <code>{failure.code()}</code></p>
                <button type="button" class="button" on:click=move |_| retry.run(())>
                    "Try again"
                </button>
            </Empty>
        </div>
    }
}

/// A slim line over data that is old because the last try failed.
#[component]
pub fn Stale(
    /// What went wrong; nothing is shown while it is `None`.
    #[prop(into)]
    failure: Signal<Option<Failure>>,
    /// Tries again.
    #[prop(into)]
    retry: Callback<()>,
) -> impl IntoView {
    move || {
        failure.get().map(|failure| {
            view! {
                <div class="callout" data-tone="warning" role="status">
                    <Icon shape=Shape::Warning />
                    <p>
                        <strong>{failure.title()}"."</strong>
                        " What you see was loaded before. "
                        {failure.detail()}
                    </p>
                    <button type="button" class="button" on:click=move |_| retry.run(())>
                        "Try again"
                    </button>
                </div>
            }
        })
    }
}
