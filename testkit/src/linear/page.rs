//! Pages of a connection, as Linear cuts them: newest first, cursors are ids.

use serde_json::{Map, Value, json};

use super::refusal::Refusal;

/// Linear's page size when none is asked for, and the largest one.
const DEFAULT: usize = 50;
const LARGEST: usize = 250;

/// Cuts `ids` (newest first) by `first`, `after`, `last` and `before`.
pub(super) fn cut(mut ids: Vec<String>, arguments: &Map<String, Value>) -> Result<Value, Refusal> {
    let cursor = |name: &str| arguments.get(name).and_then(Value::as_str);
    if let Some(at) = cursor("after").and_then(|after| ids.iter().position(|id| id == after)) {
        ids.drain(..=at);
    }
    if let Some(at) = cursor("before").and_then(|before| ids.iter().position(|id| id == before)) {
        ids.truncate(at);
    }
    let (first, last) = (size(arguments, "first")?, size(arguments, "last")?);
    let total = ids.len();
    let (mut more_after, mut more_before) = (false, false);
    if let (None, Some(last)) = (first, last) {
        ids.drain(..total.saturating_sub(last));
        more_before = total > last;
    } else {
        let first = first.unwrap_or(DEFAULT);
        ids.truncate(first);
        more_after = total > first;
    }
    let page_info = json!({
        "startCursor": ids.first(),
        "endCursor": ids.last(),
        "hasNextPage": more_after,
        "hasPreviousPage": more_before,
    });
    Ok(json!({"nodes": ids, "pageInfo": page_info}))
}

fn size(arguments: &Map<String, Value>, name: &str) -> Result<Option<usize>, Refusal> {
    let Some(size) = arguments.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    match size.as_u64().and_then(|size| usize::try_from(size).ok()) {
        Some(size) if (1..=LARGEST).contains(&size) => Ok(Some(size)),
        _ => Err(Refusal::input(format!("Argument Validation Error - {name} must be from 1 to {LARGEST}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(arguments: Value) -> Value {
        let ids = ["e", "d", "c", "b", "a"].map(str::to_owned).to_vec();
        cut(ids, arguments.as_object().expect("an object")).unwrap_or_else(|refusal| json!(refusal.message))
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let first = page(json!({"first": 2}));
        assert_eq!((&first["nodes"], &first["pageInfo"]["hasNextPage"]), (&json!(["e", "d"]), &json!(true)));
        let second = page(json!({"first": 3, "after": first["pageInfo"]["endCursor"]}));
        assert_eq!(
            (&second["nodes"], &second["pageInfo"]["hasNextPage"]),
            (&json!(["c", "b", "a"]), &json!(false))
        );
        assert_eq!(page(json!({"last": 2}))["nodes"], json!(["b", "a"]));
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for size in [0, -1, 251] {
            assert!(page(json!({"first": size})).is_string(), "{size}");
        }
    }
}
