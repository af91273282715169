//! The first page: what needs a person, the day's numbers, the newest sessions, the workers.

use leptos::prelude::*;
use shared::api;
use shared::money::MicroUsd;
use shared::session::{SessionRecord, SessionState};

use super::sessions::{NothingYet, Waiting};
use crate::api as call;
use crate::api::Failure;
use crate::clock;
use crate::components::ago::Ago;
use crate::components::copy_button::Command;
use crate::components::empty::{CannotLoad, Empty, Stale};
use crate::components::icon::{Icon, Shape};
use crate::components::session_table::{SessionTable, title};
use crate::components::status_pill::StatusPill;
use crate::components::tile::Tile;
use crate::components::title::use_title;
use crate::components::worker_list::WorkerList;
use crate::format;
use crate::polled::{EVERY, Polled};

const RECENT: u32 = 8;
const URGENT: u32 = 5;
const DAY_MS: i64 = 86_400_000;

/// All that the page shows, fetched together so that its parts agree.
#[derive(Debug, Clone, PartialEq)]
struct News {
    numbers: api::Overview,
    attention: Vec<SessionRecord>,
    recent: Vec<SessionRecord>,
    workers: Vec<api::Worker>,
}

async fn fetch() -> Result<News, Failure> {
    let numbers = call::overview().await?;
    let recent = call::sessions(None, RECENT, None).await?.items;
    let workers = call::workers().await?.items;
    let mut attention = Vec::new();
    if numbers.sessions_waiting > 0 {
        attention = call::sessions(Some(SessionState::AwaitingInput.as_str()), URGENT, None).await?.items;
    }
    if numbers.failed_day > 0 {
        let since = clock::read().plus_millis(-DAY_MS);
        // The word `failed` also finds what a person stopped; that needs nobody.
        let failed = call::sessions(Some(SessionState::Failed.as_str()), URGENT, None).await?.items;
        attention
            .extend(failed.into_iter().filter(|s| s.status == SessionState::Failed && s.updated_at >= since));
    }
    Ok(News { numbers, attention, recent, workers })
}

/// The page.
#[component]
pub fn Overview() -> impl IntoView {
    use_title(|| "Overview".to_owned());
    let news = Polled::start(EVERY, fetch);
    let retry = Callback::new(move |()| news.again());
    let loaded = Memo::new(move |_| news.data.with(Option::is_some));
    view! {
        <h1 class="visually-hidden">"Overview"</h1>
        <Show when=move || loaded.get()>
            <Stale failure=news.failure retry />
            <Loaded news=news.data />
        </Show>
        <Show when=move || !loaded.get()>
            {move || match news.failure.get() {
                Some(failure) => view! { <CannotLoad failure retry /> }.into_any(),
                None => view! { <Waiting /> }.into_any(),
            }}
        </Show>
    }
}

#[component]
fn Loaded(news: RwSignal<Option<News>>) -> impl IntoView {
    let numbers =
        Memo::new(move |_| news.with(|news| news.as_ref().map(|n| n.numbers.clone()).unwrap_or_default()));
    let list = move |read: fn(&News) -> &Vec<SessionRecord>| -> Signal<Vec<SessionRecord>> {
        Memo::new(move |_| news.with(|news| news.as_ref().map(read).cloned().unwrap_or_default())).into()
    };
    let (attention, recent) = (list(|n| &n.attention), list(|n| &n.recent));
    let workers: Signal<Vec<api::Worker>> =
        Memo::new(move |_| news.with(|news| news.as_ref().map(|n| n.workers.clone()).unwrap_or_default()))
            .into();
    let nothing = Memo::new(move |_| recent.with(Vec::is_empty));
    view! {
        <Attention sessions=attention numbers />
        <Numbers numbers />
        <section aria-labelledby="recent">
            <div class="section-head">
                <h2 id="recent">"Recent sessions"</h2>
                <a href="/sessions">"All sessions"</a>
            </div>
            <Show when=move || !nothing.get() fallback=NothingYet>
                <SessionTable sessions=recent caption="The newest sessions" />
            </Show>
        </section>
        <section aria-labelledby="workers">
            <div class="section-head">
                <h2 id="workers">"Workers"</h2>
            </div>
            <Show when=move || workers.with(|all| !all.is_empty()) fallback=NoWorkers>
                <WorkerList workers />
            </Show>
        </section>
    }
}

#[component]
fn Attention(sessions: Signal<Vec<SessionRecord>>, numbers: Memo<api::Overview>) -> impl IntoView {
    let waiting = Memo::new(move |_| numbers.with(|n| n.sessions_waiting));
    let failed = Memo::new(move |_| numbers.with(|n| n.failed_day));
    // Only the newest few stand here; the links lead to all of them.
    let link = |count: Memo<u32>, word: &'static str, state: SessionState| {
        move || {
            let href = format!("/sessions?status={}", state.as_str());
            (count.get() > 0).then(|| view! { <a href=href>{format!("{} {word}", count.get())}</a> })
        }
    };
    view! {
        <section class="attention" aria-labelledby="attention">
            <div class="section-head">
                <h2 id="attention">"Needs you"</h2>
                <p class="section-links">
                    {link(waiting, "waiting", SessionState::AwaitingInput)}
                    {link(failed, "failed", SessionState::Failed)}
                </p>
            </div>
            <Show when=move || sessions.with(|all| !all.is_empty()) fallback=Calm>
                <ul role="list">
                    <For each=move || sessions.get() key=|s| (s.id, s.updated_at) let:session>
                        <AttentionRow session />
                    </For>
                </ul>
            </Show>
        </section>
    }
}

#[component]
fn Calm() -> impl IntoView {
    view! {
        <p class="calm">
            <Icon shape=Shape::Check />
            "Nothing waits for you, and nothing failed in the last 24 hours."
        </p>
    }
}

#[component]
fn AttentionRow(session: SessionRecord) -> impl IntoView {
    let why = match session.status {
        SessionState::AwaitingInput => Some("Answer in the Linear issue".to_owned()),
        _ => session.error_message.clone(),
    };
    view! {
        <li>
            <StatusPill status=Signal::stored(session.status) />
            <a class="row-link" href=format!("/sessions/{}", session.id)>
                <span class="key num">{session.linear_issue_identifier.clone()}</span>
                <span class="title">{title(&session)}</span>
            </a>
            <span class="why muted">{why}</span>
            <span class="when"><Ago at=Signal::stored(session.updated_at) /></span>
        </li>
    }
}

#[component]
fn Numbers(numbers: Memo<api::Overview>) -> impl IntoView {
    let text = move |read: fn(&api::Overview) -> String| -> Signal<String> {
        Memo::new(move |_| numbers.with(read)).into()
    };
    view! {
            <section aria-label="Numbers of the last 24 hours">
                <dl class="tiles">
                    <Tile
                        name="Workers online"
                        value=text(|n| format!("{} / {}", n.workers_online, n.workers_known))
                        note=text(|n| {
                            match (n.workers_online, n.workers_known) {
                                (_, 0) => "none known yet".to_owned(),
                                (0, _) => "new work is queued".to_owned(),
                                _ => "connected now".to_owned(),
                            }
                        })
                    />
                    <Tile
                        name="Active sessions"
                        value=text(|n| format::count(n.sessions_active.into()))
                        note=text(|n| {
                            if n.sessions_waiting == 0 {
                                "none waits for you".to_owned()
                            } else {
                                format!("{} waiting for you", n.sessions_waiting)
                            }
                        })
                    />
                    <Tile
                        name="Completed, 24 h"
                        value=text(|n| format::count(n.completed_day.into()))
                        note=text(|n| {
                            format::per_cent(n.completed_day, n.failed_day)
                                .map_or_else(|| "none ended yet".to_owned(), |rate| format!("{rate} % success"))
                        })
                    />
                    <Tile
                        name="Failed, 24 h"
                        value=text(|n| format::count(n.failed_day.into()))
                        note=text(|n| {
                            format!("of {} ended", format::count(i64::from(n.completed_day) + i64::from(n.failed_day)))
                        })
                    />
                    <Tile
                        name="Cost, 24 h"
                        value=text(|n| match n.list_cost_day_micro_usd {
    0 => "$0".to_owned(),
    cost => MicroUsd(cost).to_string(),
    })
                        note=text(|_| "list price".to_owned())
                    />
                </dl>
            </section>
        }
}

#[component]
fn NoWorkers() -> impl IntoView {
    view! {
        <Empty kind="nothing-yet" shape=Shape::Terminal title="No worker has connected yet">
            <p>"A worker runs the agent on a machine of yours. Start one there:"</p>
            <Command line="cyrus start" />
        </Empty>
    }
}
