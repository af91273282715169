//! Which transport the next stream uses. NDJSON needs nothing of what stands between the two ends, but some of
//! that gathers a response before it hands it on; a WebSocket gets through there, and not everywhere.

use schemars::JsonSchema;
use serde::Deserialize;

/// What the configuration asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// NDJSON, and a WebSocket where NDJSON does not get through.
    #[default]
    Auto,
    /// A response that does not end, a line at a time.
    Ndjson,
    /// One message a line.
    WebSocket,
}

impl std::str::FromStr for Transport {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "auto" => Ok(Self::Auto),
            "ndjson" => Ok(Self::Ndjson),
            "websocket" => Ok(Self::WebSocket),
            _ => Err(()),
        }
    }
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ndjson,
    WebSocket,
}

/// How a stream fared, as far as its transport is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fared {
    /// `hello` came, and the end had another reason.
    Well,
    /// It was open, and `hello` did not come in time, or no sign of life after it.
    Mute,
    /// It did not open.
    Shut,
}

/// NDJSON streams in a row that were mute before a WebSocket is tried.
const MUTE_LIMIT: u32 = 2;

/// The choice between the two, stream after stream.
#[derive(Debug)]
pub(super) struct Choice {
    asked: Transport,
    kind: Kind,
    mute: u32,
}

impl Choice {
    pub(super) fn new(asked: Transport) -> Self {
        let kind = if asked == Transport::WebSocket { Kind::WebSocket } else { Kind::Ndjson };
        Self { asked, kind, mute: 0 }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// A stream ended. `true`: the next one uses the other transport.
    pub(super) fn ended(&mut self, fared: Fared) -> bool {
        if self.asked != Transport::Auto {
            return false;
        }
        let other = match (self.kind, fared) {
            (_, Fared::Well) => {
                self.mute = 0;
                None
            }
            // A proxy that is away is away for both.
            (Kind::Ndjson, Fared::Shut) => None,
            (Kind::Ndjson, Fared::Mute) => {
                self.mute += 1;
                (self.mute >= MUTE_LIMIT).then_some(Kind::WebSocket)
            }
            (Kind::WebSocket, Fared::Mute | Fared::Shut) => Some(Kind::Ndjson),
        };
        if let Some(other) = other {
            self.kind = other;
            self.mute = 0;
        }
        other.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_mute_ndjson_streams_in_a_row_lead_to_a_websocket_and_its_failure_leads_back() {
        let mut choice = Choice::new(Transport::Auto);
        assert!(!choice.ended(Fared::Mute));
        assert!(!choice.ended(Fared::Well));
        assert!(!choice.ended(Fared::Mute));
        assert!(!choice.ended(Fared::Shut));
        assert_eq!(choice.kind(), Kind::Ndjson);
        assert!(choice.ended(Fared::Mute));
        assert_eq!(choice.kind(), Kind::WebSocket);
        assert!(!choice.ended(Fared::Well));
        assert_eq!(choice.kind(), Kind::WebSocket);
        assert!(choice.ended(Fared::Shut));
        assert_eq!(choice.kind(), Kind::Ndjson);
        assert!(!choice.ended(Fared::Mute), "it begins to count anew");
    }

    #[test]
    fn what_is_asked_for_by_name_stays() {
        for (asked, kind) in [(Transport::Ndjson, Kind::Ndjson), (Transport::WebSocket, Kind::WebSocket)] {
            let mut choice = Choice::new(asked);
            for fared in [Fared::Mute, Fared::Shut, Fared::Mute, Fared::Mute] {
                assert!(!choice.ended(fared));
                assert_eq!(choice.kind(), kind);
            }
        }
    }
}
