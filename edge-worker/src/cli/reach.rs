//! Reaching the `cyrus` that runs.

use std::path::Path;

use super::failure::Failure;
use crate::control::client;
use crate::control::words::{Reply, Request};

/// Asks it; `None`: none runs with this state folder.
pub async fn ask(state: &Path, request: &Request) -> Result<Option<Reply>, Failure> {
    match client::ask(state, request).await {
        Ok(Some(Reply::Refused { why, next })) => Err(Failure::new(why).next(next)),
        Ok(reply) => Ok(reply),
        Err(error) => Err(unreachable(&error)),
    }
}

/// What is said when it is there and cannot be spoken with.
pub fn unreachable(error: &std::io::Error) -> Failure {
    Failure::new(format!("the cyrus that runs cannot be reached: {error}"))
        .next("look into its log; when it hangs, end it by its process id")
}
