//! The table of every list: rows keep their place in the document while their content changes, so that focus and
//! scroll stay where they are. On narrow screens rows become cards.

use leptos::prelude::*;
use serde_json::Value;

use super::ago::Ago;
use super::elapsed::Elapsed;
use super::icon::{Icon, Shape};
use super::row_detail::RowDetail;
use super::status_pill::StatusPill;
use crate::deed::Answer;
use crate::derive::memo;
use crate::rows::{Cell, Column, Row};

/// How rows are opened, and what can be done in an open one.
#[derive(Clone, Copy)]
pub struct Opening {
    /// The id of the open row; empty: none is.
    pub now: Signal<String>,
    /// Opens or closes a row.
    pub toggle: Callback<String>,
    /// Fetches a row that is not among those of the list, as a page of one or none.
    pub find: Callback<String, Answer<Value>>,
    /// Does something to a row, by the word of the API.
    pub act: fn(String, &'static str) -> Answer<String>,
    /// Called when something was done.
    pub done: Callback<()>,
}

/// The table.
#[component]
pub fn Table(
    /// What the table holds, for screen readers.
    caption: &'static str,
    /// The class, beside `table`.
    class: &'static str,
    /// The columns.
    columns: &'static [Column],
    /// The rows, in the order shown.
    rows: Memo<Vec<Row>>,
    /// How rows are opened; absent: they are not.
    opening: Option<Opening>,
) -> impl IntoView {
    let headings = columns
        .iter()
        .map(|(class, name)| view! { <th role="columnheader" scope="col" class=*class>{*name}</th> });
    view! {
        <table class=["table ", class].concat() role="table">
            <caption class="visually-hidden">{caption}</caption>
            <thead role="rowgroup">
                <tr role="row">{headings.collect_view()}</tr>
            </thead>
            <tbody role="rowgroup">
                <For each=move || rows.get() key=|row| row.id.clone() let:first>
                    {drawn(of_id(rows, first), columns, opening)}
                </For>
            </tbody>
        </table>
    }
}

/// The newest version of one row; when it has left the list, its last one.
fn of_id(rows: Memo<Vec<Row>>, first: Row) -> Memo<Row> {
    Memo::new(move |old: Option<&Row>| {
        let found = rows.with(|all| all.iter().find(|row| row.id == first.id).cloned());
        found.or_else(|| old.cloned()).unwrap_or_else(|| first.clone())
    })
}

fn drawn(row: Memo<Row>, columns: &'static [Column], opening: Option<Opening>) -> AnyView {
    let id = StoredValue::new(row.with_untracked(|row| row.id.clone()));
    let named = move |prefix: &'static str| id.with_value(|id| [prefix, id].concat());
    let open =
        memo(move || opening.is_some_and(|opening| id.with_value(|id| opening.now.with(|now| now == id))));
    let cells = columns.iter().enumerate().map(|(at, (class, _))| {
        let cell =
            memo(move || row.with(|row| row.cells.get(at).cloned().unwrap_or_else(|| Cell::text(None))));
        let content = match cell.get_untracked() {
            Cell::Link(href, ..) => link(cell, href),
            Cell::Opens(_) => {
                let toggle = move |_| {
                    if let Some(opening) = opening {
                        opening.toggle.run(id.get_value());
                    }
                };
                view! {
                    <button
                        type="button"
                        class="row-link"
                        id=named("row-")
                        aria-expanded=move || open.get().to_string()
                        aria-controls=move || open.get().then(|| named("detail-"))
                        on:click=toggle
                    >
                        <Icon shape=Shape::Next />
                        <span class="title">{move || words(&cell.get()).1}</span>
                    </button>
                }
                .into_any()
            }
            _ => view! { {move || leaf(cell.get())} }.into_any(),
        };
        view! { <td role="cell" class=*class title=move || words(&cell.get()).1>{content}</td> }.into_any()
    });
    let below = StoredValue::new(columns.len().to_string());
    let note = memo(move || row.with(|row| row.note.clone()));
    let detail = memo(move || row.with(|row| row.detail.clone()));
    view! {
        <tr role="row" class:is-open=move || open.get()>{cells.collect_view()}</tr>
        {move || {
            note.get().map(|note| {
                view! {
                    <tr role="row" class="below">
                        <td role="cell" colspan=below.get_value()>
                            <p class="row-note">
                                <Icon shape=Shape::Warning />
                                <span>{note}</span>
                            </p>
                        </td>
                    </tr>
                }
                .into_any()
            })
        }}
        {move || {
            opening.filter(|_| open.get()).map(|opening| {
                view! {
                    <tr role="row" class="below" id=named("detail-")>
                        <td role="cell" colspan=below.get_value()>
                            <RowDetail id=id.get_value() detail opening />
                        </td>
                    </tr>
                }
                .into_any()
            })
        }}
    }
    .into_any()
}

fn link(cell: Memo<Cell>, href: String) -> AnyView {
    view! {
        <a class="row-link" href=href>
            <span class="key num">{move || words(&cell.get()).0}</span>
            <span class="title">{move || words(&cell.get()).1}</span>
        </a>
    }
    .into_any()
}

/// The key and the words of a cell that consists of words.
fn words(cell: &Cell) -> (String, String) {
    match cell {
        Cell::Text(words) | Cell::Opens(words) => (String::new(), words.clone()),
        Cell::Link(_, key, title) => (key.clone(), title.clone()),
        _ => Default::default(),
    }
}

/// What a person cannot put the focus on may be drawn anew.
fn leaf(cell: Cell) -> AnyView {
    match cell {
        Cell::Text(words) => words.into_any(),
        Cell::State(sign) => view! { <StatusPill sign=Signal::stored(sign) /> }.into_any(),
        Cell::Elapsed(times) => view! { <Elapsed times=Signal::stored(times) /> }.into_any(),
        Cell::Ago(at) => view! { <Ago at=Signal::stored(at) /> }.into_any(),
        Cell::Meter(used, of) => view! {
            <meter min="0" max=of.max(1).to_string() value=used.to_string() aria-label="Slots in use"></meter>
            <span class="num">{[used.to_string(), of.to_string()].join(" of ")}</span>
        }
        .into_any(),
        Cell::Link(..) | Cell::Opens(_) => ().into_any(),
    }
}
