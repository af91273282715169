//! What a person can do to a session: tell its agent something, stop it.

use leptos::prelude::*;
use shared::session::SessionState;

use crate::api;
use crate::components::deed_button::{DeedButton, Doing, Refusal};
use crate::deed::Deed;
use crate::derive::when;

/// The field and the buttons, below the log.
#[component]
pub fn SessionActs(
    /// The session's id.
    id: String,
    /// Where it stands.
    status: Memo<SessionState>,
    /// Called when something was done.
    done: Callback<()>,
) -> impl IntoView {
    let id = StoredValue::new(id);
    let words = RwSignal::new(String::new());
    let doing = Doing::new();
    let tell = Deed::new(move || {
        let answer = id.with_value(|id| words.with_untracked(|words| api::tell(id, words.trim())));
        Box::pin(async move {
            answer.await?;
            Ok("Told the agent. It reads it at its next step.".to_owned())
        })
    });
    let stop = Deed::new(move || {
        let answer = id.with_value(|id| api::stop(id));
        Box::pin(async move {
            answer.await?;
            Ok("The stop is on its way to the worker.".to_owned())
        })
    });
    let told = Callback::new(move |()| {
        words.set(String::new());
        done.run(());
    });
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if words.with_untracked(|words| !words.trim().is_empty()) {
            doing.run(tell, told);
        }
    };
    view! {
        <form class="acts" on:submit=submit>
            <label for="tell">"Tell the agent"</label>
            <input
                id="tell"
                class="field"
                autocomplete="off"
                maxlength="10000"
                prop:value=words
                on:input=move |event| words.set(event_target_value(&event))
            />
            <button type="submit" class="button" aria-disabled=move || doing.busy.get().to_string()>
                {move || if doing.busy.get() { "Sending…" } else { "Send" }}
            </button>
            {when(
                move || !status.get().is_over(),
                move || view! { <DeedButton label="Stop the session" deed=stop done /> }.into_any(),
            )}
            <Refusal doing />
        </form>
    }
}
