//! Where the keyboard goes when what had the focus is about to go.

use leptos::prelude::document;
use wasm_bindgen::JsCast;

/// Puts the focus on the element of that id; where there is none, on the page's main part.
pub fn give(id: &str) {
    let page = document();
    let place = page.get_element_by_id(id).or_else(|| page.get_element_by_id("main"));
    if let Some(place) = place.and_then(|place| place.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = place.focus();
    }
}

/// Call before the page changes: if what has the focus goes, the page's main part gets it.
pub fn keep() {
    if is_somewhere() {
        leptos::prelude::request_animation_frame(|| {
            if !is_somewhere() {
                give("main");
            }
        });
    }
}

fn is_somewhere() -> bool {
    document().active_element().is_some_and(|element| element.tag_name() != "BODY")
}
