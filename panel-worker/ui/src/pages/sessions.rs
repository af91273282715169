//! All sessions, newest first, by the filter in the address (`?status=`), page by page.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::use_query_map;
use shared::session::SessionState;

use crate::api::{self, Failure};
use crate::components::announcer::Announcer;
use crate::components::copy_button::Command;
use crate::components::empty::{CannotLoad, Empty, Stale};
use crate::components::icon::Shape;
use crate::components::session_table::SessionTable;
use crate::components::title::use_title;
use crate::format;
use crate::polled::{EVERY, Polled};
use crate::session_list::SessionList;
use crate::shell::SignIn;

const PAGE: u32 = 50;

/// The four words of the filter and all.
const FILTERS: [(&str, &str); 5] = [
    ("", "All"),
    ("pending", "Pending"),
    ("running", "Running"),
    ("completed", "Completed"),
    ("failed", "Failed"),
];

/// The page.
#[component]
pub fn Sessions() -> impl IntoView {
    use_title(|| "Sessions".to_owned());
    let query = use_query_map();
    // A word that no filter knows shows everything, rather than a refusal of the server.
    let status = Memo::new(move |_| {
        query
            .with(|query| query.get("status"))
            .filter(|word| SessionState::filter(word).is_some())
            .unwrap_or_default()
    });
    view! {
        <div class="page-head">
            <h1>"Sessions"</h1>
            <Filters status />
        </div>
        {move || view! { <List status=status.get() /> }}
    }
}

#[component]
fn Filters(status: Memo<String>) -> impl IntoView {
    let chips = FILTERS.map(|(word, label)| {
        let href = if word.is_empty() { "/sessions".to_owned() } else { format!("/sessions?status={word}") };
        view! {
            <a class="chip" href=href aria-current=move || status.with(|now| now == word).then_some("true")>
                {label}
            </a>
        }
    });
    // A single state can be asked for by its own word: a link from the overview does.
    let special = move || {
        let now = status.get();
        let known = FILTERS.iter().any(|(word, _)| *word == now);
        SessionState::parse(&now).filter(|_| !known).map(|state| {
            view! {
                <a class="chip" href=format!("/sessions?status={now}") aria-current="true">
                    {crate::wording::status_word(state)}
                </a>
            }
        })
    };
    view! {
        <nav class="chips" aria-label="Filter by status">
            {chips.into_iter().collect_view()}
            {special}
        </nav>
    }
}

#[component]
fn List(status: String) -> impl IntoView {
    let filtered = !status.is_empty();
    let status = StoredValue::new(status);
    let word = move || status.with_value(|word| (!word.is_empty()).then(|| word.clone()));
    let head = Polled::start(EVERY, move || {
        let word = word();
        async move { api::sessions(word.as_deref(), PAGE, None).await }
    });

    let list = RwSignal::new(SessionList::default());
    Effect::new(move |_| {
        head.data.with(|page| {
            if let Some(page) = page {
                list.update(|list| *list = list.with_head(page));
            }
        });
    });

    let voice = Announcer::of_page();
    let count = Memo::new(move |_| list.with(|list| list.items.len()));
    let some = Memo::new(move |_| count.get() > 0);
    Effect::new(move |_| {
        if head.data.with(Option::is_some) {
            voice.say(format!("{} shown", format::counted(count.get(), "session")));
        }
    });
    let retry = Callback::new(move |()| head.again());

    view! {
        <Show when=move || head.is_waiting()>
            <Waiting />
        </Show>
        <Show when=move || some.get()>
            <Stale failure=head.failure retry />
            <SessionTable
                sessions=Signal::derive(move || list.with(|list| list.items.clone()))
                caption="Sessions, newest first"
            />
            <More list status />
        </Show>
        <Show when=move || !some.get()>
            {move || match (head.failure.get(), head.data.with(Option::is_some)) {
                (Some(failure), _) => view! { <CannotLoad failure retry /> }.into_any(),
                (None, true) if filtered => view! { <NoMatch /> }.into_any(),
                (None, true) => view! { <NothingYet /> }.into_any(),
                (None, false) => ().into_any(),
            }}
        </Show>
    }
}

#[component]
fn More(list: RwSignal<SessionList>, status: StoredValue<String>) -> impl IntoView {
    let sign_in = SignIn::of_page();
    let (busy, failure) = (RwSignal::new(false), RwSignal::new(None::<Failure>));
    let load = move |_| {
        let Some(cursor) = list.with_untracked(|list| list.next.clone()) else { return };
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        failure.set(None);
        let word = status.get_value();
        spawn_local(async move {
            let word = (!word.is_empty()).then_some(word);
            let page = api::sessions(word.as_deref(), PAGE, Some(&cursor)).await;
            if busy.try_set(false).is_some() {
                return;
            }
            match page {
                Ok(page) => list.update(|list| *list = list.with_more(&page)),
                Err(Failure::SignedOut) => sign_in.lost(),
                Err(why) => failure.set(Some(why)),
            }
        });
    };
    view! {
        <Show when=move || list.with(|list| list.next.is_some())>
            <p class="more">
                <button type="button" class="button" aria-disabled=move || busy.get().to_string() on:click=load>
                    {move || if busy.get() { "Loading…" } else { "Load more" }}
                </button>
                {move || {
                    failure.get().map(|why| view! { <span role="alert">{why.title()} ". " {why.detail()}</span> })
                }}
            </p>
        </Show>
    }
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

#[component]
fn NoMatch() -> impl IntoView {
    view! {
        <Empty kind="no-match" shape=Shape::Info title="No session matches this filter">
            <p>"There may be sessions in other states."</p>
            <a class="button" href="/sessions">
                "Clear the filter"
            </a>
        </Empty>
    }
}
