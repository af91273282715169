//! The runs of a session: one go of one executor each, oldest first. It reads `shared::run::RunRecord`.

use leptos::prelude::*;
use serde_json::Value;
use shared::money::MicroUsd;

use super::status_pill::StatusPill;
use crate::rows::session::state;
use crate::wording::session_sign;
use crate::{format, json};

/// The list; folded when there is only one run, since the page's header says the same.
#[component]
pub fn RunList(
    /// The runs, an array.
    runs: Memo<Value>,
) -> impl IntoView {
    view! {
        {move || {
            let runs = runs.get();
            let runs = runs.as_array().filter(|runs| !runs.is_empty())?;
            let all = runs.iter().map(run).collect_view();
            let list = view! {
                <details class="runs" open={runs.len() > 1}>
                    <summary>{format::counted(runs.len(), "run")}</summary>
                    <ol role="list">{all}</ol>
                </details>
            };
            Some(list.into_any())
        }}
    }
}

fn run(run: &Value) -> AnyView {
    view! {
        <li>
            <StatusPill sign=Signal::stored(session_sign(state(run))) />
            <span class="num">{facts(run).join(" · ")}</span>
            {json::text(run, "errorMessage").map(|why| view! { <span class="run-error">{why}</span> })}
        </li>
    }
    .into_any()
}

fn facts(run: &Value) -> Vec<String> {
    let time = |name| json::time(run, name);
    let took = time("startedAt").zip(time("completedAt")).map(|(from, to)| format::duration(to.since(from)));
    let turns = json::number(run, "turns")
        .and_then(|turns| usize::try_from(turns).ok())
        .map(|turns| format::counted(turns, "turn"));
    let tokens = json::number(run, "inputTokens")
        .zip(json::number(run, "outputTokens"))
        .map(|(input, output)| [&format::count(input), " in, ", &format::count(output), " out"].concat());
    let cost =
        json::number(run, "listCostMicroUsd").map(|cost| ["list ", &MicroUsd(cost).to_string()].concat());
    let text = |name| json::text(run, name);
    let parts = [text("executor"), text("executorVersion"), text("model"), turns, tokens, took, cost];
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::run::RunRecord;

    #[test]
    fn the_facts_are_read_out_of_what_the_server_writes() {
        let run: RunRecord = serde_json::from_value(serde_json::json!({
            "id": shared::id::RunId::from_uuid(Default::default()).to_string(), "executor": "claude", "executorVersion": "2.1",
            "model": "m", "status": "failed", "startedAt": "2026-01-01T00:00:00Z", "completedAt": "2026-01-01T00:00:12Z",
            "turns": 1, "inputTokens": 5, "outputTokens": 6, "listCostMicroUsd": 0, "errorMessage": "no",
        }))
        .unwrap();
        let run = serde_json::to_value(run).unwrap();
        let cost = ["list ", &MicroUsd(0).to_string()].concat();
        assert_eq!(facts(&run), ["claude", "2.1", "m", "1 turn", "5 in, 6 out", "12 s", &cost]);
        assert_eq!(json::word(&run, "errorMessage"), "no");
    }
}
