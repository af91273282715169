//! Registration with the proxy, tried until it answers.

use std::time::Duration;

use shared::worker::Registration;
use tokio::time::sleep;
use tracing::warn;

use super::Ended;
use crate::proxy::client::ProxyClient;
use crate::proxy::stream;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Registers. `Some`: that will never succeed, and why.
pub async fn register(proxy: &ProxyClient, registration: &Registration) -> anyhow::Result<Option<Ended>> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match proxy.register(registration).await {
            Ok(registered) => return Ok(stream::unspoken(registered.protocol).map(Ended::OtherProtocol)),
            Err(error) => error,
        };
        if stream::is_refusal(&error) {
            return Ok(Some(Ended::NotSignedIn(refusal())));
        }
        if let Some(mend) = stream::protocol_refusal(&error) {
            return Ok(Some(Ended::OtherProtocol(mend)));
        }
        if !error.is_passing() {
            return Err(error.into());
        }
        warn!("the proxy cannot be reached ({error}); trying again in {:.0} s", pause.as_secs_f64().ceil());
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What is told when the key is not taken.
pub fn refusal() -> String {
    "the proxy refuses this worker key: it is unknown or revoked; make a new one in the panel under Workers and put it into CONTROL_PANEL_API_KEY".to_owned()
}
