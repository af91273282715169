//! The proxy as the edge sees it: calls ([`client`]) and the stream of events ([`stream`]).

pub mod client;
pub mod stream;
