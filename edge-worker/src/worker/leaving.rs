//! Leaving in order: the proxy is told that no new work is wanted, and open work is finished.

use std::time::Duration;

use shared::problem::ProblemCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::http::HttpError;
use crate::proxy::client::ProxyClient;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Leave when open work is finished (Ctrl-C).
    Leave,
    /// Stop now.
    Stop,
}

/// What the signals of this process ask for, from now on.
pub fn listen() -> std::io::Result<mpsc::UnboundedReceiver<Ask>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (asks, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let ask = tokio::select! {
                Some(()) = interrupt.recv() => Ask::Leave,
                Some(()) = terminate.recv() => Ask::Stop,
                else => return,
            };
            if asks.send(ask).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Tells the proxy, until it has heard. One that is older has no such route: then new work is only not taken here.
pub async fn tell(proxy: ProxyClient) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Err(error) = proxy.drain().await else { return };
        if is_older(&error) {
            warn!("the proxy is older and cannot be told; what it still offers is left to others");
            return;
        }
        if !error.is_passing() {
            warn!("the proxy does not take that this worker leaves: {error}");
            return;
        }
        debug!("the proxy does not know yet that this worker leaves: {error}");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn is_older(error: &HttpError) -> bool {
    error.is(ProblemCode::MethodNotAllowed)
        || error.is(ProblemCode::NotFound)
        || matches!(error, HttpError::NotOurs { status: 404 | 405 })
}
