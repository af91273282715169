//! The side of the `cyrus` that runs: takes calls of its own user, and hands them on.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::words::{Reply, Request};

/// The longest line that is read.
const LONGEST: u64 = 1 << 20;

/// A call, answered by everything that is sent into `replies`; the connection ends when that is dropped.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// What follows it; ends when the caller has gone.
    pub more: mpsc::UnboundedReceiver<Request>,
    /// Where the answers go.
    pub replies: mpsc::UnboundedSender<Reply>,
}

/// Where calls are taken. Dropping it takes the socket away.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    taking: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.taking.abort();
        // The next one would replace it anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Takes calls from now on. To be called only by who holds the lock of the state folder. A folder whose path is too
/// long for a socket is no reason not to work: then nobody can call.
pub fn listen(state: &Path) -> (Option<Server>, mpsc::UnboundedReceiver<Call>) {
    let (calls, receiver) = mpsc::unbounded_channel();
    let path = super::path(state);
    match bind(&path) {
        Ok((listener, owner)) => {
            let taking = tokio::spawn(take(listener, owner, calls));
            (Some(Server { path, taking }), receiver)
        }
        Err(error) => {
            warn!("no control socket ({error}): `cyrus status`, `say` and `stop` cannot reach this process");
            (None, receiver)
        }
    }
}

fn bind(path: &Path) -> io::Result<(UnixListener, u32)> {
    // Left by a process that was killed: whoever holds the lock is alone here.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok((listener, std::fs::metadata(path)?.uid()))
}

/// Takes calls of the user who owns the socket, which is who runs this process.
async fn take(listener: UnixListener, owner: u32, calls: mpsc::UnboundedSender<Call>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let user = stream.peer_cred().map(|peer| peer.uid());
                if user.is_ok_and(|user| user == owner) {
                    tokio::spawn(serve(stream, calls.clone()));
                } else {
                    warn!("somebody else called at the control socket and was not heard");
                }
            }
            Err(error) => {
                debug!("a call at the control socket was lost: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, calls: mpsc::UnboundedSender<Call>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let Some(request) = read(&mut reader).await else { return };
    let (replies, mut answers) = mpsc::unbounded_channel();
    let (ahead, more) = mpsc::unbounded_channel();
    if calls.send(Call { request, more, replies }).is_err() {
        return;
    }
    let reading = tokio::spawn(async move {
        while let Some(request) = read(&mut reader).await {
            if ahead.send(request).is_err() {
                return;
            }
        }
    });
    while let Some(reply) = answers.recv().await {
        let Ok(mut line) = serde_json::to_vec(&reply) else { continue };
        line.push(b'\n');
        if writer.write_all(&line).await.is_err() {
            break;
        }
    }
    reading.abort();
}

async fn read(reader: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Request> {
    let mut line = String::new();
    let count = reader.take(LONGEST).read_line(&mut line).await.ok()?;
    if count == 0 {
        return None;
    }
    Some(serde_json::from_str(&line).unwrap_or(Request::Unknown))
}
