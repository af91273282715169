//! The side of a command: calls the `cyrus` that runs, if one does.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::words::{Reply, Request};

/// How long a `cyrus` may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A call on its way.
pub struct Talk {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

/// Calls. `None`: no `cyrus` runs with this state folder.
pub async fn call(state: &Path, request: &Request) -> std::io::Result<Option<Talk>> {
    let stream = match UnixStream::connect(super::path(state)).await {
        Ok(stream) => stream,
        Err(error) if is_nobody(error.kind()) => return Ok(None),
        Err(error) => return Err(error),
    };
    let (reader, writer) = stream.into_split();
    let mut talk = Talk { lines: BufReader::new(reader).lines(), writer };
    talk.send(request).await?;
    Ok(Some(talk))
}

fn is_nobody(kind: std::io::ErrorKind) -> bool {
    matches!(
        kind,
        std::io::ErrorKind::NotFound
            | std::io::ErrorKind::ConnectionRefused
            | std::io::ErrorKind::InvalidInput
    )
}

/// Calls and waits for one answer.
pub async fn ask(state: &Path, request: &Request) -> std::io::Result<Option<Reply>> {
    let Some(mut talk) = call(state, request).await? else { return Ok(None) };
    let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "the cyrus that runs does not answer");
    let reply = tokio::time::timeout(PATIENCE, talk.next()).await.map_err(|_| late())?;
    Ok(Some(reply?.unwrap_or(Reply::Done)))
}

impl Talk {
    /// Says one thing more.
    pub async fn send(&mut self, request: &Request) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }

    /// The next answer; `None`: that was all.
    pub async fn next(&mut self) -> std::io::Result<Option<Reply>> {
        loop {
            let Some(line) = self.lines.next_line().await? else { return Ok(None) };
            // What a newer cyrus says beside it is passed over.
            if let Ok(reply) = serde_json::from_str(&line) {
                return Ok(Some(reply));
            }
        }
    }
}
