//! Data that is fetched again and again while somebody looks: old data stays on the page until new data differs.
//!
//! A hidden tab asks nothing; when it is shown again it asks at once. A failure is kept beside the data, never
//! in its place.

use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::Value;

use crate::api::Failure;
use crate::deed::Answer;
use crate::shell::SignIn;

/// How often the lists ask.
pub const EVERY: Duration = Duration::from_secs(3);

/// What was fetched, and what went wrong the last time.
#[derive(Clone, Copy)]
pub struct Polled {
    /// The newest data; `None`: none has come yet.
    pub data: RwSignal<Option<Value>>,
    /// Why the last try failed; `None`: it did not.
    pub failure: RwSignal<Option<Failure>>,
    again: StoredValue<Option<Rc<dyn Fn()>>, LocalStorage>,
}

/// Whether a call is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    No,
    Yes,
    /// Something changed meanwhile, so that its answer may be old already.
    YesAndThenAgain,
}

/// Sets what differs, so that nothing is drawn anew for nothing.
fn replace<T: PartialEq + Send + Sync + 'static>(signal: RwSignal<Option<T>>, new: Option<T>) {
    if signal.try_with_untracked(|old| *old != new) == Some(true) {
        signal.set(new);
    }
}

impl Polled {
    /// Fetches now, then `every` so often, as long as the calling component lives.
    pub fn start(every: Duration, fetch: impl Fn() -> Answer<Value> + 'static) -> Self {
        Self::start_boxed(every, Box::new(fetch))
    }

    fn start_boxed(every: Duration, fetch: Box<dyn Fn() -> Answer<Value>>) -> Self {
        let (data, failure) = (RwSignal::new(None), RwSignal::new(None));
        let sign_in = SignIn::of_page();
        let state = StoredValue::new(Asking::No);
        let again: StoredValue<Option<Rc<dyn Fn()>>, LocalStorage> = StoredValue::new_local(None);
        let ask: Rc<dyn Fn()> = Rc::new(move || {
            match state.try_get_value() {
                Some(Asking::No) => state.set_value(Asking::Yes),
                Some(_) => return state.set_value(Asking::YesAndThenAgain),
                None => return,
            }
            let answer = fetch();
            spawn_local(async move {
                let answer = answer.await;
                // The component may be gone by now: then nobody is told, nothing is set.
                let Some(asked) = state.try_get_value() else { return };
                state.set_value(Asking::No);
                match answer {
                    Ok(new) => {
                        replace(data, Some(new));
                        replace(failure, None);
                    }
                    Err(Failure::SignedOut) => return sign_in.lost(),
                    Err(why) => replace(failure, Some(why)),
                }
                if asked == Asking::YesAndThenAgain
                    && let Some(Some(ask)) = again.try_get_value()
                {
                    ask();
                }
            });
        });
        again.set_value(Some(Rc::clone(&ask)));
        ask();

        let ask_if_seen = move || {
            let idle = state.try_get_value() == Some(Asking::No);
            if idle
                && !document().hidden()
                && let Some(Some(ask)) = again.try_get_value()
            {
                ask();
            }
        };
        if let Ok(timer) = set_interval_with_handle(ask_if_seen, every) {
            on_cleanup(move || timer.clear());
        }
        let shown = window_event_listener_untyped("visibilitychange", move |_| ask_if_seen());
        on_cleanup(move || shown.remove());
        Self { data, failure, again }
    }

    /// Asks now, whatever the timer says; if a call is under way, once more after it.
    pub fn again(self) {
        if let Some(Some(ask)) = self.again.try_get_value() {
            ask();
        }
    }

    /// Whether nothing has come yet and nothing has gone wrong.
    pub fn is_waiting(self) -> bool {
        self.data.with(Option::is_none) && self.failure.with(Option::is_none)
    }
}
