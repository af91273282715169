//! The configuration as it is now. Each turn takes one look and keeps it to its end.
//!
//! Whoever reads the file or hears from the panel holds the [`Changes`]; everybody else holds a [`Live`].
//! Nothing here reads or judges a configuration: only sound ones come in.

use std::sync::Arc;

use tokio::sync::watch;

use super::Config;

/// The configuration in force. Clones see the same changes.
#[derive(Clone)]
pub struct Live(watch::Receiver<Arc<Config>>);

/// Where a new configuration comes in.
#[derive(Clone)]
pub struct Changes(Arc<watch::Sender<Arc<Config>>>);

impl Live {
    /// The configuration in force now.
    pub fn now(&self) -> Arc<Config> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits until another one is in force. Never returns when none can come any more.
    pub async fn changed(&mut self) -> Arc<Config> {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.0.borrow_and_update())
    }
}

impl Changes {
    /// The first configuration.
    pub fn begin(config: Config) -> (Self, Live) {
        let (sender, receiver) = watch::channel(Arc::new(config));
        (Self(Arc::new(sender)), Live(receiver))
    }

    /// From now on this one is in force.
    pub fn put(&self, config: Config) {
        self.0.send_replace(Arc::new(config));
    }
}
