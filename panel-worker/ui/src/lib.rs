//! The control panel's client: a Leptos app that takes over the skeleton of `index.html`.
//!
//! [`shell`] is the frame around the pages, [`pages`] has one file a route, [`components`] what they share,
//! [`rows`] what lists show, [`live`] the log stream, [`api`] the calls. It talks to the panel's API alone and holds no secret.

pub mod api;
pub mod app;
pub mod clock;
pub mod components;
pub mod deed;
pub mod derive;
pub mod focus;
pub mod format;
pub mod json;
pub mod listing;
pub mod live;
pub mod pages;
pub mod polled;
pub mod rows;
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
