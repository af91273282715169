//! The page for those whom the server does not know.

use leptos::prelude::*;

use crate::components::copy_button::Command;
use crate::components::empty::Empty;
use crate::components::icon::Shape;
use crate::components::title::use_title;

/// Says how to sign in.
#[component]
pub fn SignedOut() -> impl IntoView {
    use_title(|| "Signed out".to_owned());
    view! {
        <h1 class="visually-hidden">"Signed out"</h1>
        <Empty kind="not-allowed" shape=Shape::SignOut title="You are signed out">
            <p>
                "Open the sign-in link that " <code>"cargo xtask up"</code>
                " printed. It works once; a new one is printed at each start."
            </p>
            <Command line="cargo xtask up" />
        </Empty>
    }
}
