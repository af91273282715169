//! The first page: what needs a person, the day's numbers, the newest sessions, the workers.

use leptos::prelude::*;
use serde_json::Value;
use shared::money::MicroUsd;
use shared::session::SessionState;

use super::list::Waiting;
use super::sessions::NothingYet;
use super::workers::NoWorkers;
use crate::api;
use crate::api::Failure;
use crate::clock;
use crate::components::ago::Ago;
use crate::components::empty::{CannotLoad, Stale};
use crate::components::icon::{Icon, Shape};
use crate::components::status_pill::StatusPill;
use crate::components::table::Table;
use crate::components::tile::Tile;
use crate::components::title::use_title;
use crate::derive::{memo, when};
use crate::listing::Listing;
use crate::polled::{EVERY, Polled};
use crate::rows::{Row, session, worker};
use crate::wording::session_sign;
use crate::{format, json};

const RECENT: u32 = 8;
const URGENT: u32 = 5;
const DAY_MS: i64 = 86_400_000;

/// All that the page shows, fetched together so that its parts agree: `numbers`, `attention`, `recent`, `workers`.
async fn fetch() -> Result<Value, Failure> {
    let numbers = api::overview().await?;
    let recent = api::sessions("", RECENT, None).await?;
    let workers = api::workers().await?;
    let mut attention = Vec::new();
    if json::count(&numbers, "sessionsWaiting") > 0 {
        let waiting = api::sessions(SessionState::AwaitingInput.as_str(), URGENT, None).await?;
        attention.extend_from_slice(json::items(&waiting, "items"));
    }
    if json::count(&numbers, "failedDay") > 0 {
        let since = clock::read().plus_millis(-DAY_MS);
        // The word `failed` also finds what a person stopped; that needs nobody.
        let failed = api::sessions(SessionState::Failed.as_str(), URGENT, None).await?;
        let fresh = |record: &&Value| {
            session::state(record) == SessionState::Failed
                && json::time(record, "updatedAt").is_some_and(|at| at >= since)
        };
        attention.extend(json::items(&failed, "items").iter().filter(fresh).cloned());
    }
    let parts = [
        ("numbers", numbers),
        ("attention", Value::Array(attention)),
        ("recent", recent),
        ("workers", workers),
    ];
    Ok(Value::Object(parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect()))
}

/// The page.
#[component]
pub fn Overview() -> impl IntoView {
    use_title(|| "Overview".to_owned());
    let news = Polled::start(EVERY, || Box::pin(fetch()));
    let retry = Callback::new(move |()| news.again());
    let loaded = memo(move || news.data.with(Option::is_some));
    view! {
        <h1 class="visually-hidden">"Overview"</h1>
        {when(
            move || loaded.get(),
            move || {
                view! {
                    <Stale failure=news.failure retry />
                    <Loaded news=news.data />
                }
                    .into_any()
            },
        )}
        {when(
            move || !loaded.get(),
            move || {
                view! {
                    {move || match news.failure.get() {
                        Some(failure) => view! { <CannotLoad failure retry /> }.into_any(),
                        None => view! { <Waiting /> }.into_any(),
                    }}
                }
                    .into_any()
            },
        )}
    }
}

#[component]
fn Loaded(news: RwSignal<Option<Value>>) -> impl IntoView {
    let part = move |name: &'static str| {
        memo(move || {
            news.with(|news| news.as_ref().and_then(|news| news.get(name)).cloned().unwrap_or_default())
        })
    };
    let list = move |name: &'static str, row: fn(&Value) -> Row| {
        let page = part(name);
        memo(move || page.with(|page| Listing::of(page, row).rows))
    };
    let (recent, workers) = (list("recent", session::row), list("workers", worker::row));
    let numbers = part("numbers");
    view! {
        <Attention sessions=part("attention") numbers />
        <Numbers numbers />
        <section aria-labelledby="recent">
            <div class="section-head">
                <h2 id="recent">"Recent sessions"</h2>
                <a href="/sessions">"All sessions"</a>
            </div>
            {when(
                move || recent.with(Vec::is_empty),
                move || view! { <NothingYet /> }.into_any(),
            )}
            {when(
                move || !recent.with(Vec::is_empty),
                move || {
                    view! {
                        <Table
                            class="sessions"
                            caption="The newest sessions"
                            columns=session::COLUMNS
                            rows=recent
                            opening=None
                        />
                    }
                        .into_any()
                },
            )}
        </section>
        <section aria-labelledby="workers">
            <div class="section-head">
                <h2 id="workers">"Workers"</h2>
                <a href="/workers">"Workers and keys"</a>
            </div>
            {when(
                move || workers.with(Vec::is_empty),
                move || view! { <NoWorkers /> }.into_any(),
            )}
            {when(
                move || !workers.with(Vec::is_empty),
                move || {
                    view! {
                        <Table
                            class="workers"
                            caption="Workers"
                            columns=worker::COLUMNS
                            rows=workers
                            opening=None
                        />
                    }
                        .into_any()
                },
            )}
        </section>
    }
}

#[component]
fn Attention(sessions: Memo<Value>, numbers: Memo<Value>) -> impl IntoView {
    // Only the newest few stand here; the links lead to all of them.
    let link = move |name: &'static str, word: &'static str, state: SessionState| {
        let count = memo(move || numbers.with(|numbers| json::count(numbers, name)));
        view! {
            {move || {
                let href = ["/sessions?status=", state.as_str()].concat();
                let count = count.get();
                (count > 0).then(|| view! { <a href=href>{[&format::count(count), " ", word].concat()}</a> })
            }}
        }
        .into_any()
    };
    view! {
        <section class="attention" aria-labelledby="attention">
            <div class="section-head">
                <h2 id="attention">"Needs you"</h2>
                <p class="section-links">
                    {link("sessionsWaiting", "waiting", SessionState::AwaitingInput)}
                    {link("failedDay", "failed", SessionState::Failed)}
                </p>
            </div>
            {move || {
                let sessions = sessions.get();
                match sessions.as_array().map(Vec::as_slice).unwrap_or_default() {
                    [] => calm(),
                    some => {
                        let rows = some.iter().map(attention_row).collect_view();
                        view! { <ul role="list">{rows}</ul> }.into_any()
                    }
                }
            }}
        </section>
    }
}

fn calm() -> AnyView {
    view! {
        <p class="calm">
            <Icon shape=Shape::Check />
            "Nothing waits for you, and nothing failed in the last 24 hours."
        </p>
    }
    .into_any()
}

fn attention_row(record: &Value) -> AnyView {
    let state = session::state(record);
    let why = match state {
        SessionState::AwaitingInput => Some("Answer in the Linear issue".to_owned()),
        _ => json::text(record, "errorMessage"),
    };
    let at = json::time(record, "updatedAt").unwrap_or_default();
    view! {
        <li>
            <StatusPill sign=Signal::stored(session_sign(state)) />
            <a class="row-link" href=["/sessions/", json::word(record, "id")].concat()>
                <span class="key num">{json::text(record, "linearIssueIdentifier")}</span>
                <span class="title">{session::title(record)}</span>
            </a>
            <span class="why muted">{why}</span>
            <span class="when">
                <Ago at=Signal::stored(at) />
            </span>
        </li>
    }
    .into_any()
}

#[component]
fn Numbers(numbers: Memo<Value>) -> impl IntoView {
    let tile = move |name: &'static str, value: fn(&Value) -> String, note: fn(&Value) -> String| {
        let text = move |read: fn(&Value) -> String| memo(move || numbers.with(read));
        view! { <Tile name value=text(value) note=text(note) /> }.into_any()
    };
    view! {
        <section aria-label="Numbers of the last 24 hours">
            <dl class="tiles">
                {tile(
                    "Workers online",
                    |n| [count(n, "workersOnline"), count(n, "workersKnown")].join(" / "),
                    |n| {
                        let words = match (json::count(n, "workersOnline"), json::count(n, "workersKnown")) {
                            (_, 0) => "none known yet",
                            (0, _) => "new work is queued",
                            _ => "connected now",
                        };
                        words.to_owned()
                    },
                )}
                {tile(
                    "Active sessions",
                    |n| count(n, "sessionsActive"),
                    |n| match json::count(n, "sessionsWaiting") {
                        0 => "none waits for you".to_owned(),
                        waiting => format::count(waiting) + " waiting for you",
                    },
                )}
                {tile("Completed, 24 h", |n| count(n, "completedDay"), success)}
                {tile(
                    "Failed, 24 h",
                    |n| count(n, "failedDay"),
                    |n| {
                        let ended = json::count(n, "completedDay") + json::count(n, "failedDay");
                        ["of ", &format::count(ended), " ended"].concat()
                    },
                )}
                {tile(
                    "Cost, 24 h",
                    |n| match json::count(n, "listCostDayMicroUsd") {
                        0 => "$0".to_owned(),
                        cost => MicroUsd(cost).to_string(),
                    },
                    |_| "list price".to_owned(),
                )}
            </dl>
        </section>
    }
}

fn count(numbers: &Value, name: &str) -> String {
    format::count(json::count(numbers, name))
}

fn success(numbers: &Value) -> String {
    let number = |name| u32::try_from(json::count(numbers, name)).unwrap_or_default();
    format::per_cent(number("completedDay"), number("failedDay"))
        .map_or_else(|| "none ended yet".to_owned(), |rate| rate.to_string() + " % success")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_read_out_of_what_the_server_writes() {
        let numbers = shared::api::Overview { completed_day: 3, failed_day: 1, ..Default::default() };
        let numbers = serde_json::to_value(numbers).unwrap();
        assert_eq!(success(&numbers), "75 % success");
        let names =
            ["workersOnline", "workersKnown", "sessionsActive", "sessionsWaiting", "listCostDayMicroUsd"];
        assert!(names.iter().all(|name| json::number(&numbers, name) == Some(0)));
    }
}
