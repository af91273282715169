//! A loopback HTTP server with the life of its handle.
//!
//! Both stand-ins run in one of these. It never listens on anything but 127.0.0.1.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Ends its server when dropped.
pub(crate) struct Server {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `router` on `port`, or on a free port for 0. Fails when the port is taken.
    pub(crate) async fn start(port: u16, router: Router) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(async {
                stopped.await.ok();
            });
            // Serving on loopback ends by the signal only.
            served.await.ok();
        });
        Ok(Self { url, stop: Some(stop), task: Some(task) })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Stops taking connections and waits up to a second for the open ones.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(Duration::from_secs(1), &mut task).await.is_err()
        {
            task.abort();
        }
    }
}

/// An answer whose connection breaks after `sent`, so that the client sees a network error.
pub(crate) fn broken(sent: &'static [u8]) -> Response {
    let parts =
        [Ok(Bytes::from_static(sent)), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
    Response::new(Body::from_stream(futures_util::stream::iter(parts)))
}

/// Milliseconds since 1970 UTC.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
