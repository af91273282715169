//! The hub's deliveries, newest first: where each stands, its way with times, dead letters and their replay.
//!
//! The address holds the filter (`?state=`, `?session=`) and the number of the one that is open (`?open=`).

use std::rc::Rc;

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use serde_json::Value;
use shared::hub::delivery::EventState;

use super::list::{List, Look, PAGE, chip};
use crate::api;
use crate::components::copy_button::Command;
use crate::components::empty::Empty;
use crate::components::icon::Shape;
use crate::components::table::Opening;
use crate::components::tile::Tile;
use crate::components::title::use_title;
use crate::deed::Answer;
use crate::derive::{follow, memo};
use crate::polled::{EVERY, Polled};
use crate::rows::delivery::{COLUMNS, WORKER_NAME, row};
use crate::wording::delivery_sign;
use crate::{format, json};

const LOOK: Look = Look {
    caption: "Deliveries, newest first",
    class: "deliveries",
    noun: "event",
    columns: COLUMNS,
    row,
    empty: nothing_yet,
};

/// The workers that are known, as the API lists them.
type Known = StoredValue<Value>;

/// The page.
#[component]
pub fn Deliveries() -> impl IntoView {
    use_title(|| "Deliveries".to_owned());
    let query = use_query_map();
    let word =
        move |name: &'static str| memo(move || query.with(|query| query.get(name)).unwrap_or_default());
    let (asked, session, opened) = (word("state"), word("session"), word("open"));
    // A word that is no state shows everything, rather than a refusal of the server.
    let state = memo(move || {
        let word = asked.get();
        if EventState::parse(&word).is_some() { word } else { String::new() }
    });
    let open = RwSignal::new(opened.get_untracked());
    follow(move || open.set(opened.get()));
    let toggle = move |id: String| {
        let id = if open.with_untracked(|now| *now == id) { String::new() } else { id };
        replace_address(&address(&state.get_untracked(), &session.get_untracked(), &id));
        open.set(id);
    };
    let known = Known::new(Value::Null);
    view! {
        <div class="page-head">
            <h1>"Deliveries"</h1>
            <nav class="chips" aria-label="Filter by state">
                {move || session.with(|session| chips(&state.get(), session))}
            </nav>
        </div>
        <Queue />
        {move || {
            let (state, session) = (state.get(), session.get());
            let filtered = !(state.is_empty() && session.is_empty());
            let look = if filtered { Look { empty: no_match, ..LOOK } } else { LOOK };
            let opening = Opening {
                now: open.into(),
                toggle: Callback::new(toggle),
                find: Callback::new(move |number| find(number, known)),
                act,
                done: Callback::new(|()| ()),
            };
            let fetch = Rc::new(move |cursor| fetch(&state, &session, cursor, known));
            view! { <List look fetch opening=Some(opening) /> }
        }}
    }
}

/// A page of deliveries.
fn fetch(state: &str, session: &str, cursor: Option<String>, known: Known) -> Answer<Value> {
    named(api::deliveries(state, session, PAGE, cursor.as_deref()), known)
}

/// The delivery of this number; none where the address holds something else.
fn find(number: String, known: Known) -> Answer<Value> {
    match number.parse() {
        Ok(number) => named(api::delivery(number), known),
        Err(_) => Box::pin(async { Ok(Value::Null) }),
    }
}

/// The page with the names of the workers that are known by now, or after one more look.
fn named(page: Answer<Value>, known: Known) -> Answer<Value> {
    Box::pin(async move {
        let mut page = page.await?;
        if known.try_with_value(|known| name_workers(&mut page, known)) == Some(false)
            && let Ok(workers) = api::workers().await
        {
            name_workers(&mut page, &workers);
            let _ = known.try_set_value(workers);
        }
        Ok(page)
    })
}

/// Whether all names were known.
fn name_workers(page: &mut Value, workers: &Value) -> bool {
    let mut all = true;
    let records = page.get_mut("items").and_then(Value::as_array_mut);
    for record in records.into_iter().flatten().filter_map(Value::as_object_mut) {
        let Some(id) = record.get("workerId").and_then(Value::as_str) else { continue };
        let worker = json::items(workers, "items").iter().find(|worker| json::word(worker, "id") == id);
        match worker.and_then(|worker| json::text(worker, "name")) {
            Some(name) => drop(record.insert(WORKER_NAME.to_owned(), Value::String(name))),
            None => all = false,
        }
    }
    all
}

fn act(id: String, word: &'static str) -> Answer<String> {
    let answer = api::act_on_delivery(&id, word);
    Box::pin(async move {
        answer.await?;
        let sentence = match word {
            "replay" => "Replayed: it waits for a worker again.",
            _ => "Dismissed: it is not tried again.",
        };
        Ok(sentence.to_owned())
    })
}

/// The page's address with a filter and an open row.
fn address(state: &str, session: &str, open: &str) -> String {
    let mut address = "/deliveries".to_owned();
    let mut join = "?";
    for (name, value) in [("state", state), ("session", session), ("open", open)] {
        if !value.is_empty() {
            address.extend([join, name, "=", &format::escape(value)]);
            join = "&";
        }
    }
    address
}

/// Without a step in the browser's history, and without moving the page.
fn replace_address(address: &str) {
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(address));
    }
}

fn chips(now: &str, session: &str) -> Vec<AnyView> {
    let mut chips = vec![chip("All", address("", session, ""), now.is_empty())];
    chips.extend(EventState::ALL.map(|state| {
        let word = state.as_str();
        chip(delivery_sign(state).word, address(word, session, ""), now == word)
    }));
    if !session.is_empty() {
        chips.push(chip("One session only: show all", address(now, "", ""), true));
    }
    chips
}

/// The queue's numbers.
#[component]
fn Queue() -> impl IntoView {
    let numbers = Polled::start(EVERY, api::numbers);
    let text = move |read: fn(&Value) -> String| {
        memo(move || numbers.data.with(|numbers| numbers.as_ref().map_or_else(|| "–".to_owned(), read)))
    };
    let old = memo(move || numbers.failure.with(Option::is_some));
    let tile = move |name: &'static str, value: fn(&Value) -> String, note: fn(&Value) -> String| {
        let note = text(note);
        let note = memo(move || if old.get() { "not up to date".to_owned() } else { note.get() });
        view! { <Tile name value=text(value) note /> }.into_any()
    };
    view! {
        <section aria-label="The queue now">
            <dl class="tiles">
                {tile("Waiting", |n| queue(n, "pending"), |_| "for a worker".to_owned())}
                {tile("Offered", |n| queue(n, "offered"), |_| "not yet accepted".to_owned())}
                {tile("With a worker", |n| queue(n, "accepted"), |_| "accepted".to_owned())}
                {tile("Dead letters", |n| queue(n, "dead"), |_| "given up".to_owned())}
                {tile(
                    "Oldest undone",
                    |n| length(n, "oldestUndoneMs").unwrap_or_else(|| "none".to_owned()),
                    |_| "since it came".to_owned(),
                )}
                {tile(
                    "Acceptance, half within",
                    |n| latency(n, "p50Ms"),
                    |n| ["99 of 100: ", &latency(n, "p99Ms")].concat(),
                )}
            </dl>
        </section>
    }
}

fn queue(status: &Value, state: &str) -> String {
    status.get("queue").map(|queue| format::count(json::count(queue, state))).unwrap_or_default()
}

fn latency(status: &Value, name: &str) -> String {
    status.get("ackLatency").and_then(|latency| length(latency, name)).unwrap_or_else(|| "–".to_owned())
}

fn length(of: &Value, name: &str) -> Option<String> {
    json::number(of, name).map(format::duration)
}

fn nothing_yet() -> AnyView {
    view! {
        <Empty kind="nothing-yet" shape=Shape::Return title="No deliveries yet">
            <p>
                "Each webhook and each order of this panel appears here when the hub has stored it. "
                "Delegate an issue to the agent in Linear, or let the demo send one:"
            </p>
            <Command line="cargo xtask up --demo" />
        </Empty>
    }
    .into_any()
}

fn no_match() -> AnyView {
    view! {
        <Empty kind="no-match" shape=Shape::Info title="No delivery matches this filter">
            <p>"There may be others; those that are done leave after the retention."</p>
            <a class="button" href="/deliveries">
                "Clear the filter"
            </a>
        </Empty>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::status::{HubStatus, Latency, Queue};

    #[test]
    fn the_address_holds_the_filter_and_the_open_row_and_nothing_empty() {
        assert_eq!(address("", "", ""), "/deliveries");
        assert_eq!(address("dead", "", "7"), "/deliveries?state=dead&open=7");
        assert_eq!(address("", "a b&c", ""), "/deliveries?session=a%20b%26c");
    }

    #[test]
    fn the_numbers_are_read_out_of_what_the_server_writes() {
        let status = HubStatus {
            server_time: Default::default(),
            workers: Vec::new(),
            queue: Queue { pending: 1_000, offered: 2, accepted: 3, dead: 4 },
            oldest_undone_ms: Some(1_200),
            ack_latency: Latency { count: 1, p50_ms: Some(40), p99_ms: None },
            wakes: Default::default(),
            storage_bytes: 0,
            linear: Default::default(),
        };
        let status = serde_json::to_value(status).unwrap();
        let numbers = ["pending", "offered", "accepted", "dead"].map(|state| queue(&status, state));
        assert_eq!(numbers, ["1\u{202f}000", "2", "3", "4"]);
        assert_eq!(length(&status, "oldestUndoneMs").as_deref(), Some("1.2 s"));
        assert_eq!(
            (latency(&status, "p50Ms"), latency(&status, "p99Ms")),
            ("40 ms".to_owned(), "–".to_owned())
        );
    }

    #[test]
    fn a_worker_is_called_by_its_name_where_that_is_known() {
        let workers = serde_json::json!({ "items": [{ "id": "wrk_1", "name": "ada" }] });
        let mut page = serde_json::json!({ "items": [{ "workerId": "wrk_1" }, { "workerId": null }, {}] });
        assert!(name_workers(&mut page, &workers));
        assert_eq!(json::word(&page["items"][0], WORKER_NAME), "ada");
        let mut strange = serde_json::json!({ "items": [{ "workerId": "wrk_2" }] });
        assert!(!name_workers(&mut strange, &workers));
        for nothing in [Value::Null, serde_json::json!({ "items": [] })] {
            assert!(name_workers(&mut nothing.clone(), &Value::Null));
        }
    }
}
