//! A button that does something at the server: busy meanwhile, and what went wrong beside it.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::announcer::Announcer;
use crate::api::Failure;
use crate::deed::Deed;
use crate::shell::SignIn;

/// A deed while it is done.
#[derive(Clone, Copy)]
pub struct Doing {
    /// It is under way.
    pub busy: RwSignal<bool>,
    /// Why it was not done the last time.
    pub failure: RwSignal<Option<Failure>>,
    voice: Announcer,
    sign_in: SignIn,
}

impl Doing {
    /// Nothing is done yet.
    pub fn new() -> Self {
        Self {
            busy: RwSignal::new(false),
            failure: RwSignal::new(None),
            voice: Announcer::of_page(),
            sign_in: SignIn::of_page(),
        }
    }

    /// Does it, unless it is under way; then calls `done`.
    pub fn run(self, deed: Deed, done: Callback<()>) {
        if self.busy.get_untracked() {
            return;
        }
        let Some(answer) = deed.begin() else { return };
        self.busy.set(true);
        self.failure.set(None);
        spawn_local(async move {
            let answer = answer.await;
            let gone = self.busy.try_set(false).is_some();
            match answer {
                Ok(sentence) => {
                    if !sentence.is_empty() {
                        self.voice.tell(sentence);
                    }
                    if !gone {
                        done.run(());
                    }
                }
                Err(Failure::SignedOut) => self.sign_in.lost(),
                Err(why) => drop(self.failure.try_set(Some(why))),
            }
        });
    }
}

impl Default for Doing {
    fn default() -> Self {
        Self::new()
    }
}

/// What went wrong, in one line.
#[component]
pub fn Refusal(
    /// The deed.
    doing: Doing,
) -> impl IntoView {
    view! {
        <span class="refusal" role="alert">
            {move || doing.failure.get().map(|why| [why.title(), why.detail()].join(". "))}
        </span>
    }
}

/// The button, with its refusal beside it.
#[component]
pub fn DeedButton(
    /// Its words.
    label: &'static str,
    /// What it does.
    deed: Deed,
    /// Called when it is done.
    done: Callback<()>,
) -> impl IntoView {
    let doing = Doing::new();
    view! {
        <button
            type="button"
            class="button"
            aria-disabled=move || doing.busy.get().to_string()
            on:click=move |_| doing.run(deed, done)
        >
            {label}
        </button>
        <Refusal doing />
    }
}
