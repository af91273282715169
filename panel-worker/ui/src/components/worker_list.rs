//! The workers: state as dot and word, slots, version, executors, when last heard of.

use leptos::prelude::*;
use shared::api::Worker;

use super::ago::Ago;
use crate::wording::{worker_class, worker_word};

/// A list of workers, in the order given.
#[component]
pub fn WorkerList(
    /// The workers.
    workers: Signal<Vec<Worker>>,
) -> impl IntoView {
    view! {
        <ul class="workers" role="list">
            <For each=move || workers.get() key=|worker| (worker.id, format!("{worker:?}")) let:worker>
                <li>
                    <span class="dot-word" data-worker=worker_class(worker.state)>
                        {worker_word(worker.state)}
                    </span>
                    <span class="worker-name">{worker.name}</span>
                    <span class="muted num">{format!("{} of {} slots", worker.used, worker.slots)}</span>
                    <span class="muted worker-what">
                        {worker.executors.join(", ")} " · cyrus " {worker.version}
                    </span>
                    <span class="muted worker-seen">
                        {worker.last_seen_at.map(|at| view! { "seen " <Ago at=Signal::stored(at) /> })}
                    </span>
                </li>
            </For>
        </ul>
    }
}
