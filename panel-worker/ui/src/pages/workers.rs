//! The workers and their keys: who is there, how busy each is, what is wrong with one; making and revoking keys.

use std::rc::Rc;

use leptos::prelude::*;
use serde_json::Value;

use super::list::{List, Look};
use super::worker_settings::{Repositories, Slots};
use crate::api;
use crate::components::ago::Ago;
use crate::components::copy_button::{Command, CopyButton};
use crate::components::deed_button::{DeedButton, Doing, Refusal};
use crate::components::empty::{CannotLoad, Empty, Stale};
use crate::components::icon::Shape;
use crate::components::status_pill::StatusPill;
use crate::components::title::use_title;
use crate::deed::Deed;
use crate::derive::{memo, when};
use crate::focus;
use crate::json;
use crate::polled::{EVERY, Polled};
use crate::rows::worker::{COLUMNS, row};
use crate::wording::key_sign;

const LOOK: Look = Look {
    caption: "Workers",
    class: "workers",
    noun: "worker",
    columns: COLUMNS,
    row,
    empty: || NoWorkers().into_any(),
};

/// The page.
#[component]
pub fn Workers() -> impl IntoView {
    use_title(|| "Workers".to_owned());
    view! {
        <div class="page-head">
            <h1>"Workers"</h1>
        </div>
        <List look=LOOK fetch=Rc::new(|_| api::workers()) opening=None />
        <Slots />
        <Repositories />
        <Keys />
    }
}

/// Nobody is there yet.
#[component]
pub fn NoWorkers() -> impl IntoView {
    view! {
        <Empty kind="nothing-yet" shape=Shape::Terminal title="No worker has connected yet">
            <p>"A worker runs the agent on a machine of yours. Make a key on the page of the workers, then start one there:"</p>
            <Command line="cyrus start" />
        </Empty>
    }
}

#[component]
fn Keys() -> impl IntoView {
    let keys = Polled::start(EVERY, api::worker_keys);
    let retry = Callback::new(move |()| keys.again());
    let all = memo(move || {
        keys.data
            .with(|page| page.as_ref().map(|page| json::items(page, "items").to_vec()).unwrap_or_default())
    });
    view! {
        <section aria-labelledby="keys">
            <div class="section-head">
                <h2 id="keys" tabindex="-1">
                    "Worker keys"
                </h2>
            </div>
            <NewKey made=retry />
            {when(
                move || !all.with(Vec::is_empty),
                move || {
                    view! {
                        <Stale failure=keys.failure retry />
                        <ul class="keys" role="list">
                            <For
                                each=move || all.get()
                                key=|key| [json::word(key, "id"), json::word(key, "state")].concat()
                                let:key
                            >
                                {one(&key, retry)}
                            </For>
                        </ul>
                    }
                        .into_any()
                },
            )}
            {when(
                move || all.with(Vec::is_empty),
                move || {
                    view! {
                        {move || match (keys.failure.get(), keys.data.with(Option::is_some)) {
                            (Some(failure), _) => view! { <CannotLoad failure retry /> }.into_any(),
                            (None, true) => {
                                view! {
                                    <p class="calm">"No keys yet. Name one above: each machine has its own."</p>
                                }
                                    .into_any()
                            }
                            (None, false) => ().into_any(),
                        }}
                    }
                        .into_any()
                },
            )}
        </section>
    }
}

/// One key. Revoking is asked for twice, since it cannot be undone.
fn one(key: &Value, changed: Callback<()>) -> AnyView {
    let sign = key_sign(json::word(key, "state"));
    let revoked = json::time(key, "revokedAt");
    let can = revoked.is_none() && !matches!(sign.state, "revoked" | "revoking");
    let name = json::word(key, "name").to_owned();
    let id = StoredValue::new(json::word(key, "id").to_owned());
    let revoke = Deed::new(move || {
        let answer = id.with_value(|id| api::revoke_worker_key(id));
        Box::pin(async move {
            answer.await?;
            Ok("Revoked: its worker is being told.".to_owned())
        })
    });
    let done = Callback::new(move |()| {
        changed.run(());
        focus::give("keys");
    });
    let when = revoked.or_else(|| json::time(key, "createdAt")).unwrap_or_default();
    let what = if revoked.is_some() { "revoked " } else { "made " };
    let revoking = can.then(|| {
        view! {
            <details class="revoke">
                <summary class="button">"Revoke"<span class="visually-hidden">{[" ", &name].concat()}</span></summary>
                <p>
                    "Its worker stops and loses its work. This cannot be undone. "
                    <DeedButton label="Revoke for good" deed=revoke done />
                </p>
            </details>
        }
        .into_any()
    });
    view! {
        <li>
            <StatusPill sign=Signal::stored(sign) />
            <strong class="key-name">{name}</strong>
            <span class="muted">{what} <Ago at=Signal::stored(when) /></span>
            {revoking}
        </li>
    }
    .into_any()
}

/// The form, and the key that it made: this page shows it once.
#[component]
fn NewKey(made: Callback<()>) -> impl IntoView {
    let name = RwSignal::new(String::new());
    let key = RwSignal::new(None::<Value>);
    let doing = Doing::new();
    let make = Deed::new(move || {
        let answer = name.with_untracked(|name| api::make_worker_key(name.trim()));
        Box::pin(async move {
            let made = answer.await?;
            let _ = key.try_set(Some(made));
            Ok("The key is made. It is shown this once.".to_owned())
        })
    });
    let done = Callback::new(move |()| {
        name.set(String::new());
        made.run(());
    });
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if name.with_untracked(|name| !name.trim().is_empty()) {
            doing.run(make, done);
        }
    };
    view! {
        <form class="acts" on:submit=submit>
            <label for="key-name">"Name of the machine"</label>
            <input
                id="key-name"
                class="field"
                autocomplete="off"
                required
                maxlength="100"
                prop:value=name
                on:input=move |event| name.set(event_target_value(&event))
            />
            <button type="submit" class="button" aria-disabled=move || doing.busy.get().to_string()>
                "Make a key"
            </button>
            <Refusal doing />
        </form>
        {move || key.get().map(|key| view! { <Made key /> })}
    }
}

/// A new key and what to do with it. The command asks for the key, so that it is in no shell's history.
#[component]
fn Made(key: Value) -> impl IntoView {
    let origin = window().location().origin().unwrap_or_default();
    let active = json::flag(&key, "active");
    let key = json::word(&key, "key").to_owned();
    let line = [
        "read -rs CONTROL_PANEL_API_KEY && export CONTROL_PANEL_API_KEY && CONTROL_PANEL_URL=",
        &origin,
        " cyrus start",
    ]
    .concat();
    view! {
        <div class="callout made">
            <div>
                <p>
                    <strong>"Copy the key now; it cannot be shown again. "</strong>
                    {if active { "It works from now on." } else { "It will work within a minute." }}
                </p>
                <p class="command">
                    <code>{key.clone()}</code>
                    <CopyButton text=Signal::stored(key) what="the key" />
                </p>
                <p>
                    "On the machine, with "<code>"proxyUrl"</code>" in its "<code>"~/.cyrus/config.json"</code>
                    ", type this, then paste the key and press Enter:"
                </p>
                <Command line />
            </div>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::api::NewWorkerKey;

    #[test]
    fn a_new_key_is_read_out_of_what_the_server_writes() {
        let id = shared::id::KeyId::from_uuid(Default::default());
        let new = serde_json::to_value(NewWorkerKey { id, key: "secret".to_owned(), active: true }).unwrap();
        assert_eq!((json::word(&new, "key"), json::flag(&new, "active")), ("secret", true));
    }
}
