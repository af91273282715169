//! One row of the log: number (its permalink), time, level, kind, message, and the folded rest.
//!
//! `data-seq` carries the number. What is folded is drawn only once it is opened.

use std::sync::Arc;

use leptos::prelude::*;
use shared::log_line::{LogLevel, LogLine};

use super::ago::{exact, time_of_day};
use super::icon::{Icon, Shape};
use crate::format;
use crate::live::log_book::Row;
use crate::live::wire;
use crate::wording::kind_shape;

/// Up to how many bytes a value stands in the line of its name.
const SHORT: usize = 80;

/// A line or a gap.
#[component]
pub fn LogRow(
    /// The row.
    row: Row,
    /// The number that the address points to.
    target: RwSignal<Option<u64>>,
    /// Called with the number when somebody asks for its permalink.
    #[prop(into)]
    point: Callback<u64>,
) -> impl IntoView {
    match row {
        Row::Line(line) => line_view(line, target, point).into_any(),
        Row::Gap { from, to } => gap_view(from, to).into_any(),
    }
}

fn line_view(line: Arc<LogLine>, target: RwSignal<Option<u64>>, point: Callback<u64>) -> impl IntoView {
    let (seq, level, at) = (line.seq, line.level, line.timestamp);
    let kind = wire::kind(&line).to_owned();
    let go = move |click: web_sys::MouseEvent| {
        if !(click.ctrl_key() || click.meta_key() || click.shift_key()) {
            click.prevent_default();
            point.run(seq);
        }
    };
    view! {
        <div
            class="line"
            id=format!("l{seq}")
            data-seq=seq
            data-level=level_class(level)
            data-kind=kind.clone()
            class:is-target=move || target.get() == Some(seq)
        >
            <a class="line-no num" href=format!("#l{seq}") aria-label=format!("Link to line {seq}") on:click=go>
                {seq}
            </a>
            <time class="line-time num" datetime=at.to_string() title=exact(at)>
                {time_of_day(at)}
            </time>
            <span class="line-level" title=level_word(level)>
                <Icon shape=level_shape(level) />
                <span class="visually-hidden">{level_word(level)}</span>
            </span>
            <span class="line-kind">
                <Icon shape=kind_shape(&kind) />
                <span>{kind.replace('_', " ")}</span>
            </span>
            <div class="line-body">{body(line)}</div>
        </div>
    }
}

fn body(line: Arc<LogLine>) -> AnyView {
    let parts = wire::parts(&line);
    if parts.is_empty() {
        return view! { <p class="line-text">{line.message.clone()}</p> }.into_any();
    }
    let open = RwSignal::new(line.level == LogLevel::Error);
    let toggled = move |event: web_sys::Event| {
        open.set(event_target::<web_sys::Element>(&event).has_attribute("open"));
    };
    view! {
        <details open=open.get_untracked() on:toggle=toggled>
            <summary class="line-text">{line.message.clone()}</summary>
            {move || {
                open.get()
                    .then(|| {
                        parts.iter().map(part).collect_view()
                    })
            }}
        </details>
    }
    .into_any()
}

fn part((name, text): &(String, String)) -> impl IntoView + use<> {
    let short = text.len() <= SHORT && !text.contains('\n');
    let text = text.clone();
    let text =
        if short { view! { <code>{text}</code> }.into_any() } else { view! { <pre>{text}</pre> }.into_any() };
    view! {
        <div class="part">
            <span class="part-name">{name.clone()}</span>
            {text}
        </div>
    }
}

fn gap_view(from: u64, to: u64) -> impl IntoView {
    let lacking = usize::try_from(to - from).unwrap_or(usize::MAX).saturating_add(1);
    view! {
        <div class="line gap" data-gap=format!("{from}-{to}")>
            <span class="line-no num">{from}</span>
            <p class="line-text">
                <Icon shape=Shape::Warning />
                {format!("{} not stored ({from} to {to})", format::counted(lacking, "line"))}
            </p>
        </div>
    }
}

fn level_class(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warning => "warning",
        LogLevel::Error => "error",
    }
}

fn level_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "Debug",
        LogLevel::Info => "Info",
        LogLevel::Warning => "Warning",
        LogLevel::Error => "Error",
    }
}

fn level_shape(level: LogLevel) -> Shape {
    match level {
        LogLevel::Debug => Shape::Dot,
        LogLevel::Info => Shape::Info,
        LogLevel::Warning => Shape::Warning,
        LogLevel::Error => Shape::Cross,
    }
}
