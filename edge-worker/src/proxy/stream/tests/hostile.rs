//! What a hostile proxy may try: to fill memory, to spin the client, to make it fall over.

use super::*;
use crate::proxy::lines::MAX_LINE;

/// Most of a line that has no end is refused by the sockets long before this.
const FAR_TOO_MUCH: usize = 4 * MAX_LINE;

#[tokio::test]
async fn a_line_without_end_ends_the_stream_and_not_the_memory() {
    let scene = Scene::ndjson().await;
    let mut socket = scene.stream().await;
    let chunk = vec![b'x'; 1024 * 1024];
    let mut sent = 0;
    while socket.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
        assert!(sent < FAR_TOO_MUCH, "the client reads on and on");
    }
    // It is back for another.
    scene.stream().await;
}

#[tokio::test]
async fn a_refusal_without_end_is_not_read_to_its_end() {
    let scene = Scene::ndjson().await;
    let (mut socket, _) = scene.request().await;
    send(&mut socket, "HTTP/1.1 500 No\r\nconnection: close\r\n\r\n").await;
    let chunk = vec![b'x'; 1024 * 1024];
    let mut sent = 0;
    while socket.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
        assert!(sent < FAR_TOO_MUCH, "the client reads on and on");
    }
    scene.stream().await;
}

#[tokio::test]
async fn a_flood_of_lines_that_mean_nothing_is_passed_over_without_being_held() {
    let mut scene = Scene::ndjson().await;
    let mut socket = scene.stream().await;
    let flood = ["\n", "{\"type\":\"weather\"}\n", "{\"type\":\"heartbeat\"}\n", "[[[[[[[[\n", "\u{0}\n"];
    for nothing in flood {
        send(&mut socket, nothing.repeat(20_000)).await;
    }
    send(&mut socket, b"\xff\xfe\n{\"type\":\"config\",\"etag\":\"\xff\"}\n").await;
    send(&mut socket, format!("{}\n", "[".repeat(1_000_000))).await;
    send(&mut socket, CONFIG).await;
    assert_eq!(scene.next().await, config());
}

#[tokio::test]
async fn lines_that_nobody_reads_are_left_in_the_sockets() {
    let scene = Scene::ndjson().await;
    let mut socket = scene.stream().await;
    send(&mut socket, hello(PROTOCOL, 120_000) + "\n").await;
    let line = format!("{{\"type\":\"config\",\"etag\":\"{}\"}}\n", "x".repeat(1024 * 1024));
    let mut sent = 0;
    // The client stops to read when a few lines wait.
    while let Ok(written) = timeout(Duration::from_secs(1), socket.write_all(line.as_bytes())).await {
        written.unwrap();
        sent += line.len();
        assert!(sent < FAR_TOO_MUCH, "the client holds all of it");
    }
    assert_eq!(scene.lines.len(), LINES_AHEAD);
}

#[tokio::test]
async fn a_proxy_that_sends_the_client_away_at_once_is_not_followed_as_fast_as_it_likes() {
    let scene = Scene::ndjson().await;
    let until = Instant::now() + Duration::from_secs(2);
    let mut streams = 0;
    while let Ok((mut socket, _)) = tokio::time::timeout_at(until, scene.request()).await {
        send(&mut socket, format!("{HEAD}{}\n{{\"type\":\"reconnect\"}}\n", hello(PROTOCOL, 15_000))).await;
        streams += 1;
    }
    assert!((2..10).contains(&streams), "{streams} in two seconds");
}

#[tokio::test]
async fn a_body_that_says_it_is_compressed_is_not_blown_up() {
    let mut scene = Scene::ndjson().await;
    let (mut socket, _) = scene.request().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";
    send(&mut socket, head).await;
    // As a bomb would begin; were it understood, the plain line behind it would not be.
    send(&mut socket, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xec\xc1\x01\n").await;
    send(&mut socket, CONFIG).await;
    assert_eq!(scene.next().await, config());
}

#[tokio::test]
async fn an_interval_of_nothing_or_of_for_ever_is_brought_into_bounds() {
    let patience = Patience { first_pause: Duration::from_millis(20), ..Patience::default() };
    let mut scene = Scene::new(Transport::Ndjson, patience).await;
    let mut socket = scene.stream().await;
    send(&mut socket, hello(PROTOCOL, 0) + "\n").await;
    assert!(matches!(scene.next().await, StreamLine::Hello { .. }));
    let silent = Instant::now();
    let mut socket = scene.stream().await;
    assert!(silent.elapsed() > Duration::from_millis(900), "it gave up after {:?}", silent.elapsed());
    send(&mut socket, hello(PROTOCOL, u64::MAX) + "\n").await;
    assert!(matches!(scene.next().await, StreamLine::Hello { .. }));
    send(&mut socket, CONFIG).await;
    assert_eq!(scene.next().await, config());
}

#[tokio::test]
async fn a_hello_of_a_million_leases_is_refused_by_its_length_or_read() {
    let mut scene = Scene::ndjson().await;
    let mut socket = scene.stream().await;
    let lease = |number: usize| format!(r#"{{"sessionKey":"{number}","token":1}}"#);
    let text = hello(PROTOCOL, 15_000);
    let with = |count: usize| {
        let leases: Vec<String> = (0..count).map(lease).collect();
        text.replacen("\"type\"", &format!("\"leases\":[{}],\"type\"", leases.join(",")), 1) + "\n"
    };
    send(&mut socket, with(100_000)).await;
    assert!(matches!(scene.next().await, StreamLine::Hello { leases, .. } if leases.len() == 100_000));
    let million = with(1_000_000);
    assert!(million.len() > MAX_LINE);
    // The client hangs up half way.
    let _ = socket.write_all(million.as_bytes()).await;
    scene.stream().await;
    assert!(scene.lines.is_empty());
}
