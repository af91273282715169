//! The frame around every page: skip link, header, live region, and the page for those who are signed out.
//!
//! It asks once who is there. What the pages show is theirs.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::components::A;
use leptos_router::hooks::use_location;
use serde_json::Value;

use crate::api::{self, Failure};
use crate::components::announcer::{Announcer, LiveRegion};
use crate::components::icon::{Icon, Shape};
use crate::components::theme_toggle::ThemeToggle;
use crate::derive::when;
use crate::json;
use crate::pages::signed_out::SignedOut;

/// Whether somebody is signed in; every call that is answered 401 says no.
#[derive(Debug, Clone, Copy)]
pub struct SignIn(RwSignal<bool>);

impl SignIn {
    /// Hands it to all components below. Until the server says otherwise, somebody is.
    pub fn provide() -> Self {
        let sign_in = Self(RwSignal::new(true));
        provide_context(sign_in);
        sign_in
    }

    /// That of this page.
    pub fn of_page() -> Self {
        use_context().unwrap_or_else(|| Self(RwSignal::new(true)))
    }

    /// The server knows nobody behind this browser.
    pub fn lost(self) {
        if self.0.try_get_untracked() == Some(true) {
            self.0.set(false);
        }
    }

    fn is_there(self) -> bool {
        self.0.get()
    }
}

/// The frame; `children` are the routes.
#[component]
pub fn Shell(children: ChildrenFn) -> impl IntoView {
    let sign_in = SignIn::provide();
    let voice = Announcer::provide();
    let main = NodeRef::<leptos::html::Main>::new();
    let focus_main = move || {
        if let Some(main) = main.get_untracked() {
            let _ = main.focus();
        }
    };

    let path = use_location().pathname;
    Effect::new(move |before: Option<String>| {
        let now = path.get();
        // The first page was not navigated to: its focus is the browser's.
        if before.is_some_and(|before| before != now) {
            focus_main();
        }
        now
    });

    view! {
        <a
            class="skip-link"
            href="#main"
            on:click=move |click| {
                click.prevent_default();
                focus_main();
            }
        >
            "Skip to content"
        </a>
        <header class="topbar">
            <a class="brand" href="/">
                <svg class="brand-mark" viewBox="0 0 16 16" aria-hidden="true">
                    <rect width="16" height="16" rx="4" />
                    <path d="M11 5.6A3.6 3.6 0 1 0 11 10.4" />
                </svg>
                <span class="brand-name">"Cyrus"</span>
            </a>
            <nav class="nav" aria-label="Main">
                <A href="/" exact=true>"Overview"</A>
                <A href="/sessions">"Sessions"</A>
                <A href="/deliveries">"Deliveries"</A>
                <A href="/workers">"Workers"</A>
            </nav>
            <div class="topbar-end">
                {when(
                    move || sign_in.is_there(),
                    move || view! { <Account sign_in voice /> }.into_any(),
                )}
                <ThemeToggle />
            </div>
        </header>
        <main id="main" class="page" tabindex="-1" node_ref=main>
            {move || if sign_in.is_there() { children().into_any() } else { view! { <SignedOut /> }.into_any() }}
        </main>
        <LiveRegion voice />
    }
}

#[component]
fn Account(sign_in: SignIn, voice: Announcer) -> impl IntoView {
    let me = RwSignal::new(None);
    spawn_local(async move {
        match api::me().await {
            Ok(who) => drop(me.try_set(Some(who))),
            Err(Failure::SignedOut) => sign_in.lost(),
            // The page below says what is wrong; the header does without the name.
            Err(_) => {}
        }
    });
    let sign_out = move |_| {
        spawn_local(async move {
            match api::sign_out().await {
                Ok(()) | Err(Failure::SignedOut) => sign_in.lost(),
                Err(why) => voice.say(format!("Not signed out. {}", why.detail())),
            }
        });
    };
    view! {
        {move || {
            me.get().map(|me: Value| {
                let role = json::text(&me, "role").unwrap_or_default();
                let organization = json::text(&me, "organizationName").unwrap_or_default();
                let title = ["You are ", &role, " of ", &organization].concat();
                view! {
                    <span class="account" title=title>
                        <span class="account-name">{organization}</span>
                        <span class="muted account-role">{role}</span>
                    </span>
                }
            })
        }}
        <button type="button" class="icon-button" title="Sign out" aria-label="Sign out" on:click=sign_out>
            <Icon shape=Shape::SignOut />
        </button>
    }
}
