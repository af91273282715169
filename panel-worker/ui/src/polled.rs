//! Data that is fetched again and again while somebody looks: old data stays on the page until new data differs.
//!
//! A hidden tab asks nothing; when it is shown again it asks at once. A failure is kept beside the data, never
//! in its place.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::Failure;
use crate::shell::SignIn;

/// How often the lists ask.
pub const EVERY: Duration = Duration::from_secs(3);

/// What was fetched, and what went wrong the last time.
pub struct Polled<T: Send + Sync + 'static> {
    /// The newest data; `None`: none has come yet.
    pub data: RwSignal<Option<T>>,
    /// Why the last try failed; `None`: it did not.
    pub failure: RwSignal<Option<Failure>>,
    again: StoredValue<Rc<dyn Fn()>, LocalStorage>,
}

impl<T: Send + Sync + 'static> Clone for Polled<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Polled<T> {}

impl<T: PartialEq + Send + Sync + 'static> Polled<T> {
    /// Fetches now, then `every` so often, as long as the calling component lives.
    pub fn start<F, R>(every: Duration, fetch: F) -> Self
    where
        F: Fn() -> R + 'static,
        R: Future<Output = Result<T, Failure>> + 'static,
    {
        let (data, failure) = (RwSignal::new(None), RwSignal::new(None));
        let in_flight = StoredValue::new(false);
        let sign_in = SignIn::of_page();
        let ask: Rc<dyn Fn()> = Rc::new(move || {
            if in_flight.try_get_value().unwrap_or(true) {
                return;
            }
            in_flight.set_value(true);
            let answer = fetch();
            spawn_local(async move {
                let answer = answer.await;
                // The component may be gone by now: then nobody is told, nothing is set.
                if in_flight.try_set_value(false).is_some() {
                    return;
                }
                match answer {
                    Ok(new) => {
                        if data.with_untracked(|old| old.as_ref() != Some(&new)) {
                            data.set(Some(new));
                        }
                        if failure.with_untracked(Option::is_some) {
                            failure.set(None);
                        }
                    }
                    Err(Failure::SignedOut) => sign_in.lost(),
                    Err(why) => {
                        if failure.with_untracked(|old| old.as_ref() != Some(&why)) {
                            failure.set(Some(why));
                        }
                    }
                }
            });
        });
        ask();

        let again = StoredValue::new_local(Rc::clone(&ask));
        let ask_if_seen = move || {
            if !document().hidden()
                && let Some(ask) = again.try_get_value()
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

    /// Asks now, whatever the timer says.
    pub fn again(self) {
        if let Some(ask) = self.again.try_get_value() {
            ask();
        }
    }

    /// Whether nothing has come yet and nothing has gone wrong.
    pub fn is_waiting(self) -> bool {
        self.data.with(Option::is_none) && self.failure.with(Option::is_none)
    }
}
