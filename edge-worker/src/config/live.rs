//! The configuration as it is now. Each turn takes one look and keeps it to its end.
//!
//! Whoever reads the file or hears from the panel holds the [`Changes`]; everybody else holds a [`Live`].
//! Nothing here reads or judges a configuration: only sound ones come in.

use std::sync::Arc;

use tokio::sync::watch;

use super::Config;
use super::watch::Watched;

/// The configuration in force. Clones see the same changes.
#[derive(Clone)]
pub struct Live {
    now: watch::Receiver<Arc<Config>>,
    watched: Watched,
}

/// Where a new configuration comes in.
#[derive(Clone)]
pub struct Changes {
    next: Arc<watch::Sender<Arc<Config>>>,
    watched: Watched,
}

impl Live {
    /// The configuration in force now.
    pub fn now(&self) -> Arc<Config> {
        Arc::clone(&self.now.borrow())
    }

    /// How it stands with the file and the panel, and a way to have both looked at.
    pub fn watched(&self) -> &Watched {
        &self.watched
    }

    /// Waits until another one is in force. Never returns when none can come any more.
    pub async fn changed(&mut self) -> Arc<Config> {
        if self.now.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.now.borrow_and_update())
    }
}

impl Changes {
    /// The first configuration.
    pub fn begin(config: Config) -> (Self, Live) {
        let (next, now) = watch::channel(Arc::new(config));
        let watched = Watched::default();
        (Self { next: Arc::new(next), watched: watched.clone() }, Live { now, watched })
    }

    /// From now on this one is in force.
    pub fn put(&self, config: Config) {
        self.next.send_replace(Arc::new(config));
    }

    /// What is known of the file and the panel.
    pub fn watched(&self) -> &Watched {
        &self.watched
    }
}
