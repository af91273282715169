//! What an opened row shows: its way with times, what is known of it, and what can be done.

use leptos::prelude::*;

use super::ago::exact;
use super::deed_button::DeedButton;
use super::facts::Fact;
use super::icon::{Icon, Shape};
use super::table::Opening;
use crate::clock::Clock;
use crate::deed::Deed;
use crate::derive::memo;
use crate::format;
use crate::rows::Detail;

/// The detail of one row.
#[component]
pub fn RowDetail(
    /// The row's id.
    id: String,
    /// What to show; parts are drawn anew when they change, each on its own.
    detail: Memo<Option<Detail>>,
    /// What can be done, and what happens then.
    opening: Opening,
) -> impl IntoView {
    // Each part is compared on its own, so that a step that comes in leaves the buttons alone.
    let part = move |keep: fn(&mut Detail)| {
        memo(move || {
            let mut part = detail.get();
            if let Some(part) = &mut part {
                keep(part);
            }
            part
        })
    };
    let way = part(|part| {
        part.facts.clear();
        part.acts.clear();
    });
    let facts = part(|part| {
        part.steps.clear();
        part.now = None;
        part.not_before = None;
        part.acts.clear();
    });
    let acts = part(|part| {
        part.steps.clear();
        part.now = None;
        part.not_before = None;
        part.facts.clear();
    });
    let href = detail.with_untracked(|detail| detail.as_ref().map(|detail| detail.href.clone()));
    let id = StoredValue::new(id);
    let opener = move |()| {
        opening.done.run(());
        // The button that did it is about to go.
        crate::focus::give(&id.with_value(|id| ["row-", id].concat()));
    };
    view! {
        <div class="row-detail">
            {move || way.get().map(steps)}
            <dl class="facts">{move || facts.get().map(known)}</dl>
            <p class="row-acts">
                {move || {
                    let deeds = acts.get().map(|part| part.acts).unwrap_or_default().into_iter();
                    deeds
                        .map(|(word, label)| {
                            let deed = Deed::new(move || (opening.act)(id.get_value(), word));
                            view! { <DeedButton label deed done=Callback::new(opener) /> }.into_any()
                        })
                        .collect_view()
                }} <a href=href>"All deliveries of this session"</a>
            </p>
        </div>
    }
}

fn steps(detail: Detail) -> AnyView {
    let last = detail.steps.last().map(|step| step.at);
    let done = detail.steps.into_iter().map(|step| {
        let after = step.after.map(|after| ["after ", &format::duration(after)].concat());
        view! {
            <li>
                <Icon shape=Shape::Tick />
                <span class="step">{step.word}</span>
                <time datetime=step.at.to_string()>{exact(step.at)}</time>
                <span class="muted num">{after}</span>
            </li>
        }
        .into_any()
    });
    let clock = Clock::of_page();
    let due = detail.not_before;
    let now = detail.now.zip(last).map(|(words, last)| {
        // A pause that is over is not worth a word.
        let due =
            move || due.filter(|due| *due > clock.now()).map(|due| [", not before ", &exact(due)].concat());
        view! {
            <li class="is-now">
                <Icon shape=Shape::Clock />
                <span class="step">{words} {move || due()}</span>
                <span class="muted num">{move || format::clock(clock.now().since(last))}</span>
            </li>
        }
        .into_any()
    });
    view! { <ol class="way">{done.collect_view()} {now}</ol> }.into_any()
}

fn known(detail: Detail) -> AnyView {
    let facts = detail.facts.into_iter();
    facts
        .map(|(name, value)| view! { <Fact name><span class="fact-text">{value}</span></Fact> }.into_any())
        .collect_view()
        .into_any()
}
