//! The polite voice of the page: counts and outcomes for screen readers, never each line; what a person did is
//! also shown for a while.

use std::time::Duration;

use leptos::prelude::*;

/// How long a sentence is shown.
const SHOWN: Duration = Duration::from_secs(8);

/// What is to be said next.
#[derive(Debug, Clone, Copy)]
pub struct Announcer {
    words: RwSignal<String>,
    /// How many sentences are shown still.
    shown: RwSignal<u32>,
}

impl Announcer {
    fn new() -> Self {
        Self { words: RwSignal::new(String::new()), shown: RwSignal::new(0) }
    }

    /// Hands a voice to all components below.
    pub fn provide() -> Self {
        let voice = Self::new();
        provide_context(voice);
        voice
    }

    /// The voice of this page.
    pub fn of_page() -> Self {
        use_context().unwrap_or_else(Self::new)
    }

    /// Says it, unseen, unless something is shown; the same words again are said again.
    pub fn say(self, words: String) {
        if self.shown.try_get_untracked() == Some(0) {
            self.set(words);
        }
    }

    /// Says it and shows it.
    pub fn tell(self, words: String) {
        self.set(words);
        let _ = self.shown.try_update(|shown| *shown += 1);
        let rest = move || {
            let _ = self.shown.try_update(|shown| *shown = shown.saturating_sub(1));
        };
        set_timeout(rest, SHOWN);
    }

    fn set(self, words: String) {
        let _ = self.words.try_update(|said| {
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
    let class = move || if voice.shown.get() > 0 { "toast" } else { "visually-hidden" };
    view! {
        <div class=class role="status" aria-live="polite" aria-atomic="true">
            {move || voice.words.get()}
        </div>
    }
}
