//! The panel Worker: the records of all sessions in D1, behind a REST and SSE interface.
//!
//! The client is static assets beside this Worker (`ui/`); what is live goes through a [`room`] per session.
//! Every query names the caller's organization (invariant P1). Commands to a hub go through the [`outbox`].

mod api;
mod audit;
mod auth;
mod configuration;
mod db;
mod hub_stub;
mod outbox;
mod record;
mod room;
mod routes;
mod setup;

use worker::{Context, Env, Request, Response, ScheduleContext, ScheduledEvent, event};
use worker_shell::log;

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> worker::Result<Response> {
    routes::answer(request, env).await
}

/// Each minute: what the hub has not confirmed is sent again, what it confirmed long ago is forgotten.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    if let Err(failure) = outbox::send_open(&env).await {
        log::error("outbox.not_sent", &[("reason", &failure.problem().detail)]);
    }
    if let Err(failure) = outbox::forget_confirmed(&env).await {
        log::error("outbox.not_forgotten", &[("reason", &failure.problem().detail)]);
    }
}
