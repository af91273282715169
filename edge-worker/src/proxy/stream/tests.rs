//! The stream client against a proxy that misbehaves, over real sockets.

mod hostile;
mod switching;

use std::time::Duration;

use shared::id::{OrgId, WorkerId};
use shared::worker_key::WorkerKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::worker::boot_clock::BootClock;
use crate::worker::fresh_uuid;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n";
const CONFIG: &str = "{\"type\":\"config\",\"etag\":\"1\"}\n";
const LIMIT: Duration = Duration::from_secs(20);

/// A proxy of the test's own, and a client that reads it.
struct Scene {
    listener: TcpListener,
    lines: mpsc::Receiver<Arrival>,
    reading: JoinHandle<Over>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

fn hello(protocol: u32, heartbeat_line_ms: u64) -> String {
    let worker = WorkerId::from_uuid(fresh_uuid());
    format!(
        r#"{{"type":"hello","workerId":"{worker}","protocol":{protocol},"serverTime":"2026-01-01T00:00:00.000Z","intervals":{{"heartbeatLineMs":{heartbeat_line_ms},"workerHeartbeatMs":45000,"leaseMs":150000,"offerMs":10000}}}}"#
    )
}

impl Scene {
    async fn new(transport: Transport, patience: Patience) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let key = WorkerKey::new(OrgId::from_uuid(fresh_uuid()), [1; 32]);
        let proxy =
            ProxyClient::new(crate::http::client().unwrap(), base, key, WorkerId::from_uuid(fresh_uuid()));
        let (sender, lines) = mpsc::channel(LINES_AHEAD);
        let http = crate::http::stream_client().unwrap();
        let clock = Arc::new(BootClock);
        let reader = Reader { proxy, http, transport, clock, patience, lines: sender };
        Self { listener, lines, reading: tokio::spawn(reader.read_for_ever()) }
    }

    async fn ndjson() -> Self {
        Self::new(Transport::Ndjson, Patience::default()).await
    }

    /// The next connection, and what it asks for.
    async fn request(&self) -> (TcpStream, String) {
        let (mut socket, _) = timeout(LIMIT, self.listener.accept()).await.unwrap().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).await.unwrap();
            request.extend(byte);
        }
        let text = String::from_utf8(request).unwrap();
        let lower = text.to_lowercase();
        assert!(
            lower.starts_with("get /v1/events ") && lower.contains("authorization: bearer cyw_"),
            "{text}"
        );
        (socket, text)
    }

    /// The next connection, answered with a stream.
    async fn stream(&self) -> TcpStream {
        let (mut socket, _) = self.request().await;
        socket.write_all(HEAD.as_bytes()).await.unwrap();
        socket
    }

    async fn next(&mut self) -> StreamLine {
        timeout(LIMIT, self.lines.recv()).await.unwrap().unwrap().line
    }

    async fn over(&mut self) -> Over {
        timeout(LIMIT, &mut self.reading).await.unwrap().unwrap()
    }
}

async fn send(socket: &mut TcpStream, text: impl AsRef<[u8]>) {
    socket.write_all(text.as_ref()).await.unwrap();
    socket.flush().await.unwrap();
}

fn config() -> StreamLine {
    StreamLine::Config { etag: "1".into() }
}

#[tokio::test]
async fn the_client_comes_back_after_every_break_and_passes_over_what_it_cannot_read() {
    let mut scene = Scene::ndjson().await;
    let mut socket = scene.stream().await;
    // Cut in the middle of a line, nonsense before it, a type that a newer proxy may know.
    send(&mut socket, format!("not json\n\u{0}\n{{\"type\":\"weather\"}}\n{CONFIG}{{\"type\":\"con")).await;
    assert_eq!(scene.next().await, config());
    drop(socket);
    let (mut socket, _) = scene.request().await;
    send(&mut socket, "HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    drop(socket);
    let mut socket = scene.stream().await;
    // One line in many pieces is one line.
    for piece in CONFIG.as_bytes().chunks(3) {
        send(&mut socket, piece).await;
    }
    assert_eq!(scene.next().await, config());
}

#[tokio::test]
async fn a_line_tells_when_its_stream_was_asked_for_however_late_it_is_read() {
    let before = BootClock.now();
    let mut scene = Scene::ndjson().await;
    let mut socket = scene.stream().await;
    let asked = BootClock.now();
    sleep(Duration::from_millis(50)).await;
    send(&mut socket, CONFIG).await;
    let arrival = timeout(LIMIT, scene.lines.recv()).await.unwrap().unwrap();
    assert!((before..=asked).contains(&arrival.asked));
}

#[tokio::test]
async fn a_stream_that_was_replaced_is_the_last_one() {
    let mut scene = Scene::ndjson().await;
    let mut socket = scene.stream().await;
    send(&mut socket, "{\"type\":\"replaced\"}\n").await;
    assert_eq!(scene.over().await, Over::Replaced);
}

#[tokio::test]
async fn a_worker_that_the_hub_does_not_know_has_to_register() {
    let mut scene = Scene::ndjson().await;
    let (mut socket, _) = scene.request().await;
    let problem = shared::problem::Problem::new(ProblemCode::WorkerUnknown, "register first");
    send(&mut socket, refusal(404, &serde_json::to_string(&problem).unwrap())).await;
    assert_eq!(scene.over().await, Over::Unregistered);
}

#[tokio::test]
async fn a_key_is_given_up_only_when_it_is_refused_again_and_again() {
    let patience = Patience { longest_pause: Duration::from_millis(50), ..Patience::default() };
    let mut scene = Scene::new(Transport::Auto, patience).await;
    let problem = shared::problem::Problem::new(ProblemCode::Unauthorized, "no");
    for _ in 0..4 {
        assert!(!scene.reading.is_finished());
        let (mut socket, _) = scene.request().await;
        send(&mut socket, refusal(401, &serde_json::to_string(&problem).unwrap())).await;
    }
    assert_eq!(scene.over().await, Over::Refused);
}

#[tokio::test]
async fn a_protocol_that_is_not_spoken_ends_it_and_names_the_version_to_install() {
    let mut scene = Scene::ndjson().await;
    let mut socket = scene.stream().await;
    send(&mut socket, hello(PROTOCOL + 1, 15_000) + "\n").await;
    let Over::Protocol(mend) = scene.over().await else { panic!("it goes on") };
    assert!(mend.contains("install") && mend.contains(&format!("protocol {}", PROTOCOL + 1)), "{mend}");

    let mut scene = Scene::ndjson().await;
    let (mut socket, _) = scene.request().await;
    let problem = shared::problem::Problem::new(ProblemCode::ProtocolUnsupported, "install cyrus 2.0.0");
    send(&mut socket, refusal(426, &serde_json::to_string(&problem).unwrap())).await;
    let Over::Protocol(mend) = scene.over().await else { panic!("it goes on") };
    assert!(mend.contains("install cyrus 2.0.0"), "{mend}");
}

fn refusal(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}
