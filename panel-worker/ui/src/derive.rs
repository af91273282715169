//! Derived values and parts of a page that come and go, made through one type of closure: the framework's own
//! `Memo::new` and `Show` are compiled anew for each closure, which costs the client a kilobyte each.

use leptos::prelude::*;

/// A value that is read again when what it reads changes, and tells of it only when it differs.
pub fn memo<T: PartialEq + Send + Sync + 'static>(read: impl Fn() -> T + Send + Sync + 'static) -> Memo<T> {
    boxed(Box::new(read))
}

fn boxed<T: PartialEq + Send + Sync + 'static>(read: Box<dyn Fn() -> T + Send + Sync>) -> Memo<T> {
    Memo::new(move |_| read())
}

/// A part that is there while `holds`; it is drawn anew only when it comes back.
pub fn when(
    holds: impl Fn() -> bool + Send + Sync + 'static,
    part: impl Fn() -> AnyView + Send + Sync + 'static,
) -> AnyView {
    shown(memo(holds), Box::new(part))
}

fn shown(holds: Memo<bool>, part: Box<dyn Fn() -> AnyView + Send + Sync>) -> AnyView {
    view! { {move || holds.get().then(&part)} }.into_any()
}

/// Runs now, and again when what it reads changes.
pub fn follow(run: impl Fn() + 'static) {
    followed(Box::new(run));
}

fn followed(run: Box<dyn Fn()>) {
    Effect::new(move |_| run());
}
