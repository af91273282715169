//! One repository: what is set for the runs of its agents. Workers take a change up at their next run.
//!
//! The server judges what is set; its words are shown beside the field that they name.

use std::time::Duration;

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use serde_json::{Value, json};

use super::list::Waiting;
use crate::api::{self, Failure};
use crate::components::deed_button::{Doing, Refusal};
use crate::components::empty::{CannotLoad, Empty};
use crate::components::icon::Shape;
use crate::components::title::use_title;
use crate::deed::Deed;
use crate::derive::{memo, when};
use crate::json as read;
use crate::polled::Polled;

/// Its name seldom changes, and what somebody types here must stay.
const EVERY: Duration = Duration::from_secs(60);

/// The page; another id makes another one.
#[component]
pub fn RepositoryPage() -> impl IntoView {
    let params = use_params_map();
    let id = memo(move || params.with(|params| params.get("id").unwrap_or_default()));
    move || view! { <OneRepository id=id.get() /> }
}

#[component]
fn OneRepository(id: String) -> impl IntoView {
    let record = Polled::start(EVERY, move || api::repository(&id));
    let retry = Callback::new(move |()| record.again());
    let loaded = memo(move || record.data.with(Option::is_some));
    let name = memo(move || {
        record.data.with(|record| record.as_ref().map(|record| read::word(record, "name").to_owned()))
    });
    use_title(move || name.get().unwrap_or_else(|| "Repository".to_owned()));
    view! {
        {when(
            move || loaded.get(),
            move || {
                let record = record.data.get_untracked().unwrap_or_default();
                view! { <Loaded record /> }.into_any()
            },
        )}
        {when(
            move || !loaded.get(),
            move || {
                view! {
                    {move || match record.failure.get() {
                        Some(failure) if failure.is_not_found() => view! { <NoSuchRepository /> }.into_any(),
                        Some(failure) => view! { <CannotLoad failure retry /> }.into_any(),
                        None => view! { <Waiting /> }.into_any(),
                    }}
                }
                    .into_any()
            },
        )}
    }
}

/// What can be set, by the API's names: the field's label, and what it means.
const TEXTS: [(&str, &str, &str); 3] = [
    ("model", "Model", "By the executor's own name for it. Empty: the worker's own file decides."),
    ("fallbackModel", "Fallback model", "Takes over when the first one is overloaded."),
    ("baseBranch", "Base branch", "What new work starts from."),
];
const LISTS: [(&str, &str, &str); 2] = [
    (
        "allowedTools",
        "Allowed tools",
        "One rule a line, as Read or Bash(git *). Empty: the worker's own file decides.",
    ),
    ("disallowedTools", "Disallowed tools", "One rule a line. Agents never get these."),
];

/// The fields as they are in the form, by the API's names.
#[derive(Clone, Copy)]
struct Fields(StoredValue<Vec<(&'static str, RwSignal<String>)>>);

impl Fields {
    fn of(record: &Value) -> Self {
        let text = |name| read::text(record, name).unwrap_or_default();
        let lines = |name| {
            let rules: Vec<&str> = read::items(record, name).iter().filter_map(Value::as_str).collect();
            rules.join("\n")
        };
        let number = |name| read::number(record, name).map(|number| number.to_string()).unwrap_or_default();
        let mut fields: Vec<(&'static str, String)> = Vec::new();
        fields.extend(TEXTS.map(|(name, ..)| (name, text(name))));
        fields.extend(LISTS.map(|(name, ..)| (name, lines(name))));
        fields.push(("permissions", text("permissions")));
        fields.push(("maxSessions", number("maxSessions")));
        Self(StoredValue::new(fields.into_iter().map(|(name, value)| (name, RwSignal::new(value))).collect()))
    }

    fn field(self, name: &str) -> RwSignal<String> {
        self.0
            .with_value(|fields| fields.iter().find(|(known, _)| *known == name).map(|(_, field)| *field))
            .unwrap_or_default()
    }

    /// What is sent: an empty field unsets what it names.
    fn said(self) -> Value {
        self.0.with_value(|fields| {
            let said = fields.iter().map(|(name, field)| ((*name).to_owned(), said(name, &field.get())));
            Value::Object(said.collect())
        })
    }
}

fn said(name: &str, text: &str) -> Value {
    let text = text.trim();
    match name {
        "baseBranch" => json!(text),
        _ if text.is_empty() => Value::Null,
        "allowedTools" | "disallowedTools" => {
            json!(text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>())
        }
        // What is no number is refused as one that is too small, beside its field.
        "maxSessions" => json!(text.parse::<u32>().unwrap_or_default()),
        _ => json!(text),
    }
}

/// What was changed here. What was not may hold more than this form can show: an empty list of tools is not no list.
fn changed(now: &Value, saved: &Value) -> Value {
    let fields = now.as_object().into_iter().flatten();
    let changed = fields.filter(|(name, value)| saved.get(name.as_str()) != Some(*value));
    Value::Object(changed.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// The server's words on one field.
fn flaw(failure: &Failure, name: &str) -> Option<String> {
    let detail = failure.detail();
    let begins = |part: &&str| {
        part.strip_prefix('`')
            .and_then(|part| part.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with(['`', '[']))
    };
    detail.split("; ").find(begins).map(str::to_owned)
}

#[component]
fn Loaded(record: Value) -> impl IntoView {
    let fields = Fields::of(&record);
    let saved = RwSignal::new(fields.said());
    let now = memo(move || fields.said());
    let doing = Doing::new();
    let id = StoredValue::new(read::word(&record, "id").to_owned());
    let save = Deed::new(move || {
        let all = now.get_untracked();
        let wish = saved.with_untracked(|saved| changed(&all, saved));
        let answer = id.with_value(|id| api::change_repository(id, &wish.to_string()));
        Box::pin(async move {
            answer.await?;
            let _ = saved.try_set(all);
            Ok("Saved. Workers take it up at their next run.".to_owned())
        })
    });
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        doing.run(save, Callback::new(|()| ()));
    };
    let state = move || match (doing.busy.get(), now.get() == saved.get()) {
        (true, _) => "Saving…",
        (false, true) => "Everything here is saved.",
        (false, false) => "Not saved yet.",
    };
    let known_elsewhere = move || {
        doing.failure.with(|failure| {
            let names =
                TEXTS.iter().chain(&LISTS).map(|(name, ..)| *name).chain(["permissions", "maxSessions"]);
            failure
                .as_ref()
                .is_some_and(|failure| names.into_iter().any(|name| flaw(failure, name).is_some()))
        })
    };
    let where_it_is = [read::word(&record, "remote"), read::word(&record, "path")]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default()
        .to_owned();
    let inputs: Vec<AnyView> = TEXTS
        .into_iter()
        .map(|(name, label, hint)| {
            field(name, label, hint, doing, input(name, "text", fields.field(name), doing))
        })
        .collect();
    let lists: Vec<AnyView> = LISTS
        .into_iter()
        .map(|(name, label, hint)| field(name, label, hint, doing, lines(name, fields.field(name), doing)))
        .collect();
    let sessions = field(
        "maxSessions",
        "Sessions at once",
        "In this repository, within the slots of each worker. Empty: no limit of its own.",
        doing,
        input("maxSessions", "number", fields.field("maxSessions"), doing),
    );
    let permissions = field(
        "permissions",
        "A tool that no rule names",
        "What becomes of it when an agent wants it.",
        doing,
        choice("permissions", fields.field("permissions"), doing),
    );
    view! {
        <div class="page-head">
            <h1>{read::word(&record, "name").to_owned()}</h1>
        </div>
        <p class="muted">{where_it_is}</p>
        <form class="settings" novalidate on:submit=submit>
            {inputs}
            {lists}
            {permissions}
            {sessions}
            <p class="acts">
                <button type="submit" class="button" aria-disabled=move || doing.busy.get().to_string()>
                    "Save"
                </button>
                <span class="muted" data-saved=move || (now.get() == saved.get()).to_string()>
                    {state}
                </span>
                {when(move || !known_elsewhere(), move || view! { <Refusal doing /> }.into_any())}
            </p>
        </form>
    }
}

/// A field under its label, with what it means and what is wrong with it.
fn field(
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    doing: Doing,
    control: AnyView,
) -> AnyView {
    let wrong =
        move || doing.failure.with(|failure| failure.as_ref().and_then(|failure| flaw(failure, name)));
    view! {
        <div class="setting">
            <label for=name>{label}</label>
            {control}
            <p class="muted" id=[name, "-hint"].concat()>
                {hint}
            </p>
            <p class="refusal" role="alert" id=[name, "-wrong"].concat()>
                {wrong}
            </p>
        </div>
    }
    .into_any()
}

fn is_wrong(name: &'static str, doing: Doing) -> String {
    doing
        .failure
        .with(|failure| failure.as_ref().is_some_and(|failure| flaw(failure, name).is_some()))
        .to_string()
}

fn described(name: &str) -> String {
    [name, "-hint ", name, "-wrong"].concat()
}

fn input(name: &'static str, kind: &'static str, value: RwSignal<String>, doing: Doing) -> AnyView {
    view! {
        <input
            id=name
            class="field"
            type=kind
            autocomplete="off"
            spellcheck="false"
            aria-describedby=described(name)
            aria-invalid=move || is_wrong(name, doing)
            prop:value=value
            on:input=move |event| value.set(event_target_value(&event))
        />
    }
    .into_any()
}

fn lines(name: &'static str, value: RwSignal<String>, doing: Doing) -> AnyView {
    view! {
        <textarea
            id=name
            class="field"
            rows="5"
            spellcheck="false"
            aria-describedby=described(name)
            aria-invalid=move || is_wrong(name, doing)
            prop:value=value
            on:input=move |event| value.set(event_target_value(&event))
        ></textarea>
    }
    .into_any()
}

fn choice(name: &'static str, value: RwSignal<String>, doing: Doing) -> AnyView {
    let option = move |word: &'static str, label: &'static str| {
        view! {
            <option value=word selected=value.get_untracked() == word>
                {label}
            </option>
        }
    };
    view! {
        <select
            id=name
            class="field"
            aria-describedby=described(name)
            aria-invalid=move || is_wrong(name, doing)
            on:change=move |event| value.set(event_target_value(&event))
        >
            {option("", "As the worker's own file says")}
            {option("deny", "It is refused, and the agent finds another way")}
            {option("ask", "The person who follows the session is asked")}
        </select>
    }
    .into_any()
}

#[component]
fn NoSuchRepository() -> impl IntoView {
    view! {
        <h1 class="visually-hidden">"Repository not found"</h1>
        <Empty kind="no-match" shape=Shape::Question title="There is no such repository">
            <p>"The link may be mistyped, or the repository is another organization's."</p>
            <a class="button" href="/workers">
                "Workers and repositories"
            </a>
        </Empty>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::api::RepositoryUpdate;

    #[test]
    fn what_is_typed_is_what_the_server_reads() {
        let rules = said("allowedTools", " Read \n\n Bash(git *)\n");
        let wish = json!({
            "model": said("model", "  "), "allowedTools": rules, "maxSessions": said("maxSessions", "3"),
            "permissions": said("permissions", "ask"), "baseBranch": said("baseBranch", "main"),
        });
        let update: RepositoryUpdate = serde_json::from_value(wish).unwrap();
        assert_eq!(update.model, Some(None));
        assert_eq!(update.allowed_tools, Some(Some(vec!["Read".into(), "Bash(git *)".into()])));
        assert_eq!((update.max_sessions, said("maxSessions", "many")), (Some(Some(3)), json!(0)));
    }

    #[test]
    fn only_what_was_changed_is_sent() {
        let saved = json!({"model": null, "allowedTools": null, "maxSessions": 2});
        let now = json!({"model": "x", "allowedTools": null, "maxSessions": null});
        assert_eq!(changed(&now, &saved), json!({"model": "x", "maxSessions": null}));
        assert_eq!(changed(&saved, &saved), json!({}));
    }

    #[test]
    fn the_servers_words_stand_beside_their_field() {
        let detail = "`fallbackModel` is empty; `allowedTools[2]` begins with `-`";
        let problem = shared::problem::Problem::new(shared::problem::ProblemCode::InvalidRequest, detail);
        let failure = Failure::Refused(serde_json::to_value(problem).unwrap());
        assert_eq!(flaw(&failure, "fallbackModel").as_deref(), Some("`fallbackModel` is empty"));
        assert_eq!(flaw(&failure, "allowedTools").as_deref(), Some("`allowedTools[2]` begins with `-`"));
        assert_eq!((flaw(&failure, "model"), flaw(&failure, "disallowedTools")), (None, None));
    }
}
