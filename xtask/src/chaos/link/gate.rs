//! A socket to the edge that can go half open: bytes vanish both ways and neither end learns that the other closed.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Shuts and opens all gates of one link.
#[derive(Clone, Default)]
pub(super) struct Valve(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    shut: bool,
    made: u64,
    readers: BTreeMap<u64, Waker>,
    /// Sockets whose owner let go of them meanwhile: they stay open, as a half-open one would.
    kept: Vec<TcpStream>,
}

impl Valve {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on bytes vanish.
    pub(super) fn shut(&self) {
        let mut inside = self.inside();
        inside.shut = true;
        inside.readers.values().for_each(Waker::wake_by_ref);
    }

    /// Bytes pass again; sockets that were kept are reset.
    pub(super) fn open(&self) {
        let mut inside = self.inside();
        inside.shut = false;
        inside.kept.drain(..).for_each(reset);
        inside.readers.values().for_each(Waker::wake_by_ref);
    }
}

/// Closes by a reset instead of in order.
fn reset(socket: TcpStream) {
    // A socket that cannot be set so is closed all the same.
    let _ = socket.set_zero_linger();
}

/// The socket. Dropped after a change of `epoch`, it is reset.
pub(super) struct Gate {
    socket: Option<TcpStream>,
    number: u64,
    valve: Valve,
    epoch: watch::Receiver<u64>,
}

impl Gate {
    pub(super) fn new(socket: TcpStream, valve: Valve, epoch: watch::Receiver<u64>) -> Self {
        let number = {
            let mut inside = valve.inside();
            inside.made += 1;
            inside.made
        };
        Self { socket: Some(socket), number, valve, epoch }
    }

    fn is_shut(&self) -> bool {
        self.valve.inside().shut
    }

    fn socket(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.socket.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        let mut inside = self.valve.inside();
        inside.readers.remove(&self.number);
        // The sender is gone only at the end of everything.
        if self.epoch.has_changed().unwrap_or(true) {
            reset(socket);
        } else if inside.shut {
            inside.kept.push(socket);
        }
    }
}

impl AsyncRead for Gate {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.valve.inside().readers.insert(self.number, context.waker().clone());
        if !self.is_shut() {
            return self.socket()?.poll_read(context, buffer);
        }
        let mut space = [0; 4096];
        loop {
            let mut swallowed = ReadBuf::new(&mut space);
            match self.socket()?.poll_read(context, &mut swallowed) {
                Poll::Ready(Ok(())) if !swallowed.filled().is_empty() => {}
                // Also an end or an error is not told.
                _ => return Poll::Pending,
            }
        }
    }
}

impl AsyncWrite for Gate {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_shut() { Poll::Ready(Ok(bytes.len())) } else { self.socket()?.poll_write(context, bytes) }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_shut() { Poll::Ready(Ok(())) } else { self.socket()?.poll_flush(context) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_shut() { Poll::Ready(Ok(())) } else { self.socket()?.poll_shutdown(context) }
    }
}
