//! What people set on the page of the workers: how many sessions each runs at once, and the way to each repository.

use leptos::prelude::*;
use serde_json::Value;

use crate::api;
use crate::components::deed_button::{Doing, Refusal};
use crate::deed::Deed;
use crate::derive::{memo, when};
use crate::json;
use crate::polled::{EVERY, Polled};

/// The slots of every worker that is not revoked.
#[component]
pub fn Slots() -> impl IntoView {
    let workers = Polled::start(EVERY, api::workers);
    let known = memo(move || {
        workers.data.with(|page| {
            page.as_ref()
                .map(|page| json::items(page, "items"))
                .unwrap_or_default()
                .iter()
                .filter(|worker| json::word(worker, "state") != "revoked")
                .map(|worker| {
                    (
                        json::word(worker, "id").to_owned(),
                        json::word(worker, "name").to_owned(),
                        wanted(worker),
                    )
                })
                .collect::<Vec<_>>()
        })
    });
    when(
        move || known.with(|known| !known.is_empty()),
        move || {
            view! {
                <section aria-labelledby="slots">
                    <div class="section-head">
                        <h2 id="slots">"Slots"</h2>
                    </div>
                    <p class="muted">"How many sessions each runs at once. Empty: the worker's own file decides."</p>
                    <ul class="set" role="list">
                        <For each=move || known.get() key=|(id, ..)| id.clone() let:worker>
                            {one(worker)}
                        </For>
                    </ul>
                </section>
            }
            .into_any()
        },
    )
}

fn wanted(worker: &Value) -> String {
    json::number(worker, "wantedSlots").map(|slots| slots.to_string()).unwrap_or_default()
}

fn one((id, name, slots): (String, String, String)) -> AnyView {
    let field = ["slots-", &id].concat();
    let value = RwSignal::new(slots.clone());
    let saved = RwSignal::new(slots);
    let doing = Doing::new();
    let id = StoredValue::new(id);
    let set = Deed::new(move || {
        let text = value.get_untracked().trim().to_owned();
        // What is no number is refused by the server, in words.
        let slots = if text.is_empty() { None } else { Some(text.parse::<u32>().unwrap_or_default()) };
        let answer = id.with_value(|id| api::change_slots(id, slots));
        Box::pin(async move {
            answer.await?;
            let _ = saved.try_set(text);
            Ok("Saved. The worker takes it up in a moment.".to_owned())
        })
    });
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        doing.run(set, Callback::new(|()| ()));
    };
    view! {
        <li>
            <form class="acts" novalidate on:submit=submit>
                <label for=field.clone()>
                    "Slots of " <strong class="key-name">{name}</strong>
                </label>
                <input
                    id=field
                    class="field slots-field"
                    type="number"
                    autocomplete="off"
                    prop:value=value
                    on:input=move |event| value.set(event_target_value(&event))
                />
                <button type="submit" class="button" aria-disabled=move || doing.busy.get().to_string()>
                    "Set"
                </button>
                <span class="muted">
                    {move || if value.with(|value| saved.with(|saved| value.trim() == saved)) { "" } else { "Not saved yet." }}
                </span>
                <Refusal doing />
            </form>
        </li>
    }
    .into_any()
}

/// The repositories, each a link to what is set for it.
#[component]
pub fn Repositories() -> impl IntoView {
    let repositories = Polled::start(EVERY, api::repositories);
    let all = memo(move || {
        repositories
            .data
            .with(|page| page.as_ref().map(|page| json::items(page, "items").to_vec()).unwrap_or_default())
    });
    when(
        move || all.with(|all| !all.is_empty()),
        move || {
            view! {
                <section aria-labelledby="repositories">
                    <div class="section-head">
                        <h2 id="repositories">"Repositories"</h2>
                    </div>
                    <ul class="set" role="list">
                        <For each=move || all.get() key=Value::to_string let:repository>
                            <li>
                                <a class="key-name" href=["/repositories/", json::word(&repository, "id")].concat()>
                                    {json::word(&repository, "name").to_owned()}
                                </a>
                                <span class="muted">
                                    {json::text(&repository, "model").unwrap_or_else(|| "model as each worker has it".to_owned())}
                                </span>
                            </li>
                        </For>
                    </ul>
                </section>
            }
            .into_any()
        },
    )
}
