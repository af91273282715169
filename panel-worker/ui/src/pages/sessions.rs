//! All sessions, newest first, by the filter in the address (`?status=`), page by page.

use std::rc::Rc;

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use shared::session::SessionState;

use super::list::{List, Look, PAGE, chip};
use crate::api;
use crate::components::copy_button::Command;
use crate::components::empty::Empty;
use crate::components::icon::Shape;
use crate::components::title::use_title;
use crate::derive::memo;
use crate::rows::session::{COLUMNS, row};
use crate::wording::status_word;

/// The four words of the filter and all.
const FILTERS: [(&str, &str); 5] = [
    ("", "All"),
    ("pending", "Pending"),
    ("running", "Running"),
    ("completed", "Completed"),
    ("failed", "Failed"),
];

const LOOK: Look = Look {
    caption: "Sessions, newest first",
    class: "sessions",
    noun: "session",
    columns: COLUMNS,
    row,
    empty: || NothingYet().into_any(),
};

/// The page.
#[component]
pub fn Sessions() -> impl IntoView {
    use_title(|| "Sessions".to_owned());
    let query = use_query_map();
    // A word that no filter knows shows everything, rather than a refusal of the server.
    let status = memo(move || {
        query
            .with(|query| query.get("status"))
            .filter(|word| SessionState::filter(word).is_some())
            .unwrap_or_default()
    });
    view! {
        <div class="page-head">
            <h1>"Sessions"</h1>
            <nav class="chips" aria-label="Filter by status">
                {move || chips(&status.get())}
            </nav>
        </div>
        {move || {
            let status = status.get();
            let look = if status.is_empty() { LOOK } else { Look { empty: no_match, ..LOOK } };
            let fetch = Rc::new(move |cursor: Option<String>| api::sessions(&status, PAGE, cursor.as_deref()));
            view! { <List look fetch opening=None /> }
        }}
    }
}

fn chips(now: &str) -> Vec<AnyView> {
    // A single state can be asked for by its own word: a link from the overview does.
    let known = FILTERS.iter().any(|(word, _)| *word == now);
    let special = SessionState::parse(now).filter(|_| !known).map(|state| (now, status_word(state)));
    let all = FILTERS.into_iter().chain(special);
    all.map(|(word, label)| {
        let query = if word.is_empty() { "" } else { "?status=" };
        chip(label, ["/sessions", query, word].concat(), word == now)
    })
    .collect()
}

/// What appears here, and how to make the first one.
#[component]
pub fn NothingYet() -> impl IntoView {
    view! {
        <Empty kind="nothing-yet" shape=Shape::Play title="No sessions yet">
            <p>
                "Delegate an issue to the agent in Linear: its session appears here by itself, with a live log. "
                "Or let the demo run one:"
            </p>
            <Command line="cargo xtask up --demo" />
        </Empty>
    }
}

fn no_match() -> AnyView {
    view! {
        <Empty kind="no-match" shape=Shape::Info title="No session matches this filter">
            <p>"There may be sessions in other states."</p>
            <a class="button" href="/sessions">
                "Clear the filter"
            </a>
        </Empty>
    }
    .into_any()
}
