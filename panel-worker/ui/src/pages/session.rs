//! One session: its facts, its runs, and its log as it happens.

use std::time::Duration;

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use shared::session::{SessionRecord, SessionState};

use super::sessions::Waiting;
use crate::api;
use crate::components::ago::Ago;
use crate::components::announcer::Announcer;
use crate::components::copy_button::CopyButton;
use crate::components::elapsed::Elapsed;
use crate::components::empty::{CannotLoad, Empty, Stale};
use crate::components::facts::Fact;
use crate::components::icon::{Icon, Shape};
use crate::components::log_view::LogView;
use crate::components::run_list::RunList;
use crate::components::session_table::title;
use crate::components::status_pill::StatusPill;
use crate::components::title::use_title;
use crate::format;
use crate::live::log_stream::{End, LogStream};
use crate::polled::Polled;
use crate::wording::{agent_word, place_word, status_word};

/// How often the record is asked for besides the events of the stream, which say when it changed.
const EVERY: Duration = Duration::from_secs(5);

/// The page; another id makes another one.
#[component]
pub fn SessionPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    move || view! { <OneSession id=id.get() /> }
}

#[component]
fn OneSession(id: String) -> impl IntoView {
    let asked = id.clone();
    let record = Polled::start(EVERY, move || {
        let id = asked.clone();
        async move { api::session(&id).await }
    });
    let retry = Callback::new(move |()| record.again());
    let loaded = Memo::new(move |_| record.data.with(Option::is_some));
    let title = Memo::new(move |_| record.data.with(|record| record.as_ref().map(name)));
    use_title(move || title.get().unwrap_or_else(|| "Session".to_owned()));
    let id = StoredValue::new(id);
    view! {
        <Show when=move || loaded.get()>
            <Stale failure=record.failure retry />
            {
                // Once: what changes afterwards reaches the parts, not the whole.
                move || {
                    record.data.get_untracked().map(|first| view! { <Loaded id=id.get_value() record first /> })
                }
            }
        </Show>
        <Show when=move || !loaded.get()>
            {move || match record.failure.get() {
                Some(failure) if failure.is_not_found() => view! { <NoSuchSession /> }.into_any(),
                Some(failure) => view! { <CannotLoad failure retry /> }.into_any(),
                None => view! { <Waiting /> }.into_any(),
            }}
        </Show>
    }
}

fn name(record: &SessionRecord) -> String {
    [record.linear_issue_identifier.clone().unwrap_or_default(), title(record)].join(" ").trim().to_owned()
}

#[component]
fn Loaded(id: String, record: Polled<SessionRecord>, first: SessionRecord) -> impl IntoView {
    let now: Signal<SessionRecord> =
        Memo::new(move |_| record.data.with(Clone::clone).unwrap_or_else(|| first.clone())).into();
    let end = Signal::derive(move || now.with(|r| End { over: r.status.is_over(), next_seq: r.next_seq }));
    let stream = LogStream::start(&id, Memo::new(move |_| end.get()).into());

    // The event is quicker than the record that is asked for because of it.
    let status: Signal<SessionState> = Memo::new(move |_| {
        let (recorded, at) = now.with(|r| (r.status, r.updated_at));
        stream.changed.with(|changed| match changed {
            Some(changed) if changed.updated_at > at => changed.status,
            _ => recorded,
        })
    })
    .into();
    Effect::new(move |_| {
        if stream.changed.with(Option::is_some) {
            record.again();
        }
    });
    let voice = Announcer::of_page();
    Effect::new(move |before: Option<SessionState>| {
        let now = status.get();
        if before.is_some_and(|before| before != now) {
            voice.say(format!("The session is now: {}", status_word(now)));
        }
        now
    });

    view! {
        <div class="session">
            <Header record=now status />
            <Trouble record=now status />
            <RunList runs=Memo::new(move |_| now.with(|r| r.runs.clone())).into() />
            <LogView stream status />
        </div>
    }
}

#[component]
fn Header(record: Signal<SessionRecord>, status: Signal<SessionState>) -> impl IntoView {
    let text = move |read: fn(&SessionRecord) -> String| Memo::new(move |_| record.with(read));
    let some = move |read: fn(&SessionRecord) -> Option<String>| Memo::new(move |_| record.with(read));
    let heading = some(|r| r.linear_issue_url.as_deref().and_then(format::safe_href));
    let key = some(|r| r.linear_issue_identifier.clone());
    let issue = text(title);
    let executor = text(|r| {
        let version = r.executor_version.as_deref().unwrap_or_default();
        let executor = [r.executor.as_deref().unwrap_or("not chosen yet"), version].join(" ");
        format!("{} ({})", executor.trim_end(), place_word(r.executor_type))
    });
    let cost = text(|r| match r.billed_cost_micro_usd {
        Some(billed) => format!("list {}, billed {billed}", r.list_cost_micro_usd),
        None => format!("list {}", r.list_cost_micro_usd),
    });
    let model = some(|r| r.model.clone());
    let worker = some(|r| r.worker_name.clone());
    let tokens = some(|r| r.tokens_used.map(format::count));
    let repository = some(|r| r.repository_name.clone());
    let branch = some(|r| r.branch.clone());
    let commit = some(|r| r.head_commit.clone());
    let worktree = some(|r| r.worktree_path.clone());
    let pull_request = some(|r| r.pull_request_url.as_deref().and_then(format::safe_href));
    let began = Memo::new(move |_| record.with(|r| r.started_at.unwrap_or(r.created_at)));

    view! {
        <header class="session-head">
            <div class="session-title">
                <h1>
                    {move || key.get().map(|key| view! { <span class="key num">{key}</span> " " })}
                    {issue}
                </h1>
                {move || {
                    heading.get().map(|href| {
                        view! {
                            <a class="external" href=href target="_blank" rel="noopener noreferrer">
                                "Open in Linear"
                                <Icon shape=Shape::External />
                            </a>
                        }
                    })
                }}
            </div>
            <dl class="facts">
                <Fact name="Status">
                    <StatusPill status />
                </Fact>
                <Fact name="Elapsed">
                    <Elapsed record />
                </Fact>
                <Fact name="Cost">
                    <span class="num">{cost}</span>
                </Fact>
                {move || tokens.get().map(|t| view! { <Fact name="Tokens"><span class="num">{t}</span></Fact> })}
                <Fact name="Executor">{executor}</Fact>
                {move || model.get().map(|model| view! { <Fact name="Model">{model}</Fact> })}
                {move || worker.get().map(|worker| view! { <Fact name="Worker">{worker}</Fact> })}
                <Fact name="Work">{text(|r| agent_word(r.agent_type).to_owned())}</Fact>
                {move || repository.get().map(|name| view! { <Fact name="Repository">{name}</Fact> })}
                {move || branch.get().map(|branch| copied("Branch", branch.clone(), branch, "the branch"))}
                {move || {
                    commit.get().map(|hash| copied("Commit", format::short_hash(&hash), hash, "the commit"))
                }}
                {move || worktree.get().map(|path| copied("Worktree", path.clone(), path, "the worktree's path"))}
                {move || {
                    pull_request.get().map(|href| {
                        view! {
                            <Fact name="Pull request">
                                <a class="external" href=href target="_blank" rel="noopener noreferrer">
                                    "Open"
                                    <Icon shape=Shape::External />
                                </a>
                            </Fact>
                        }
                    })
                }}
                <Fact name="Started">
                    <Ago at=began />
                </Fact>
            </dl>
        </header>
    }
}

/// A fact that people want to take along.
fn copied(name: &'static str, shown: String, whole: String, what: &'static str) -> impl IntoView {
    view! {
        <Fact name>
            <span class="copied">
                <code title=whole.clone()>{shown}</code>
                <CopyButton text=Signal::stored(whole) what />
            </span>
        </Fact>
    }
}

/// What went wrong, or what the session waits for.
#[component]
fn Trouble(record: Signal<SessionRecord>, status: Signal<SessionState>) -> impl IntoView {
    let error = Memo::new(move |_| record.with(|r| r.error_message.clone()));
    move || {
        let (tone, shape, title, text) = match status.get() {
            SessionState::Failed => {
                let why = error
                    .get()
                    .unwrap_or_else(|| "No reason was given; the end of the log may tell.".to_owned());
                ("danger", Shape::Cross, "This session failed.", why)
            }
            SessionState::AwaitingInput => {
                let what = "Answer in the Linear issue, and it goes on by itself.".to_owned();
                ("warning", Shape::Question, "The agent waits for your answer.", what)
            }
            SessionState::Parked => {
                let why = error.get().unwrap_or_else(|| "A budget or a limit holds it.".to_owned());
                ("warning", Shape::Pause, "This session is parked.", why)
            }
            _ => return None,
        };
        Some(view! {
            <div class="callout" data-tone=tone>
                <Icon shape />
                <p>
                    <strong>{title}</strong>
                    " "
                    <span class="callout-text">{text}</span>
                </p>
            </div>
        })
    }
}

#[component]
fn NoSuchSession() -> impl IntoView {
    view! {
        <h1 class="visually-hidden">"Session not found"</h1>
        <Empty kind="no-match" shape=Shape::Question title="There is no such session">
            <p>"The link may be mistyped, or the session is another organization's."</p>
            <a class="button" href="/sessions">
                "All sessions"
            </a>
        </Empty>
    }
}
