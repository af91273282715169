//! The polite voice of the page: counts and outcomes for screen readers, never each line.

use leptos::prelude::*;

/// What is to be said next.
#[derive(Debug, Clone, Copy)]
pub struct Announcer(RwSignal<String>);

impl Announcer {
    /// Hands a voice to all components below.
    pub fn provide() -> Self {
        let voice = Self(RwSignal::new(String::new()));
        provide_context(voice);
        voice
    }

    /// The voice of this page.
    pub fn of_page() -> Self {
        use_context().unwrap_or_else(|| Self(RwSignal::new(String::new())))
    }

    /// Says it; the same words again are said again.
    pub fn say(self, words: String) {
        let _ = self.0.try_update(|said| {
            let again = *said == words;
            *said = words;
            if again {
                said.push('\u{a0}');
            }
        });
    }
}

/// The region that screen readers listen to.
#[component]
pub fn LiveRegion(
    /// The voice.
    voice: Announcer,
) -> impl IntoView {
    view! {
        <div class="visually-hidden" role="status" aria-live="polite" aria-atomic="true">
            {move || voice.0.get()}
        </div>
    }
}
