//! The WebSocket, and when it is used.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::proxy::lines::MAX_LINE;

type Socket = WebSocketStream<TcpStream>;

fn quick() -> Patience {
    Patience {
        hello: Duration::from_millis(400),
        first_pause: Duration::from_millis(10),
        longest_pause: Duration::from_millis(50),
    }
}

fn wants_websocket(request: &str) -> Option<String> {
    let lower = request.to_lowercase();
    let header = |name: &str| {
        let at = lower.find(&format!("\r\n{name}: "))? + name.len() + 4;
        request.get(at..)?.split("\r\n").next().map(str::to_owned)
    };
    assert_eq!(header("upgrade").is_some(), header("sec-websocket-version").is_some());
    header("sec-websocket-key")
}

impl Scene {
    async fn websocket(&self) -> Socket {
        let (mut socket, request) = self.request().await;
        let key = wants_websocket(&request).expect("a WebSocket is asked for");
        let accept = derive_accept_key(key.as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        send(&mut socket, head).await;
        WebSocketStream::from_raw_socket(socket, Role::Server, None).await
    }
}

async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

#[tokio::test]
async fn a_websocket_carries_the_same_lines_and_the_client_asks_for_signs_of_life() {
    let mut scene = Scene::new(Transport::WebSocket, Patience::default()).await;
    let mut socket = scene.websocket().await;
    say(&mut socket, &hello(PROTOCOL, 400)).await;
    say(&mut socket, "not json").await;
    say(&mut socket, CONFIG).await;
    assert!(matches!(scene.next().await, StreamLine::Hello { .. }));
    assert_eq!(scene.next().await, config());
    // Answered three times over more than the 2.5 intervals that a silence may last, then no more.
    for _ in 0..3 {
        let asked = timeout(LIMIT, socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(asked.into_text().unwrap().as_str(), r#"{"type":"heartbeat"}"#);
        say(&mut socket, r#"{"type":"heartbeat"}"#).await;
    }
    let begun = Instant::now();
    let mut socket = scene.websocket().await;
    assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&begun.elapsed()));
    say(&mut socket, r#"{"type":"replaced"}"#).await;
    assert_eq!(scene.over().await, Over::Replaced);
}

#[tokio::test]
async fn two_ndjson_streams_without_hello_lead_to_a_websocket_and_its_failure_leads_back() {
    let mut scene = Scene::new(Transport::Auto, quick()).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let (mut socket, request) = scene.request().await;
        assert_eq!(wants_websocket(&request), None);
        // As something between the two that gathers the whole response first would have it.
        send(&mut socket, HEAD).await;
        kept.push(socket);
    }
    let mut socket = scene.websocket().await;
    say(&mut socket, &hello(PROTOCOL, 15_000)).await;
    assert!(matches!(scene.next().await, StreamLine::Hello { .. }));
    drop(socket);
    // It was good, so it is used again; now it is refused.
    let (mut socket, request) = scene.request().await;
    assert!(wants_websocket(&request).is_some());
    send(&mut socket, refusal(400, "no upgrades here")).await;
    let (_socket, request) = scene.request().await;
    assert_eq!(wants_websocket(&request), None);
}

#[tokio::test]
async fn a_stream_that_falls_silent_twice_counts_like_one_without_hello() {
    let scene = Scene::new(Transport::Auto, quick()).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut socket = scene.stream().await;
        send(&mut socket, hello(PROTOCOL, 0) + "\n").await;
        kept.push(socket);
    }
    let (_socket, request) = scene.request().await;
    assert!(wants_websocket(&request).is_some());
}

#[tokio::test]
async fn an_upgrade_that_was_not_made_for_this_request_is_not_believed() {
    let scene = Scene::new(Transport::WebSocket, quick()).await;
    let (mut socket, _) = scene.request().await;
    let accept = derive_accept_key(b"another");
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    send(&mut socket, head).await;
    scene.websocket().await;
}

#[tokio::test]
async fn a_message_beyond_the_limit_or_compressed_or_not_utf_8_ends_the_websocket_and_nothing_else() {
    let scene = Scene::new(Transport::WebSocket, quick()).await;
    let mut socket = scene.websocket().await;
    // In fragments that are each small enough.
    let part = vec![b'x'; MAX_LINE / 2];
    let stream = socket.get_mut();
    for first in [0x01_u8, 0x00, 0x00] {
        let mut frame = vec![first, 127];
        frame.extend((part.len() as u64).to_be_bytes());
        frame.extend(&part);
        if stream.write_all(&frame).await.is_err() {
            break;
        }
    }
    for frame in [
        // A length of 2^62 is announced.
        vec![0x81, 127, 0x40, 0, 0, 0, 0, 0, 0, 0],
        // The bit that says "compressed", which was not agreed on.
        vec![0xc1, 2, b'{', b'}'],
        // A text that is none.
        vec![0x81, 2, 0xff, 0xfe],
    ] {
        let mut socket = scene.websocket().await;
        send(socket.get_mut(), frame).await;
    }
    scene.websocket().await;
    assert!(scene.lines.is_empty());
}
