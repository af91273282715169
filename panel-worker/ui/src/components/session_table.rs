//! Sessions as a table: one row each, the whole row a link to the session. On narrow screens rows become cards.

use leptos::prelude::*;
use shared::id::SessionId;
use shared::session::SessionRecord;

use super::ago::Ago;
use super::elapsed::Elapsed;
use super::status_pill::StatusPill;

/// The table; rows keep their place in the document while their content changes.
#[component]
pub fn SessionTable(
    /// The sessions, in the order shown.
    sessions: Signal<Vec<SessionRecord>>,
    /// What the table holds, for screen readers.
    caption: &'static str,
) -> impl IntoView {
    view! {
        <table class="sessions" role="table">
            <caption class="visually-hidden">{caption}</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Status"</th>
                    <th role="columnheader" scope="col">"Issue"</th>
                    <th role="columnheader" scope="col">"Executor"</th>
                    <th role="columnheader" scope="col">"Worker"</th>
                    <th role="columnheader" scope="col">"Branch"</th>
                    <th role="columnheader" scope="col" class="end">"Duration"</th>
                    <th role="columnheader" scope="col" class="end" title="Tokens at the list price">
                        "Cost"
                    </th>
                    <th role="columnheader" scope="col" class="end">"Started"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">
                <For each=move || sessions.get() key=|session| session.id let:first>
                    <SessionRow record=of_id(sessions, first.id, first) />
                </For>
            </tbody>
        </table>
    }
}

/// The newest record of one session; when it has left the list, its last one.
fn of_id(sessions: Signal<Vec<SessionRecord>>, id: SessionId, first: SessionRecord) -> Signal<SessionRecord> {
    Memo::new(move |old: Option<&SessionRecord>| {
        let found = sessions.with(|all| all.iter().find(|session| session.id == id).cloned());
        found.or_else(|| old.cloned()).unwrap_or_else(|| first.clone())
    })
    .into()
}

#[component]
fn SessionRow(record: Signal<SessionRecord>) -> impl IntoView {
    let text = move |read: fn(&SessionRecord) -> Option<String>| {
        Memo::new(move |_| record.with(read).unwrap_or_else(|| "–".to_owned()))
    };
    let executor = text(|r| {
        Some(
            [r.executor.as_deref()?, r.model.as_deref().unwrap_or("")]
                .join(" · ")
                .trim_end_matches(" · ")
                .to_owned(),
        )
    });
    let worker = text(|r| r.worker_name.clone());
    let branch = text(|r| r.branch.clone());
    let cost = text(|r| (r.list_cost_micro_usd.0 != 0).then(|| r.list_cost_micro_usd.to_string()));
    let href = format!("/sessions/{}", record.with_untracked(|r| r.id));
    view! {
        <tr role="row">
            <td role="cell" class="c-status">
                <StatusPill status=Signal::derive(move || record.with(|r| r.status)) />
            </td>
            <td role="cell" class="c-issue">
                <a class="row-link" href=href>
                    <span class="key num">{move || record.with(|r| r.linear_issue_identifier.clone())}</span>
                    <span class="title">{move || record.with(title)}</span>
                </a>
            </td>
            <td role="cell" class="c-executor" title=executor>{executor}</td>
            <td role="cell" class="c-worker">{worker}</td>
            <td role="cell" class="c-branch mono" title=branch>{branch}</td>
            <td role="cell" class="c-duration end"><Elapsed record /></td>
            <td role="cell" class="c-cost end num">{cost}</td>
            <td role="cell" class="c-started end">
                <Ago at=Signal::derive(move || record.with(|r| r.started_at.unwrap_or(r.created_at))) />
            </td>
        </tr>
    }
}

/// What a session is called: its issue's title, else its kind of work.
pub fn title(record: &SessionRecord) -> String {
    record.linear_issue_title.clone().unwrap_or_else(|| match &record.repository_name {
        Some(repository) => format!("Manual run in {repository}"),
        None => "Manual run".to_owned(),
    })
}
