//! Passes one request on, over a connection of its own, and the answer back: streams and upgrades as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Counted, NoAnswer, Shared};

/// The body of an answer.
pub(super) type Answer = BoxBody<Bytes, NoAnswer>;

/// A body that is whole.
pub(super) fn whole(bytes: Bytes) -> Answer {
    // It cannot fail.
    Full::new(bytes).map_err(|_| NoAnswer).boxed()
}

/// Sends a request to the proxy Worker.
pub(super) async fn send(request: Request<Answer>, shared: &Shared) -> Result<Response<Incoming>, NoAnswer> {
    let socket = TcpStream::connect(shared.upstream).await.map_err(|_| NoAnswer)?;
    // Slower without it, no more.
    let _ = socket.set_nodelay(true);
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(|_| NoAnswer)?;
    // It ends when the answer's body, or what it was upgraded to, is dropped.
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await.map_err(|_| NoAnswer)
}

/// Passes a request on that is not an ack and not a heartbeat.
pub(super) async fn pass(
    mut request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Answer>, NoAnswer> {
    let is_stream = request.uri().path() == "/v1/events";
    let below = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let body = body.map_err(|_| NoAnswer).boxed();
    let mut response = send(Request::from_parts(parts, body), &shared).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let above = hyper::upgrade::on(&mut response);
        tokio::spawn(join(below, above, Arc::clone(&shared)));
    }
    let counted = is_stream.then(|| Counted::new(&shared, |shared| &shared.streams));
    Ok(response.map(|body| match counted {
        Some(counted) => Stream::new(body, counted, &shared).boxed(),
        None => body.map_err(|_| NoAnswer).boxed(),
    }))
}

/// The two ends of a WebSocket, until one closes or the link is cut.
async fn join(below: OnUpgrade, above: OnUpgrade, shared: Arc<Shared>) {
    let mut epoch = shared.epoch.subscribe();
    let (Ok(below), Ok(above)) = tokio::join!(below, above) else { return };
    let _counted = Counted::new(&shared, |shared| &shared.streams);
    let (mut from_edge, mut to_edge) = tokio::io::split(TokioIo::new(below));
    let (from_hub, mut to_hub) = tokio::io::split(TokioIo::new(above));
    let up = async {
        // However it ends, the other end is told.
        let _ = copy(&mut from_edge, &mut to_hub).await;
        let _ = to_hub.shutdown().await;
        std::future::pending::<()>().await;
    };
    let down = async {
        copy_unless_stalled(from_hub, &mut to_edge, shared.stalled.subscribe()).await;
        let _ = to_edge.shutdown().await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = epoch.changed() => {}
    }
}

async fn copy_unless_stalled(
    mut from: tokio::io::ReadHalf<TokioIo<Upgraded>>,
    to: &mut tokio::io::WriteHalf<TokioIo<Upgraded>>,
    mut stalled: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        if stalled.wait_for(|stalled| !stalled).await.is_err() {
            return;
        }
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        if stalled.wait_for(|stalled| !stalled).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// A stream's lines, not read on while the link is stalled.
struct Stream {
    lines: Incoming,
    stalled: watch::Receiver<bool>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    _counted: Counted,
}

impl Stream {
    fn new(lines: Incoming, counted: Counted, shared: &Shared) -> Self {
        Self { lines, stalled: shared.stalled.subscribe(), waiting: None, _counted: counted }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = NoAnswer;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        if *self.stalled.borrow() && self.waiting.is_none() {
            let mut stalled = self.stalled.clone();
            self.waiting = Some(Box::pin(async move {
                // The link is gone: nothing is held up any more.
                let _ = stalled.wait_for(|stalled| !stalled).await;
            }));
        }
        if let Some(waiting) = &mut self.waiting {
            if waiting.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.waiting = None;
        }
        Pin::new(&mut self.lines).poll_frame(context).map_err(|_| NoAnswer)
    }

    fn is_end_stream(&self) -> bool {
        self.lines.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lines.size_hint()
    }
}
