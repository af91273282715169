//! The replay window: `webhookTimestamp` must be a number, in milliseconds, within 60 s of now either way.

use crate::problem::{Problem, ProblemCode};
use crate::time::Timestamp;

/// How far a stamp may be from now, in milliseconds.
pub const WINDOW_MS: f64 = 60_000.0;

/// Judges a stamp as it stands in the body.
pub fn check(stamp: Option<&serde_json::Value>, now: Timestamp) -> Result<(), Problem> {
    let stamp = stamp.filter(|value| !value.is_null()).ok_or_else(|| {
        Problem::new(
            ProblemCode::StampMissing,
            "the body needs `webhookTimestamp`, in milliseconds since 1970",
        )
    })?;
    let millis = stamp.as_f64().filter(|number| number.is_finite()).ok_or_else(|| {
        Problem::new(ProblemCode::StampNotANumber, "`webhookTimestamp` must be a JSON number of milliseconds")
    })?;
    if (millis - now.as_millis() as f64).abs() <= WINDOW_MS {
        Ok(())
    } else {
        Err(Problem::new(
            ProblemCode::StampStale,
            "`webhookTimestamp` is more than 60 s from now (milliseconds since 1970, UTC); send it again with a fresh stamp and check the sender's clock",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_795_342_525_781);

    #[test]
    fn sixty_seconds_either_way_are_taken_and_one_more_is_not() {
        for offset in [-60_000, -1, 0, 60_000] {
            assert!(check(Some(&json!(NOW.as_millis() + offset)), NOW).is_ok(), "{offset}");
        }
        for offset in [-61_000, 61_000] {
            let problem = check(Some(&json!(NOW.as_millis() + offset)), NOW).unwrap_err();
            assert!(problem.is(ProblemCode::StampStale), "{offset}");
        }
    }

    #[test]
    fn seconds_strings_and_nothing_are_refused() {
        assert!(check(Some(&json!(NOW.as_millis() / 1000)), NOW).unwrap_err().is(ProblemCode::StampStale));
        for nasty in [json!("1795342525781"), json!(true), json!([]), json!({})] {
            assert!(check(Some(&nasty), NOW).unwrap_err().is(ProblemCode::StampNotANumber), "{nasty}");
        }
        assert!(check(None, NOW).unwrap_err().is(ProblemCode::StampMissing));
        assert!(check(Some(&serde_json::Value::Null), NOW).unwrap_err().is(ProblemCode::StampMissing));
    }
}
