//! The fuzz corpus of what a proxy sends, through the edge's own reader: cut in every way, and over a real socket.
//!
//! What must hold of the bytes is said in `fuzz/src/client.rs`, which is included here.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic what does not hold")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use edge_worker::http;
use edge_worker::proxy::client::ProxyClient;
use edge_worker::proxy::lines;
use edge_worker::proxy::stream::transport::Transport;
use edge_worker::proxy::stream::{Over, Patience, Reader};
use edge_worker::worker::boot_clock::BootClock;
use edge_worker::worker::fresh_uuid;
use shared::id::{OrgId, WorkerId};
use shared::stream::StreamLine;
use shared::worker_key::WorkerKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

#[path = "../../fuzz/src/client.rs"]
mod client;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n";

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut inputs: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    inputs.sort();
    assert!(inputs.len() >= 20, "{target} has only {} inputs", inputs.len());
    inputs
}

#[test]
fn however_a_stream_is_cut_its_lines_are_the_same_and_none_of_them_harms() {
    for (path, bytes) in corpus("client_stream").into_iter().chain(corpus("stream_line")) {
        if std::panic::catch_unwind(move || client::client_stream(&bytes)).is_err() {
            panic!("{} breaks what must hold; the reason is above", path.display());
        }
    }
}

/// Reads a request's head and answers with a stream of these bytes; then the stream ends.
async fn serve(mut socket: TcpStream, bytes: Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = socket.read_u8().await else { return };
        head.push(byte);
    }
    // The client may hang up in the middle.
    let _ = socket.write_all(&[HEAD, &bytes].concat()).await;
    let _ = socket.shutdown().await;
}

#[tokio::test]
async fn a_client_survives_every_stream_of_the_corpus_and_reads_the_next_one() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut inputs = corpus("client_stream");
    inputs.extend(
        corpus("stream_line").into_iter().map(|(path, bytes)| (path, [bytes, b"\n".to_vec()].concat())),
    );
    for (path, bytes) in inputs {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let key = WorkerKey::new(OrgId::from_uuid(fresh_uuid()), [1; 32]);
        let proxy = ProxyClient::new(http::client().unwrap(), base, key, WorkerId::from_uuid(fresh_uuid()));
        let (sender, mut lines) = mpsc::channel(4);
        let reader = Reader {
            proxy,
            http: http::stream_client().unwrap(),
            transport: Transport::Ndjson,
            clock: Arc::new(BootClock),
            patience: Patience { first_pause: Duration::from_millis(5), ..Patience::default() },
            lines: sender,
        };
        let reading = tokio::spawn(reader.read_for_ever());
        // The hostile stream first; whatever the client made of it, it comes back for the sound one.
        let serving = tokio::spawn(async move {
            let mut streams = vec![bytes];
            while let Ok((socket, _)) = listener.accept().await {
                let marker =
                    b"{\"type\":\"config\",\"etag\":\"the marker\"}\n{\"type\":\"reconnect\"}\n".to_vec();
                serve(socket, streams.pop().unwrap_or(marker)).await;
            }
        });
        let marked = async {
            loop {
                match lines.recv().await.map(|arrival| arrival.line) {
                    Some(StreamLine::Config { etag }) if etag == "the marker" => return true,
                    Some(_) => {}
                    None => return false,
                }
            }
        };
        let marked = tokio::time::timeout(Duration::from_secs(10), marked).await;
        if marked != Ok(true) {
            // Some lines are told to end the client, and only those may.
            let over = tokio::time::timeout(Duration::from_secs(1), reading).await;
            let on_purpose = matches!(over, Ok(Ok(Over::Replaced | Over::Protocol(_))));
            assert!(on_purpose, "{}: {marked:?}, {over:?}", path.display());
        }
        serving.abort();
    }
}
