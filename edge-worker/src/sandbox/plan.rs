//! What `cyrus` tells `cyrus __inside` over the lifeline before the agent starts.
//! Neighbours: `boxed` writes it, `inside` reads it. It must never hold a secret.

use serde::{Deserialize, Serialize};

/// How the agent is to be started. Its program, arguments, environment and folder are those of `__inside` itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plan {}
