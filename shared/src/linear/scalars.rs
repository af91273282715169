//! What Linear's own scalars are in Rust.
//!
//! Times stay text here: an unforeseen form of one field must not lose a whole answer.

/// A scalar that holds any JSON, which Linear gives as text; [`unfold`] reads it.
pub type Json = serde_json::Value;

/// The JSON inside a [`Json`]: of text what it holds, of anything else itself.
pub fn unfold(json: Json) -> serde_json::Value {
    match &json {
        serde_json::Value::String(text) => serde_json::from_str(text).unwrap_or(json),
        _ => json,
    }
}

/// By name an object; Linear also takes and gives lists, as for plans.
pub type JsonObject = serde_json::Value;

/// An RFC 3339 time as Linear wrote it.
pub type DateTime = String;

/// A time or an ISO 8601 duration, as it goes to Linear.
pub type DateTimeOrDuration = String;

/// The id of an entity, most often a UUID.
pub type Id = String;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_read_from_text_and_as_itself() {
        assert_eq!(unfold(json!("[{\"a\":1}]")), json!([{"a": 1}]));
        assert_eq!(unfold(json!([1])), json!([1]));
        assert_eq!(unfold(json!("no json")), json!("no json"));
    }
}
