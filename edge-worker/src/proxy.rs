//! The proxy as the edge sees it: calls ([`client`]), the stream of events ([`stream`]), its bytes as [`lines`].

pub mod client;
pub mod lines;
pub mod stream;
