//! The routes. Each leads to one file in `pages/`.

use leptos::prelude::*;
use leptos_router::components::{FlatRoutes, Route, Router};
use leptos_router::path;

use crate::clock::Clock;
use crate::pages::deliveries::Deliveries;
use crate::pages::not_found::NotFound;
use crate::pages::overview::Overview;
use crate::pages::repository::RepositoryPage;
use crate::pages::session::SessionPage;
use crate::pages::sessions::Sessions;
use crate::pages::workers::Workers;
use crate::shell::Shell;

/// The whole client.
#[component]
pub fn App() -> impl IntoView {
    Clock::provide();
    view! {
        <Router>
            <Shell>
                <FlatRoutes fallback=NotFound>
                    <Route path=path!("/") view=Overview />
                    <Route path=path!("/deliveries") view=Deliveries />
                    <Route path=path!("/workers") view=Workers />
                    <Route path=path!("/sessions") view=Sessions />
                    <Route path=path!("/sessions/:id") view=SessionPage />
                    <Route path=path!("/repositories/:id") view=RepositoryPage />
                </FlatRoutes>
            </Shell>
        </Router>
    }
}
