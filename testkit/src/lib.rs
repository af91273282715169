//! Stand-ins for the services that tests and the demo cannot reach: Linear and the Messages API.
//!
//! Each speaks the real contract on loopback, is strict where the real one is, and is itself checked by the
//! official client. `webhook` builds and signs what Linear sends. Nothing here is ever part of the product.

pub mod hub;
pub mod linear;
pub mod model;
mod server;
pub mod webhook;
