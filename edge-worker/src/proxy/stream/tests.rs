//! The stream client against a proxy that misbehaves, over real sockets.

use std::time::Duration;

use shared::id::{OrgId, WorkerId};
use shared::stream::StreamLine;
use shared::worker_key::WorkerKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{MAX_LINE, Over, read_for_ever};
use crate::proxy::client::ProxyClient;
use crate::worker::fresh_uuid;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n";
const CONFIG: &str = "{\"type\":\"config\",\"etag\":\"1\"}\n";

async fn proxy() -> (TcpListener, ProxyClient) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let key = WorkerKey::new(OrgId::from_uuid(fresh_uuid()), [1; 32]);
    let client =
        ProxyClient::new(crate::http::client().unwrap(), base, key, WorkerId::from_uuid(fresh_uuid()));
    (listener, client)
}

fn read(client: ProxyClient) -> (mpsc::Receiver<StreamLine>, tokio::task::JoinHandle<Over>) {
    let (sender, receiver) = mpsc::channel(16);
    let http = crate::http::stream_client().unwrap();
    (receiver, tokio::spawn(read_for_ever(client, http, sender)))
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut socket, _) = timeout(Duration::from_secs(20), listener.accept()).await.unwrap().unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).await.unwrap();
        request.extend(byte);
    }
    let text = String::from_utf8(request).unwrap().to_lowercase();
    assert!(text.starts_with("get /v1/events ") && text.contains("authorization: bearer cyw_"), "{text}");
    socket
}

async fn next(lines: &mut mpsc::Receiver<StreamLine>) -> StreamLine {
    timeout(Duration::from_secs(20), lines.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_client_comes_back_after_every_break_and_passes_over_what_it_cannot_read() {
    let (listener, client) = proxy().await;
    let (mut lines, reading) = read(client);
    let mut socket = accept(&listener).await;
    // Cut in the middle of a line, nonsense before it, a type that a newer proxy may know.
    socket
        .write_all(
            format!("{HEAD}not json\n\u{0}\n{{\"type\":\"weather\"}}\n{CONFIG}{{\"type\":\"con").as_bytes(),
        )
        .await
        .unwrap();
    assert_eq!(next(&mut lines).await, StreamLine::Config { etag: "1".into() });
    drop(socket);
    let mut socket = accept(&listener).await;
    socket.write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
    drop(socket);
    let mut socket = accept(&listener).await;
    // One line in many pieces is one line.
    socket.write_all(HEAD.as_bytes()).await.unwrap();
    for piece in CONFIG.as_bytes().chunks(3) {
        socket.write_all(piece).await.unwrap();
        socket.flush().await.unwrap();
    }
    assert_eq!(next(&mut lines).await, StreamLine::Config { etag: "1".into() });
    reading.abort();
}

#[tokio::test]
async fn a_line_without_end_ends_the_stream_and_not_the_memory() {
    let (listener, client) = proxy().await;
    let (_lines, reading) = read(client);
    let mut socket = accept(&listener).await;
    socket.write_all(HEAD.as_bytes()).await.unwrap();
    let chunk = vec![b'x'; 1024 * 1024];
    let mut sent = 0;
    while socket.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 4 * MAX_LINE, "the client reads on and on");
    }
    // It is back for another.
    accept(&listener).await;
    reading.abort();
}

#[tokio::test]
async fn a_stream_that_was_replaced_is_the_last_one() {
    let (listener, client) = proxy().await;
    let (_lines, reading) = read(client);
    let mut socket = accept(&listener).await;
    socket.write_all(format!("{HEAD}{{\"type\":\"replaced\"}}\n").as_bytes()).await.unwrap();
    assert_eq!(timeout(Duration::from_secs(20), reading).await.unwrap().unwrap(), Over::Replaced);
}
