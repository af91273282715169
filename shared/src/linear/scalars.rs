//! What Linear's own scalars are in Rust.
//!
//! Times stay text here: an unforeseen form of one field must not lose a whole answer.

/// A scalar that holds any JSON.
pub type Json = serde_json::Value;

/// By name an object; Linear also takes and gives lists, as for plans.
pub type JsonObject = serde_json::Value;

/// An RFC 3339 time as Linear wrote it.
pub type DateTime = String;

/// A time or an ISO 8601 duration, as it goes to Linear.
pub type DateTimeOrDuration = String;

/// The id of an entity, most often a UUID.
pub type Id = String;
