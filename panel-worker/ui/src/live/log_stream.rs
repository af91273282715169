//! The live log of one session: an EventSource that fills a [`LogBook`], and the truth about the connection.
//!
//! The browser reconnects by itself and says where it was (`Last-Event-ID`); after a refusal it does not, so this
//! file opens the stream anew. Events are joined for a moment, so that a burst draws once. Nothing is drawn here.

use std::time::Duration;

use leptos::prelude::*;
use shared::session::SessionState;
use shared::time::Timestamp;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Event, EventSource, MessageEvent};

use super::log_book::LogBook;
use super::wire::{self, Gap};
use crate::api;
use crate::clock;

/// How long events are joined before they are drawn.
const JOIN: Duration = Duration::from_millis(40);

/// The waits before a refused stream is opened again, the last one for ever.
const BACK_OFF_S: [u64; 5] = [1, 2, 4, 8, 15];

/// After the session's end: how many lost connections are taken for the end of the stream, though lines seem to lack.
const TRIES_AFTER_END: u32 = 3;

/// How the stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Not open yet.
    Connecting,
    /// Open: what happens is seen at once.
    Live,
    /// Lost; it comes back by itself.
    Reconnecting,
    /// The session is over and all its lines are here.
    Ended,
}

impl Connection {
    /// Its word for people, and for `data-connection` in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Reconnecting => "reconnecting",
            Self::Ended => "ended",
        }
    }
}

/// What the session's record says about its end; the stream alone cannot know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct End {
    /// Whether the session is over.
    pub over: bool,
    /// The number that its next line would get.
    pub next_seq: u64,
}

enum Arrival {
    Line(shared::log_line::LogLine),
    Gap(Gap),
}

type Heard = Closure<dyn FnMut(MessageEvent)>;
type Noticed = Closure<dyn FnMut(Event)>;

/// An open EventSource with its ears; dropping it closes it.
struct Socket {
    source: EventSource,
    _heard: Vec<Heard>,
    _noticed: [Noticed; 2],
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.source.set_onopen(None);
        self.source.set_onerror(None);
        self.source.close();
    }
}

/// The live log. It lives as long as the component that started it.
#[derive(Clone, Copy)]
pub struct LogStream {
    /// The lines.
    pub book: StoredValue<LogBook>,
    /// Grows whenever the book has changed.
    pub version: RwSignal<u32>,
    /// The newest `session` event: the state, and since when.
    pub changed: RwSignal<Option<(SessionState, Timestamp)>>,
    state: RwSignal<Connection>,
    end: Signal<End>,
    path: StoredValue<String>,
    socket: StoredValue<Option<Socket>, LocalStorage>,
    inbox: StoredValue<Vec<Arrival>>,
    refused: StoredValue<usize>,
    lost_after_end: StoredValue<u32>,
}

impl LogStream {
    /// Opens the stream of session `id`.
    pub fn start(id: &str, end: Signal<End>) -> Self {
        let stream = Self {
            book: StoredValue::new(LogBook::default()),
            version: RwSignal::new(0),
            changed: RwSignal::new(None),
            state: RwSignal::new(Connection::Connecting),
            end,
            path: StoredValue::new(api::log_stream_path(id)),
            socket: StoredValue::new_local(None),
            inbox: StoredValue::new(Vec::new()),
            refused: StoredValue::new(0),
            lost_after_end: StoredValue::new(0),
        };
        stream.open();
        on_cleanup(move || drop(stream.socket.try_update_value(Option::take)));
        // A follow-up brings a session that was over to life again: so does its stream come back.
        Effect::new(move |was_over: Option<bool>| {
            let over = stream.end.with(|end| end.over);
            if was_over == Some(true) && !over && stream.state.get_untracked() == Connection::Ended {
                stream.open();
            }
            over
        });
        stream
    }

    /// How the connection stands, to be shown.
    pub fn connection(self) -> Connection {
        self.version.track();
        let (state, end) = (self.state.get(), self.end.get());
        if state != Connection::Connecting && self.is_complete(end) { Connection::Ended } else { state }
    }

    fn is_complete(self, end: End) -> bool {
        let last = self.book.try_with_value(LogBook::last_seq).unwrap_or_default();
        end.over && last.saturating_add(1) >= end.next_seq
    }

    fn open(self) {
        let Some(path) = self.path.try_get_value() else { return };
        let Ok(source) = EventSource::new(&path) else { return self.open_later() };
        let heard = vec![
            listen(&source, "log", move |event| {
                let data = text(event);
                if let Some(line) = wire::read_line(&data, &event.last_event_id(), clock::read()) {
                    self.take_in(Arrival::Line(line));
                }
            }),
            listen(&source, "gap", move |event| {
                if let Some(gap) = wire::read_gap(&text(event)) {
                    self.take_in(Arrival::Gap(gap));
                }
            }),
            listen(&source, "session", move |event| {
                if let Some(changed) = wire::read_changed(&text(event)) {
                    let _ = self.changed.try_set(Some(changed));
                }
            }),
        ];
        let opened = Noticed::new(move |_| {
            let _ = self.refused.try_set_value(0);
            let _ = self.state.try_set(Connection::Live);
        });
        let failed = Noticed::new(move |_| self.lost());
        source.set_onopen(Some(opened.as_ref().unchecked_ref()));
        source.set_onerror(Some(failed.as_ref().unchecked_ref()));
        let socket = Socket { source, _heard: heard, _noticed: [opened, failed] };
        let _ = self.socket.try_set_value(Some(socket));
    }

    fn lost(self) {
        let Some(end) = self.end.try_get_untracked() else { return };
        let closed = self.socket.try_with_value(|socket| {
            socket.as_ref().is_none_or(|socket| socket.source.ready_state() == EventSource::CLOSED)
        });
        self.flush();
        if end.over {
            let _ = self.lost_after_end.try_update_value(|tries| *tries += 1);
        } else {
            let _ = self.lost_after_end.try_set_value(0);
        }
        let tries = self.lost_after_end.try_get_value().unwrap_or_default();
        if end.over && (self.is_complete(end) || tries >= TRIES_AFTER_END) {
            let _ = self.state.try_set(Connection::Ended);
            self.close_soon();
            return;
        }
        let _ = self.state.try_set(Connection::Reconnecting);
        if closed == Some(true) {
            self.open_later();
        }
    }

    /// Not at once: the ear that is listening just now must outlive its own call.
    fn close_soon(self) {
        set_timeout(
            move || {
                if self.state.try_get_untracked() == Some(Connection::Ended) {
                    drop(self.socket.try_update_value(Option::take));
                }
            },
            Duration::ZERO,
        );
    }

    fn open_later(self) {
        let tried = self.refused.try_get_value().unwrap_or_default();
        let _ = self.refused.try_set_value(tried.saturating_add(1));
        let wait = BACK_OFF_S.get(tried).or(BACK_OFF_S.last()).copied().unwrap_or(1);
        set_timeout(move || self.open(), Duration::from_secs(wait));
    }

    fn take_in(self, arrival: Arrival) {
        let first = self.inbox.try_update_value(|inbox| {
            inbox.push(arrival);
            inbox.len() == 1
        });
        if first == Some(true) {
            set_timeout(move || self.flush(), JOIN);
        }
    }

    fn flush(self) {
        let Some(arrivals) = self.inbox.try_update_value(std::mem::take) else { return };
        if arrivals.is_empty() {
            return;
        }
        let _ = self.book.try_update_value(|book| {
            for arrival in arrivals {
                match arrival {
                    Arrival::Line(line) => drop(book.add(line)),
                    Arrival::Gap(gap) => book.add_gap(gap.from, gap.to),
                }
            }
        });
        let _ = self.version.try_update(|version| *version = version.wrapping_add(1));
    }
}

fn listen(source: &EventSource, name: &str, mut hear: impl FnMut(&MessageEvent) + 'static) -> Heard {
    let heard = Heard::new(move |event: MessageEvent| hear(&event));
    let _ = source.add_event_listener_with_callback(name, heard.as_ref().unchecked_ref());
    heard
}

fn text(event: &MessageEvent) -> String {
    event.data().as_string().unwrap_or_default()
}
