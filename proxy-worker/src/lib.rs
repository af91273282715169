//! The proxy Worker: webhooks in, events out to edge workers.
//!
//! This Worker is stateless; what must not be lost is in the [`hub`] of each organization, and which
//! workspace belongs to which organization is in the [`directory`]. It answers only the routes in
//! [`routes`] and never hands a hub's own interface to the outside.

mod deliveries;
mod directory;
mod edge_api;
mod group;
mod hub;
mod hub_stub;
mod routes;
mod setup;
mod webhook;

use worker::{Context, Env, Request, Response, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    routes::answer(request, env, context).await
}
