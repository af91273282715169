//! The stand-ins from outside: over HTTP, by our own client types, by Linear's SDK and by the real `claude`.
//!
//! One binary, so that it links once. What needs a tool that is not installed says so and passes.

mod installed;
mod linear_by_our_client;
mod linear_by_the_sdk;
mod linear_faults;
mod model_by_claude;
mod model_over_http;
mod schema_agreement;
mod stand_in_program;

/// The HTTP client of all tests here. TLS is never used on loopback, but the client wants a provider.
fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().build().expect("an HTTP client")
}
