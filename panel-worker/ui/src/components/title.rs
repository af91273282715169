//! The page's title in the browser's tab.

use leptos::prelude::*;

/// Keeps the title at `<text> · Cyrus` as long as the calling component lives.
pub fn use_title(text: impl Fn() -> String + 'static) {
    Effect::new(move |_| document().set_title(&format!("{} · Cyrus", text())));
}
