//! A live list of rows: polled at its head, paged at its tail, with the ways in which there is nothing to see.
//!
//! The pages say what is fetched and what an empty list means.

use std::rc::Rc;

use leptos::prelude::*;
use serde_json::Value;

use super::elsewhere::Elsewhere;
use crate::components::announcer::Announcer;
use crate::components::deed_button::DeedButton;
use crate::components::empty::{CannotLoad, Stale};
use crate::components::table::{Opening, Table};
use crate::deed::{Answer, Deed};
use crate::derive::{follow, memo, when};
use crate::focus;
use crate::format;
use crate::listing::Listing;
use crate::polled::{EVERY, Polled};
use crate::rows::{Column, Row};

/// How many rows a page has.
pub const PAGE: u32 = 50;

/// What a list is made of.
#[derive(Clone, Copy)]
pub struct Look {
    /// What the table holds, for screen readers.
    pub caption: &'static str,
    /// The table's class.
    pub class: &'static str,
    /// One of its rows, in words that take an s.
    pub noun: &'static str,
    /// The columns.
    pub columns: &'static [Column],
    /// How a record becomes a row.
    pub row: fn(&Value) -> Row,
    /// What is shown when there is no row.
    pub empty: fn() -> AnyView,
}

/// The list.
#[component]
pub fn List(
    /// What it is made of.
    look: Look,
    /// Fetches a page, from a cursor on.
    fetch: Rc<dyn Fn(Option<String>) -> Answer<Value>>,
    /// How rows are opened; absent: they are not.
    opening: Option<Opening>,
) -> impl IntoView {
    let more = Rc::clone(&fetch);
    let head = Polled::start(EVERY, move || fetch(None));
    let (list, loaded) = (RwSignal::new(Listing::default()), RwSignal::new(false));
    follow(move || {
        head.data.with(|page| {
            if let Some(page) = page {
                let page = Listing::of(page, look.row);
                focus::keep();
                list.update(|list| *list = list.with_head(&page));
                loaded.set(true);
            }
        });
    });

    let voice = Announcer::of_page();
    let count = memo(move || list.with(|list| list.rows.len()));
    let some = memo(move || count.get() > 0);
    follow(move || {
        if head.data.with(Option::is_some) {
            voice.say([&format::counted(count.get(), look.noun), " shown"].concat());
        }
    });
    let retry = Callback::new(move |()| head.again());
    let opening = opening.map(|opening| Opening { done: retry, ..opening });
    let rows = memo(move || list.with(|list| list.rows.clone()));
    // What the address opens, once the list has come without it; it stays until the list has it.
    let sought = RwSignal::new(String::new());
    follow(move || {
        let open = opening.map(|opening| opening.now.get()).unwrap_or_default();
        if !open.is_empty() && loaded.get() && !holds(rows, &open) {
            sought.set(open);
        }
    });
    let elsewhere = memo(move || Some(sought.get()).filter(|id| !id.is_empty() && !holds(rows, id)));
    let more = Deed::new(move || {
        let page = more(list.with_untracked(|list| list.next.clone()));
        Box::pin(async move {
            let page = Listing::of(&page.await?, look.row);
            let _ = list.try_update(|list| *list = list.with_more(&page));
            Ok(String::new())
        })
    });

    view! {
        {when(move || head.is_waiting(), || view! { <Waiting /> }.into_any())}
        {move || {
            let opening = opening?;
            elsewhere.get().map(|id| view! { <Elsewhere look opening id /> }.into_any())
        }}
        {when(
            move || some.get(),
            move || {
                view! {
                    <Stale failure=head.failure retry />
                    <Table class=look.class caption=look.caption columns=look.columns rows opening />
                    {when(
                        move || list.with(|list| list.next.is_some()),
                        move || {
                            view! {
                                <p class="more">
                                    <DeedButton label="Load older" deed=more done=Callback::new(|()| ()) />
                                </p>
                            }
                                .into_any()
                        },
                    )}
                }
                    .into_any()
            },
        )}
        {when(
            move || !some.get(),
            move || {
                view! {
                    {move || match (head.failure.get(), head.data.with(Option::is_some)) {
                        (Some(failure), _) => view! { <CannotLoad failure retry /> }.into_any(),
                        (None, true) => (look.empty)(),
                        (None, false) => ().into_any(),
                    }}
                }
                    .into_any()
            },
        )}
    }
}

fn holds(rows: Memo<Vec<Row>>, id: &str) -> bool {
    rows.with(|rows| rows.iter().any(|row| row.id == id))
}

/// One chip of a filter: a link, marked when it is the one that holds.
pub fn chip(label: &'static str, href: String, here: bool) -> AnyView {
    view! {
        <a class="chip" href=href aria-current=here.then_some("true")>
            {label}
        </a>
    }
    .into_any()
}

/// Grey bars where the table will be.
#[component]
pub fn Waiting() -> impl IntoView {
    view! {
        <div class="skeleton" aria-hidden="true">
            <b></b>
            <b></b>
            <b></b>
            <b></b>
        </div>
    }
}
