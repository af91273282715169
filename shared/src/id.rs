//! Ids. Our own are TypeIDs (`ses_01jd…`: a prefix and a UUIDv7 in base32), those of others are opaque text.
//!
//! Each kind is its own type, so an issue id can never be handed where a session id is wanted. Nothing
//! here makes randomness: [`new_uuid`] takes the instant and ten random bytes from the caller.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;
use crate::typeid;

/// Why a text is not an id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not an id of the form `{prefix}_…`")]
pub struct IdError {
    given: String,
    prefix: &'static str,
}

/// Makes a UUIDv7 from the caller's instant and randomness. Ids made later sort later.
pub fn new_uuid(now: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

fn parse(prefix: &'static str, text: &str) -> Result<Uuid, IdError> {
    typeid::parse(prefix, text).ok_or_else(|| IdError { given: text.chars().take(64).collect(), prefix })
}

macro_rules! own_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix that every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a UUID; use [`new_uuid`] for a fresh one.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, typeid::suffix(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse($prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": concat!("^", $prefix, "_[0-9a-hjkmnp-tv-z]{26}$") })
            }
        }
    };
}

own_id!(
    /// An organization: the tenant that owns workspaces, repositories, workers and people.
    OrgId, "org"
);
own_id!(
    /// A repository as the panel knows it; its identity is its normalised remote URL.
    RepositoryId, "rep"
);
own_id!(
    /// A worker is a journal: the id is made together with its `state.db`.
    WorkerId, "wrk"
);
own_id!(
    /// One Linear agent session, one manual run, or one run from the command line.
    SessionId, "ses"
);
own_id!(
    /// One go of one executor in a session.
    RunId, "run"
);
own_id!(
    /// One stored event in the hub.
    EventId, "evt"
);
own_id!(
    /// An API key of a person or a worker.
    KeyId, "key"
);

macro_rules! foreign_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text as it came.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

foreign_id!(
    /// A Linear workspace (`organizationId` in every webhook).
    LinearWorkspaceId
);
foreign_id!(
    /// A Linear agent session.
    AgentSessionId
);
foreign_id!(
    /// A Linear issue (the UUID, not `ENG-12`).
    IssueId
);
foreign_id!(
    /// What identifies one delivery of a webhook (`Linear-Delivery`), or the row of a command from the panel.
    DeliveryId
);
foreign_id!(
    /// What orders, sticks and leases: the Linear issue id, or the session's own id where there is no issue.
    SessionKey
);

/// The hub's number of an event. Order is the order of these numbers, and nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Seq(pub u64);

/// A fencing token: grows with every lease of one session key. Token 0 is a run without a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct FencingToken(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let session = SessionId::from_uuid(new_uuid(Timestamp::from_millis(1_700_000_000_000), [7; 10]));
        let text = session.to_string();
        assert!(text.starts_with("ses_"), "{text}");
        assert_eq!(text.parse::<SessionId>(), Ok(session));
        assert!(text.parse::<RunId>().is_err());
    }

    #[test]
    fn nasty_texts_are_refused_and_the_error_stays_short() {
        for nasty in [
            "",
            "_",
            "ses_",
            "ses_zzz",
            "SES_01h2xcejqtf2nbrexx3vqjhp41",
            "ses_81h2xcejqtf2nbrexx3vqjhp41",
            "\0",
            "ses_01h2xcejqtf2nbrexx3vqjhp4é",
        ] {
            assert!(nasty.parse::<SessionId>().is_err(), "{nasty}");
        }
        let long = "x".repeat(1_000_000);
        let error = long.parse::<SessionId>().unwrap_err();
        assert!(error.to_string().len() < 200);
    }

    #[test]
    fn ids_made_later_sort_later() {
        let early = OrgId::from_uuid(new_uuid(Timestamp::from_millis(1_000), [255; 10]));
        let late = OrgId::from_uuid(new_uuid(Timestamp::from_millis(2_000), [0; 10]));
        assert!(early.to_string() < late.to_string());
    }
}
