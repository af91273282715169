//! Reads fields of loosely typed JSON: a field that is missing or of another type reads as absent.
//! Neighbours: the line parsers beside it.
//! It must never fail on a shape.

use serde_json::Value;

/// A string field, or the empty string.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A string field, when there is one and it is not empty.
pub(super) fn optional_text(value: &Value, name: &str) -> Option<String> {
    Some(text(value, name)).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A whole number that is not negative. A fraction is cut off: some counters come as floats.
pub(super) fn number(value: &Value, name: &str) -> Option<u64> {
    let field = value.get(name)?;
    field.as_u64().or_else(|| {
        let float = field.as_f64().filter(|float| float.is_finite() && *float >= 0.0)?;
        Some(float as u64)
    })
}

/// A list field, or no elements.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// An amount of US dollars in millionths, rounded to the nearest. Negative or endless amounts read as absent.
pub(super) fn micro_usd(value: &Value, name: &str) -> Option<u64> {
    let dollars = value.get(name)?.as_f64().filter(|dollars| dollars.is_finite() && *dollars >= 0.0)?;
    Some((dollars * 1_000_000.0).round() as u64)
}
