//! The live log: a window over the book that follows its end until the reader scrolls up.
//!
//! Reading is never disturbed: while the reader is elsewhere, no row above is taken away, and a button counts
//! what came. Rows are in `log_row.rs`, lines and connection in `live/`.

use std::time::Duration;

use leptos::prelude::*;
use shared::session::SessionState;

use super::announcer::Announcer;
use super::icon::{Icon, Shape};
use super::log_row::LogRow;
use crate::derive::{follow, memo, when};
use crate::format;
use crate::live::log_book::{LogBook, WINDOW};
use crate::live::log_stream::{Connection, LogStream};

/// How near to the end, in px, counts as being there.
const NEAR_END: i32 = 24;

/// How many rows the window may grow before its head is cut: not one by one, for that costs a layout each.
const SLACK: usize = 200;

/// How often new lines are counted aloud.
const SAY_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
struct View {
    stream: LogStream,
    list: NodeRef<leptos::html::Div>,
    /// How many lines before the window are not drawn.
    skip: RwSignal<usize>,
    follow: RwSignal<bool>,
    /// How many lines were there when the reader left the end.
    seen: RwSignal<usize>,
    target: RwSignal<Option<u64>>,
    /// Whether the address's line is still to be scrolled to.
    sought: StoredValue<bool>,
    last_top: StoredValue<i32>,
}

impl View {
    fn new(stream: LogStream) -> Self {
        let target = address_target();
        Self {
            stream,
            list: NodeRef::new(),
            skip: RwSignal::new(0),
            follow: RwSignal::new(target.is_none()),
            seen: RwSignal::new(0),
            target: RwSignal::new(target),
            sought: StoredValue::new(target.is_some()),
            last_top: StoredValue::new(0),
        }
    }

    fn len(self) -> usize {
        self.stream.version.track();
        self.stream.book.with_value(LogBook::len)
    }

    /// New lines are here: move the window, then the scroll.
    fn grown(self) {
        let len = self.len();
        if self.sought.get_value() {
            self.seek();
        } else if self.follow.get_untracked() {
            if len > self.skip.get_untracked() + WINDOW + SLACK {
                self.skip.set(len - WINDOW);
            }
            self.to_end();
        } else if self.skip.get_untracked() == 0 && len > 4 * WINDOW && self.seen.get_untracked() == 0 {
            self.skip.set(len - WINDOW);
        }
    }

    fn to_end(self) {
        request_animation_frame(move || {
            if let Some(list) = self.list.try_get_untracked().flatten() {
                list.set_scroll_top(list.scroll_height());
                let _ = self.last_top.try_set_value(list.scroll_top());
            }
        });
    }

    /// Scrolls to the line that the address names, once it is here.
    fn seek(self) {
        let Some(seq) = self.target.get_untracked() else { return };
        let Some(position) = self.stream.book.with_value(|book| book.position(seq)) else { return };
        self.sought.set_value(false);
        self.leave();
        if position < self.skip.get_untracked() {
            self.skip.set(position.saturating_sub(SLACK));
        }
        request_animation_frame(move || {
            if let Some(line) = document().get_element_by_id(&format!("l{seq}")) {
                let options = web_sys::ScrollIntoViewOptions::new();
                options.set_block(web_sys::ScrollLogicalPosition::Center);
                line.scroll_into_view_with_scroll_into_view_options(&options);
            }
        });
    }

    fn leave(self) {
        self.seen.set(self.stream.book.with_value(LogBook::len));
        self.follow.set(false);
    }

    fn follow_again(self) {
        let len = self.stream.book.with_value(LogBook::len);
        self.sought.set_value(false);
        self.follow.set(true);
        if len > self.skip.get_untracked() + WINDOW + SLACK {
            self.skip.set(len - WINDOW);
        }
        self.to_end();
    }

    fn scrolled(self) {
        let Some(list) = self.list.get_untracked() else { return };
        let top = list.scroll_top();
        let at_end = top + list.client_height() >= list.scroll_height() - NEAR_END;
        let moved_up = top < self.last_top.get_value();
        self.last_top.set_value(top);
        match self.follow.get_untracked() {
            true if moved_up && !at_end => self.leave(),
            false if at_end && !moved_up => self.follow_again(),
            _ => {}
        }
    }

    fn point(self, seq: u64) {
        let address = format!("#l{seq}");
        if let Ok(history) = window().history() {
            let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&address));
        }
        self.target.set(Some(seq));
        self.leave();
    }

    fn unseen(self) -> usize {
        if self.follow.get() { 0 } else { self.len().saturating_sub(self.seen.get()) }
    }
}

/// The log with its bar.
#[component]
pub fn LogView(
    /// The lines and the connection.
    stream: LogStream,
    /// Where the session stands, for what an empty log says.
    status: Signal<SessionState>,
) -> impl IntoView {
    let log = View::new(stream);
    follow(move || log.grown());
    announce(stream);
    let moved = window_event_listener_untyped("hashchange", move |_| {
        log.target.set(address_target());
        log.sought.set_value(true);
        log.seek();
    });
    on_cleanup(move || moved.remove());

    let rows = move || {
        stream.version.track();
        let skip = log.skip.get();
        stream.book.with_value(|book| book.rows(skip))
    };
    let point = Callback::new(move |seq| log.point(seq));
    let empty = memo(move || rows().is_empty());
    let toggle = move |_| if log.follow.get_untracked() { log.leave() } else { log.follow_again() };

    view! {
        <section class="log-panel" aria-labelledby="log-heading">
            <div class="log-bar">
                <h2 id="log-heading">"Log"</h2>
                <span class="muted num">{move || summary(log)}</span>
                <Badge stream />
                <button
                    type="button"
                    class="button small"
                    aria-pressed=move || log.follow.get().to_string()
                    on:click=toggle
                >
                    <Icon shape=Shape::Down />
                    "Follow"
                </button>
            </div>
            <div
                class="log"
                class:is-following=log.follow
                role="log"
                aria-live="off"
                aria-label="Log lines"
                tabindex="0"
                node_ref=log.list
                on:scroll=move |_| log.scrolled()
            >
                <Earlier log />
                <For each=rows key=crate::live::log_book::Row::key let:row>
                    <LogRow row target=log.target point />
                </For>
                {when(
                    move || empty.get(),
                    move || {
                        view! {
                            <p class="log-empty muted">{move || nothing(status.get(), stream.connection())}</p>
                        }
                            .into_any()
                    },
                )}
            </div>
            {when(
                move || log.unseen() > 0,
                move || {
                    view! {
                        <button type="button" class="log-new" on:click=move |_| log.follow_again()>
                            <Icon shape=Shape::Down />
                            <span class="num">
                                {move || format!("{} new", format::count(log.unseen() as i64))}
                            </span>
                        </button>
                    }
                        .into_any()
                },
            )}
        </section>
    }
}

#[component]
fn Earlier(log: View) -> impl IntoView {
    let show = move |_| {
        log.leave();
        log.skip.update(|skip| *skip = skip.saturating_sub(WINDOW));
    };
    view! {
        {when(
            move || log.skip.get() > 0,
            move || {
                view! {
                    <p class="log-earlier">
                        <button type="button" class="button small" on:click=show>
                            {move || {
                                let more = log.skip.get().min(WINDOW);
                                format!("Show {} earlier", format::counted(more, "line"))
                            }}
                        </button>
                    </p>
                }
                    .into_any()
            },
        )}
    }
}

#[component]
fn Badge(stream: LogStream) -> impl IntoView {
    let connection = memo(move || stream.connection());
    let word = memo(move || match connection.get() {
        Connection::Connecting => "Connecting",
        Connection::Live => "Live",
        Connection::Reconnecting => "Reconnecting",
        Connection::Ended => "Ended",
    });
    view! {
        <span class="badge" role="status" data-connection=move || connection.get().as_str()>
            {word}
        </span>
    }
}

fn summary(log: View) -> String {
    let lines = format::counted(log.len(), "line");
    match log.stream.book.with_value(LogBook::errors) {
        0 => lines,
        errors => format!("{lines}, {}", format::counted(errors, "error")),
    }
}

fn nothing(status: SessionState, connection: Connection) -> &'static str {
    match (connection, status) {
        (Connection::Connecting, _) => "Opening the log…",
        (Connection::Reconnecting, _) => "The log cannot be reached; trying again…",
        (_, SessionState::Queued) => "No line yet. The first appears when a worker takes the session.",
        (_, status) if status.is_over() => "This session left no lines.",
        _ => "No line yet. They appear here as the agent works.",
    }
}

/// Counts new lines aloud, now and then.
fn announce(stream: LogStream) {
    let voice = Announcer::of_page();
    let said = StoredValue::new(None::<usize>);
    let say = move || {
        let Some(len) = stream.book.try_with_value(LogBook::len) else { return };
        match said.try_get_value().flatten() {
            Some(before) if len > before => {
                voice.say(format!("{} in the log", format::counted(len - before, "new line")))
            }
            None if len > 0 => voice.say(format!("{} in the log", format::counted(len, "line"))),
            _ => return,
        }
        said.set_value(Some(len));
    };
    if let Ok(timer) = set_interval_with_handle(say, SAY_EVERY) {
        on_cleanup(move || timer.clear());
    }
}

/// The line that the address points to: `#l123`.
fn address_target() -> Option<u64> {
    location_hash()?.strip_prefix('l')?.parse().ok()
}
