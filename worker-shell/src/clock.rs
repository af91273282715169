//! The platform's clock, handed on as a plain instant.

use shared::time::Timestamp;

/// Now.
pub fn now() -> Timestamp {
    Timestamp::from_millis(i64::try_from(worker::Date::now().as_millis()).unwrap_or(i64::MAX))
}
