//! Instants: milliseconds since 1970 UTC inside, RFC 3339 with milliseconds on the wire.
//!
//! No clock here; whoever needs "now" is handed it.

use core::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant, to the millisecond, UTC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// Why a text is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2026-11-22T10:15:25.752Z")]
pub struct TimeError;

impl Timestamp {
    /// From milliseconds since 1970 UTC.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970 UTC.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant moved by `millis` milliseconds; at the ends of the scale it stays there.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this instant; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Parses RFC 3339. Fails on anything else, and on instants that no calendar holds.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let instant = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimeError)?;
        Ok(Self(instant.unix_timestamp() * 1000 + i64::from(instant.millisecond())))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Outside the years 0 to 9999 the nearest end is printed: a broken stamp must not break a page.
        let clamped = self.0.clamp(-62_167_219_200_000, 253_402_207_199_999);
        let second = OffsetDateTime::from_unix_timestamp(clamped.div_euclid(1000))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day) = second.to_calendar_date();
        let (hour, minute, second) = second.to_hms();
        let month = u8::from(month);
        let milli = clamped.rem_euclid(1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_keeps_its_milliseconds_on_the_wire() {
        let instant = Timestamp::from_millis(1_795_342_525_781);
        assert_eq!(instant.to_string(), "2026-11-22T10:15:25.781Z");
        assert_eq!(Timestamp::parse("2026-11-22T10:15:25.781Z"), Ok(instant));
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59.999Z");
        for other in
            ["2026-11-22T10:15:25.781999Z", "2026-11-22T12:15:25.781+02:00", "2026-11-22t10:15:25.781z"]
        {
            assert_eq!(Timestamp::parse(other), Ok(instant), "{other}");
        }
    }

    #[test]
    fn nasty_texts_and_far_instants_do_no_harm() {
        for nasty in ["", "now", "2026-13-01T00:00:00Z", "1795342525781", "2026-11-22"] {
            assert!(Timestamp::parse(nasty).is_err(), "{nasty}");
        }
        assert!(!Timestamp::from_millis(i64::MAX).to_string().is_empty());
        assert!(!Timestamp::from_millis(i64::MIN).to_string().is_empty());
    }
}
