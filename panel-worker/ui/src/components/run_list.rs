//! The runs of a session: one go of one executor each, oldest first.

use leptos::prelude::*;
use shared::run::RunRecord;

use super::status_pill::StatusPill;
use crate::format;

/// The list; folded when there is only one run, since the page's header says the same.
#[component]
pub fn RunList(
    /// The runs.
    runs: Signal<Vec<RunRecord>>,
) -> impl IntoView {
    let several = Memo::new(move |_| runs.with(|runs| runs.len() > 1));
    let heading = move || format::counted(runs.with(Vec::len), "run");
    view! {
        <Show when=move || runs.with(|runs| !runs.is_empty())>
            <details class="runs" open=several>
                <summary>{heading}</summary>
                <ol role="list">
                    <For each=move || runs.get() key=|run| (run.id, format!("{run:?}")) let:run>
                        <Run run />
                    </For>
                </ol>
            </details>
        </Show>
    }
}

#[component]
fn Run(run: RunRecord) -> impl IntoView {
    let took = run.completed_at.map(|ended| format::duration(ended.since(run.started_at)));
    let turns =
        run.turns.and_then(|turns| usize::try_from(turns).ok()).map(|turns| format::counted(turns, "turn"));
    let tokens = run
        .input_tokens
        .zip(run.output_tokens)
        .map(|(input, output)| format!("{} in, {} out", format::count(input), format::count(output)));
    let parts = [
        Some(run.executor),
        run.executor_version,
        run.model,
        turns,
        tokens,
        took,
        Some(format!("list {}", run.list_cost_micro_usd)),
    ];
    view! {
        <li>
            <StatusPill status=Signal::stored(run.status) />
            <span class="num">{parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")}</span>
            {run.error_message.map(|why| view! { <span class="run-error">{why}</span> })}
        </li>
    }
}
