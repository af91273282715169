//! Every refusal that our HTTP interfaces give, in one list: `application/problem+json` (RFC 9457) with a stable `code`.
//!
//! A code is a promise to clients: it may be added, never renamed. The `detail` says what to do about it and
//! never repeats a secret or more than a few words of what was sent.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal;)+) => {
        /// What went wrong, as a stable word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum ProblemCode { $($(#[$doc])* $name,)+ }

        impl ProblemCode {
            /// All codes, in the order of this file.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str { match self { $(Self::$name => $code,)+ } }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 { match self { $(Self::$name => $status,)+ } }

            /// The short, fixed title.
            pub fn title(self) -> &'static str { match self { $(Self::$name => $title,)+ } }
        }
    };
}

codes! {
    /// The path leads nowhere.
    NotFound = "not_found", 404, "Not found";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, "Method not allowed";
    /// No credential, or one that is not ours.
    Unauthorized = "unauthorized", 401, "Not signed in";
    /// A credential that may not do this.
    Forbidden = "forbidden", 403, "Not allowed";
    /// A body or parameter of the wrong shape.
    InvalidRequest = "invalid_request", 400, "The request is not of the right shape";
    /// A body beyond the limit of its route.
    TooLarge = "too_large", 413, "The body is too large";
    /// More requests than the limit of the organization.
    RateLimited = "rate_limited", 429, "Too many requests";
    /// A webhook without a signature header.
    SignatureMissing = "signature_missing", 401, "The signature is missing";
    /// A signature that is not 64 lower-case hex digits.
    SignatureMalformed = "signature_malformed", 401, "The signature is malformed";
    /// A signature that does not fit the body under any current secret.
    SignatureWrong = "signature_wrong", 401, "The signature is wrong";
    /// A body that is not JSON (or not UTF-8).
    NotJson = "not_json", 400, "The body is not JSON";
    /// JSON nested deeper than 64.
    TooDeep = "too_deep", 400, "The body is nested too deeply";
    /// JSON of the wrong shape for its type.
    WrongShape = "wrong_shape", 400, "The body is not of the shape of its type";
    /// No `webhookTimestamp`.
    StampMissing = "stamp_missing", 400, "The time stamp is missing";
    /// A `webhookTimestamp` that is not a finite number.
    StampNotANumber = "stamp_not_a_number", 400, "The time stamp is not a number";
    /// A `webhookTimestamp` more than 60 s from now.
    StampStale = "stamp_stale", 400, "The time stamp is too far from now";
    /// The other side speaks a protocol that this one does not.
    ProtocolUnsupported = "protocol_unsupported", 426, "Another version is needed";
    /// The worker id is not registered under this key.
    WorkerUnknown = "worker_unknown", 404, "The worker is not registered";
    /// The fencing token is older than the lease.
    TokenStale = "token_stale", 409, "The lease has moved";
    /// A delivery that is still open, or done, cannot be replayed.
    NotReplayable = "not_replayable", 409, "The delivery cannot be replayed";
    /// A session that is over, or of another kind, cannot take this.
    NotPossible = "not_possible", 409, "That is not possible now";
    /// There is no token to hand out.
    NotConnected = "not_connected", 404, "The workspace is not connected";
    /// The sign-in link was used before.
    LinkUsed = "link_used", 410, "This sign-in link was used or has run out";
    /// The browser's origin is not the panel's.
    OriginMismatch = "origin_mismatch", 403, "The request comes from another site";
    /// The store behind this part cannot take it now; try again.
    StoreUnavailable = "store_unavailable", 503, "The store is not available";
    /// Our fault.
    Internal = "internal", 500, "Something went wrong on our side";
}

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{title}: {detail}")]
pub struct Problem {
    /// `urn:cyrus:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The fixed title of the code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened and what mends it, for a person.
    pub detail: String,
    /// The stable word. Text rather than [`ProblemCode`], since a newer server may know more of them.
    pub code: String,
}

impl Problem {
    /// A problem of `code` with its mend in `detail`.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:cyrus:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code: code.as_str().to_owned(),
        }
    }

    /// Whether this is a problem of `code`.
    pub fn is(&self, code: ProblemCode) -> bool {
        self.code == code.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_spelled_on_the_wire_as_it_is_listed() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!((400..600).contains(&code.status()));
        }
    }
}
