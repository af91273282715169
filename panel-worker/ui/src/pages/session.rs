//! One session: its facts, its runs, and its log as it happens.

use std::time::Duration;

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use serde_json::Value;
use shared::money::MicroUsd;
use shared::session::SessionState;

use super::list::Waiting;
use super::session_acts::SessionActs;
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
use crate::components::status_pill::StatusPill;
use crate::components::title::use_title;
use crate::derive::{follow, memo, when};
use crate::live::log_stream::{End, LogStream};
use crate::polled::Polled;
use crate::rows::session::{state, times, title};
use crate::wording::{plain, session_sign, status_word};
use crate::{format, json};

/// How often the record is asked for besides the events of the stream, which say when it changed.
const EVERY: Duration = Duration::from_secs(5);

/// The page; another id makes another one.
#[component]
pub fn SessionPage() -> impl IntoView {
    let params = use_params_map();
    let id = memo(move || params.with(|params| params.get("id").unwrap_or_default()));
    move || view! { <OneSession id=id.get() /> }
}

#[component]
fn OneSession(id: String) -> impl IntoView {
    let asked = id.clone();
    let record = Polled::start(EVERY, move || api::session(&asked));
    let retry = Callback::new(move |()| record.again());
    let loaded = memo(move || record.data.with(Option::is_some));
    let title = memo(move || record.data.with(|record| record.as_ref().map(name)));
    use_title(move || title.get().unwrap_or_else(|| "Session".to_owned()));
    let id = StoredValue::new(id);
    view! {
        // What changes after it was loaded reaches the parts, not the whole.
        {when(
            move || loaded.get(),
            move || {
                view! {
                    <Stale failure=record.failure retry />
                    <Loaded id=id.get_value() record />
                }
                    .into_any()
            },
        )}
        {when(
            move || !loaded.get(),
            move || {
                view! {
                    {move || match record.failure.get() {
                        Some(failure) if failure.is_not_found() => view! { <NoSuchSession /> }.into_any(),
                        Some(failure) => view! { <CannotLoad failure retry /> }.into_any(),
                        None => view! { <Waiting /> }.into_any(),
                    }}
                }
                    .into_any()
            },
        )}
    }
}

fn name(record: &Value) -> String {
    [json::word(record, "linearIssueIdentifier"), &title(record)].join(" ").trim().to_owned()
}

#[component]
fn Loaded(id: String, record: Polled) -> impl IntoView {
    let now = memo(move || record.data.get().unwrap_or_default());
    let end = memo(move || {
        now.with(|r| {
            let next = json::number(r, "nextSeq").and_then(|next| u64::try_from(next).ok());
            End { over: state(r).is_over(), next_seq: next.unwrap_or_default() }
        })
    });
    let stream = LogStream::start(&id, end.into());

    // The event is quicker than the record that is asked for because of it.
    let status = memo(move || {
        let (recorded, at) = now.with(|r| (state(r), json::time(r, "updatedAt").unwrap_or_default()));
        stream.changed.with(|changed| match changed {
            Some((status, changed_at)) if *changed_at > at => *status,
            _ => recorded,
        })
    });
    follow(move || {
        if stream.changed.with(Option::is_some) {
            record.again();
        }
    });
    let voice = Announcer::of_page();
    Effect::new(move |before: Option<SessionState>| {
        let now = status.get();
        if before.is_some_and(|before| before != now) {
            voice.say(["The session is now: ", status_word(now)].concat());
        }
        now
    });

    view! {
        <div class="session">
            <Header record=now status />
            <Trouble record=now status />
            <Recoveries record=now />
            <RunList runs=memo(move || now.with(|r| r.get("runs").cloned().unwrap_or_default())) />
            <LogView stream status=status.into() />
            <SessionActs id status done=Callback::new(move |()| record.again()) />
        </div>
    }
}

#[component]
fn Header(record: Memo<Value>, status: Memo<SessionState>) -> impl IntoView {
    let text = move |read: fn(&Value) -> String| memo(move || record.with(read));
    let field = move |name: &'static str| memo(move || record.with(|r| json::text(r, name)));
    let part = move |name: &'static str, draw: fn(String) -> AnyView| {
        let value = field(name);
        view! { {move || value.get().map(draw)} }.into_any()
    };
    let cost = text(|r| {
        let money = |name| json::number(r, name).map(|cost| MicroUsd(cost).to_string());
        let list = ["list ", &money("listCostMicroUsd").unwrap_or_default()].concat();
        money("billedCostMicroUsd")
            .map_or_else(|| list.clone(), |billed| [&list, ", billed ", &billed].concat())
    });
    let tokens = memo(move || record.with(|r| json::number(r, "tokensUsed").map(format::count)));
    let began = memo(move || {
        record.with(|r| json::time(r, "startedAt").or_else(|| json::time(r, "createdAt")).unwrap_or_default())
    });
    let sign = memo(move || session_sign(status.get()));
    let deliveries = memo(move || {
        record.with(|r| ["/deliveries?session=", &format::escape(json::word(r, "sessionKey"))].concat())
    });

    view! {
        <header class="session-head">
            <div class="session-title">
                <h1>
                    {part(
                        "linearIssueIdentifier",
                        |key| view! { <span class="key num">{key}</span> " " }.into_any(),
                    )}
                    {text(title)}
                </h1>
                {part("linearIssueUrl", |url| external(&url, "Open in Linear"))}
            </div>
            <dl class="facts">
                <Fact name="Status">
                    <StatusPill sign />
                </Fact>
                <Fact name="Elapsed">
                    <Elapsed times=memo(move || record.with(times)) />
                </Fact>
                <Fact name="Cost">
                    <span class="num">{cost}</span>
                </Fact>
                {move || tokens.get().map(|tokens| fact("Tokens", tokens))}
                <Fact name="Executor">{text(executor)}</Fact>
                {part("model", |model| fact("Model", model))}
                {part("workerName", |worker| fact("Worker", worker))}
                <Fact name="Work">{text(|r| plain(json::word(r, "agentType")))}</Fact>
                {move || {
                    let (name, id) = record.with(|r| (json::text(r, "repositoryName"), json::text(r, "repositoryId")));
                    name.map(|name| match id {
                        Some(id) => {
                            view! {
                                <Fact name="Repository">
                                    <a href=["/repositories/", &id].concat()>{name}</a>
                                </Fact>
                            }
                                .into_any()
                        }
                        None => fact("Repository", name),
                    })
                }}
                {part("branch", |branch| copied("Branch", branch.clone(), branch, "the branch"))}
                {part("headCommit", |hash| copied("Commit", format::short_hash(&hash), hash, "the commit"))}
                {part("worktreePath", |path| copied("Worktree", path.clone(), path, "the worktree's path"))}
                {part(
                    "pullRequestUrl",
                    |url| view! { <Fact name="Pull request">{external(&url, "Open")}</Fact> }.into_any(),
                )}
                <Fact name="Started">
                    <Ago at=began />
                </Fact>
                <Fact name="Deliveries">
                    <a href=deliveries>"Show"</a>
                </Fact>
            </dl>
        </header>
    }
}

fn executor(record: &Value) -> String {
    let executor = json::text(record, "executor").unwrap_or_else(|| "not chosen yet".to_owned());
    let executor = [&executor, " ", json::word(record, "executorVersion")].concat();
    [executor.trim_end(), " (", json::word(record, "executorType"), ")"].concat()
}

fn fact(name: &'static str, value: String) -> AnyView {
    view! {
        <Fact name>
            <span class="num">{value}</span>
        </Fact>
    }
    .into_any()
}

/// A link out of the panel; nothing where the address is not one of the web.
fn external(url: &str, words: &'static str) -> AnyView {
    let link = format::safe_href(url).map(|href| {
        view! {
            <a class="external" href=href target="_blank" rel="noopener noreferrer">
                {words}
                <Icon shape=Shape::External />
            </a>
        }
    });
    link.into_any()
}

/// A fact that people want to take along.
fn copied(name: &'static str, shown: String, whole: String, what: &'static str) -> AnyView {
    view! {
        <Fact name>
            <span class="copied">
                <code title=whole.clone()>{shown}</code>
                <CopyButton text=Signal::stored(whole) what />
            </span>
        </Fact>
    }
    .into_any()
}

/// What went wrong, or what the session waits for.
#[component]
fn Trouble(record: Memo<Value>, status: Memo<SessionState>) -> impl IntoView {
    let error = memo(move || record.with(|r| json::text(r, "errorMessage")));
    let part = move || {
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
    };
    view! { {move || part()} }
}

/// Where the work of a worker that lost its lease was put.
#[component]
fn Recoveries(record: Memo<Value>) -> impl IntoView {
    let all = memo(move || record.with(|r| json::items(r, "recoveries").to_vec()));
    let one = |recovery: &Value| {
        let branch = json::word(recovery, "branch").to_owned();
        let remote = json::text(recovery, "remote").map(|remote| [" of ", &remote].concat());
        view! {
            <div class="callout" data-recovery="">
                <Icon shape=Shape::Info />
                <p>
                    "The work of a worker that had lost this session was pushed to "
                    {copied_inline(branch)}
                    {remote}
                    ", commit "
                    <code>{format::short_hash(json::word(recovery, "commit"))}</code>
                    ". Nothing of it is lost; look whether you want it."
                </p>
            </div>
        }
        .into_any()
    };
    view! { {move || all.with(|all| all.iter().map(one).collect::<Vec<_>>())} }
}

fn copied_inline(branch: String) -> AnyView {
    view! {
        <span class="copied">
            <code>{branch.clone()}</code>
            <CopyButton text=Signal::stored(branch) what="the branch of that work" />
        </span>
    }
    .into_any()
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
