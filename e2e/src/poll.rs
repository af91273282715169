//! Waiting for something to become true, with a deadline and never by a fixed sleep.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks again and again until there is an answer. An error of `look` counts as "not yet" and is told at the deadline.
pub async fn until<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        let last = match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => String::new(),
            Err(error) => format!("; last error: {error:#}"),
        };
        if begun.elapsed() > deadline {
            bail!("{what}: not within {deadline:?}{last}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
