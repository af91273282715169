//! The control panel's client: a Leptos app that takes over the skeleton of `index.html`.
//!
//! [`shell`] is the frame around the pages, [`pages`] has one file a route, [`components`] what they share,
//! [`live`] the log stream, [`api`] the calls. It talks to the panel's API alone and holds no secret.

pub mod api;
pub mod app;
pub mod clock;
pub mod components;
pub mod format;
pub mod live;
pub mod pages;
pub mod polled;
pub mod session_list;
pub mod shell;
pub mod theme;
pub mod wording;

use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::wasm_bindgen;

/// Takes the skeleton out of `#app` and puts the client in. Called once, when the module has loaded.
#[wasm_bindgen(start)]
pub fn start() {
    let Some(place) = leptos::prelude::document().get_element_by_id("app") else { return };
    place.set_inner_html("");
    let _ = place.remove_attribute("data-skeleton");
    if let Ok(place) = place.dyn_into::<web_sys::HtmlElement>() {
        leptos::mount::mount_to(place, app::App).forget();
    }
}
