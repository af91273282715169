//! A button that copies a text, and a command line that has one.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::announcer::Announcer;
use super::icon::{Icon, Shape};

/// Copies `text`; `what` names it for screen readers and the tooltip.
#[component]
pub fn CopyButton(
    /// What is copied.
    #[prop(into)]
    text: Signal<String>,
    /// Its name, as in "Copy the commit".
    what: &'static str,
) -> impl IntoView {
    let done = RwSignal::new(false);
    let voice = Announcer::of_page();
    let copy = move |_| {
        let text = text.get_untracked();
        spawn_local(async move {
            if write(&text).await.is_err() {
                voice.say(format!("Could not copy {what}"));
                return;
            }
            voice.say(format!("Copied {what}"));
            let _ = done.try_set(true);
            let rest = move || {
                let _ = done.try_set(false);
            };
            set_timeout(rest, Duration::from_millis(1_500));
        });
    };
    view! {
        <button
            type="button"
            class="icon-button"
            class:is-done=done
            title=format!("Copy {what}")
            aria-label=format!("Copy {what}")
            on:click=copy
        >
            {move || view! { <Icon shape=if done.get() { Shape::Tick } else { Shape::Copy } /> }}
        </button>
    }
}

/// A command to type into a shell, with its copy button.
#[component]
pub fn Command(
    /// The command line.
    #[prop(into)]
    line: String,
) -> impl IntoView {
    view! {
        <p class="command">
            <code>{line.clone()}</code>
            <CopyButton text=Signal::stored(line) what="the command" />
        </p>
    }
}

/// Pages that do not come over https have no clipboard.
async fn write(text: &str) -> Result<(), JsValue> {
    let navigator = window().navigator();
    if js_sys::Reflect::get(&navigator, &JsValue::from_str("clipboard"))?.is_undefined() {
        return Err(JsValue::UNDEFINED);
    }
    JsFuture::from(navigator.clipboard().write_text(text)).await.map(drop)
}
