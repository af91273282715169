//! What the API answers, read field by field and by name. A field that is missing or of another kind is as if null.
//!
//! A deserializer for each shape of `shared` would cost the client more than a tenth of its size. So the shapes are
//! held at test time instead: tests of this crate read what `shared` writes.

use serde_json::Value;
use shared::time::Timestamp;

/// A text.
pub fn text(of: &Value, name: &str) -> Option<String> {
    of.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// A text that is one of a few words; empty where there is none.
pub fn word<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number.
pub fn number(of: &Value, name: &str) -> Option<i64> {
    of.get(name).and_then(Value::as_i64)
}

/// A count; 0 where there is none.
pub fn count(of: &Value, name: &str) -> i64 {
    number(of, name).unwrap_or_default()
}

/// Yes or no.
pub fn flag(of: &Value, name: &str) -> bool {
    of.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// An instant.
pub fn time(of: &Value, name: &str) -> Option<Timestamp> {
    Timestamp::parse(word(of, name)).ok()
}

/// A list; empty where there is none.
pub fn items<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// An object of one text, as it is sent.
pub fn object(name: &str, value: &str) -> String {
    let pair = (name.to_owned(), Value::String(value.to_owned()));
    Value::Object([pair].into_iter().collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_of_another_kind_is_as_if_null() {
        let nasty =
            serde_json::json!({ "a": 1, "b": "x", "c": null, "d": -1.5, "e": "2026-01-01T00:00:00Z" });
        for name in ["a", "b", "c", "d", "none"] {
            assert_eq!((time(&nasty, name), items(&nasty, name).len()), (None, 0), "{name}");
        }
        assert_eq!((text(&nasty, "a"), word(&nasty, "b"), word(&nasty, "c")), (None, "x", ""));
        assert_eq!((number(&nasty, "a"), number(&nasty, "d"), count(&nasty, "b")), (Some(1), None, 0));
        assert_eq!(time(&nasty, "e").map(Timestamp::as_millis), Some(1_767_225_600_000));
        assert_eq!(text(&Value::Null, "a"), None);
    }

    #[test]
    fn what_a_person_writes_stays_text() {
        assert_eq!(object("text", "a \"b\"\n"), r#"{"text":"a \"b\"\n"}"#);
    }
}
