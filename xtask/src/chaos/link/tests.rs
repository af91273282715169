//! The fault proxy against a small server that speaks HTTP by hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::*;

/// Answers posts with their own body, streams a line every 10 ms, echoes what it was upgraded to.
struct Hub {
    address: SocketAddr,
    posts: Arc<AtomicUsize>,
    /// Streams that are open.
    open: Arc<AtomicUsize>,
}

async fn hub() -> Hub {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let hub = Hub { address: listener.local_addr().unwrap(), posts: Arc::default(), open: Arc::default() };
    let (posts, open) = (Arc::clone(&hub.posts), Arc::clone(&hub.open));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(speak(socket, Arc::clone(&posts), Arc::clone(&open)));
        }
    });
    hub
}

async fn speak(socket: TcpStream, posts: Arc<AtomicUsize>, open: Arc<AtomicUsize>) -> Option<()> {
    let mut socket = BufReader::new(socket);
    let (mut head, mut length, mut upgrade) = (String::new(), 0, false);
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        upgrade |= line.starts_with("upgrade:");
        if head.is_empty() {
            head = line;
        }
    }
    if upgrade {
        let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        socket.write_all(answer.as_bytes()).await.ok()?;
        let mut space = [0; 64];
        while let Ok(read @ 1..) = socket.read(&mut space).await {
            socket.write_all(&space[..read]).await.ok()?;
        }
    } else if head.starts_with("get") {
        open.fetch_add(1, Ordering::SeqCst);
        let mut sent = socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while sent.is_ok() {
            sent = socket.write_all(b"3\r\n{}\n\r\n").await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        open.fetch_sub(1, Ordering::SeqCst);
    } else {
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.ok()?;
        posts.fetch_add(1, Ordering::SeqCst);
        let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        socket.write_all(&[head.as_bytes(), &body].concat()).await.ok()?;
    }
    Some(())
}

async fn link(hub: &Hub) -> Link {
    Link::start(hub.address, fastrand::Rng::with_seed(7), Injected::default()).await.unwrap()
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn stream(link: &Link) -> reqwest::Response {
    client().get(format!("{}/v1/events", link.url)).send().await.unwrap()
}

/// Bytes that come within this time; `None`: the stream broke.
async fn within(stream: &mut reqwest::Response, millis: u64) -> Option<usize> {
    let (mut bytes, end) = (0, Instant::now() + Duration::from_millis(millis));
    while let Ok(chunk) = tokio::time::timeout_at(end.into(), stream.chunk()).await {
        bytes += chunk.ok()??.len();
    }
    Some(bytes)
}

async fn eventually(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(5), "it does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The parts of a connection that was upgraded.
async fn upgraded(link: &Link) -> TcpStream {
    let mut socket = TcpStream::connect(link.url.trim_start_matches("http://")).await.unwrap();
    let request = "GET /v1/events HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    socket
}

async fn echo(socket: &mut TcpStream) -> std::io::Result<()> {
    socket.write_all(b"hello").await?;
    let mut back = [0; 5];
    socket.read_exact(&mut back).await?;
    assert_eq!(&back, b"hello");
    Ok(())
}

#[tokio::test]
async fn without_a_fault_everything_passes_as_it_is() {
    let hub = hub().await;
    let link = link(&hub).await;
    let post = client().post(format!("{}/v1/acks", link.url)).body("a\0b").send().await.unwrap();
    assert_eq!(post.bytes().await.unwrap().as_ref(), b"a\0b");
    assert!(within(&mut stream(&link).await, 200).await.unwrap() > 0);
    echo(&mut upgraded(&link).await).await.unwrap();
    assert!(link.shared.injected.all().is_empty());
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_the_next_connection_works() {
    let hub = hub().await;
    let link = link(&hub).await;
    let (mut lines, mut socket) = (stream(&link).await, upgraded(&link).await);
    link.cut();
    assert_eq!(within(&mut lines, 5_000).await, None);
    assert!(echo(&mut socket).await.is_err());
    let gone = Arc::clone(&hub.open);
    eventually(|| gone.load(Ordering::SeqCst) == 0).await;
    assert!(within(&mut stream(&link).await, 200).await.unwrap() > 0);
    assert_eq!(link.shared.injected.all(), BTreeMap::from([("cut", 1)]));
}

#[tokio::test]
async fn a_stall_holds_streams_up_and_lets_posts_pass() {
    let hub = hub().await;
    let link = link(&hub).await;
    let (mut lines, mut socket) = (stream(&link).await, upgraded(&link).await);
    echo(&mut socket).await.unwrap();
    let held = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        within(&mut lines, 100).await.unwrap();
        assert_eq!(within(&mut lines, 200).await, Some(0));
        let post = client().post(format!("{}/v1/heartbeats", link.url)).body("x").send().await.unwrap();
        assert_eq!(post.status(), 200);
        let begun = Instant::now();
        echo(&mut socket).await.unwrap();
        assert!(begun.elapsed() > Duration::from_millis(200));
        assert!(within(&mut lines, 200).await.unwrap() > 0);
    };
    tokio::join!(link.stall(Duration::from_millis(900)), held);
    assert_eq!(link.shared.injected.all(), BTreeMap::from([("stall", 1)]));
}

#[tokio::test]
async fn a_half_open_link_swallows_both_ways_hides_every_close_and_is_reset_at_its_end() {
    let hub = hub().await;
    let link = link(&hub).await;
    let (mut lines, mut socket, closing) = (stream(&link).await, upgraded(&link).await, stream(&link).await);
    let open = Arc::clone(&hub.open);
    eventually(|| open.load(Ordering::SeqCst) == 2).await;
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        within(&mut lines, 50).await.unwrap();
        assert_eq!(within(&mut lines, 200).await, Some(0), "silent, not broken");
        drop(closing);
        socket.write_all(b"lost").await.unwrap();
        let mut space = [0; 4];
        let silent = Duration::from_millis(200);
        assert!(tokio::time::timeout(silent, socket.read(&mut space)).await.is_err());
        assert_eq!(open.load(Ordering::SeqCst), 2, "the hub does not learn that the edge has gone");
        let post = client().post(format!("{}/v1/acks", link.url)).body("x").timeout(silent).send().await;
        assert!(post.is_err_and(|error| error.is_timeout()));
    };
    tokio::join!(link.half_open(Duration::from_millis(1_200)), meanwhile);
    assert_eq!(hub.posts.load(Ordering::SeqCst), 0);
    assert_eq!(within(&mut lines, 5_000).await, None);
    assert!(echo(&mut socket).await.is_err());
    eventually(|| open.load(Ordering::SeqCst) == 0).await;
    echo(&mut upgraded(&link).await).await.unwrap();
    assert_eq!(link.shared.injected.all(), BTreeMap::from([("half_open", 1)]));
}

#[tokio::test]
async fn noise_drops_repeats_and_delays_posts_as_the_seed_says_and_nothing_else() {
    let hub = hub().await;
    let link = link(&hub).await;
    link.noise(true);
    let mut dice = fastrand::Rng::with_seed(7);
    let (mut sent, mut late, mut expected) = (0, 0, BTreeMap::new());
    for _ in 0..40 {
        let fate = post::Fate::draw(&mut dice);
        let answer = client().post(format!("{}/v1/acks", link.url)).body("x").send().await;
        let (name, arrives, answered) = match fate {
            post::Fate::Passes => ("", 1, true),
            post::Fate::RequestDropped => ("request_dropped", 0, false),
            post::Fate::AnswerDropped => ("answer_dropped", 1, false),
            post::Fate::Repeated => ("repeated", 2, true),
            post::Fate::RepeatedLate(_) => ("repeated_late", 1, true),
            post::Fate::Delayed(_) => ("delayed", 1, true),
        };
        assert_eq!(answer.is_ok(), answered, "{fate:?}");
        sent += arrives;
        late += usize::from(name == "repeated_late");
        *expected.entry(name).or_insert(0) += 1;
    }
    link.noise(false);
    assert!((sent..=sent + late).contains(&hub.posts.load(Ordering::SeqCst)));
    expected.retain(|name, _| !matches!(*name, "" | "repeated_late"));
    let mut injected = link.shared.injected.all();
    injected.remove("repeated_late");
    assert_eq!(injected, expected);
    assert!(expected.len() > 2, "the seed shows too little: {expected:?}");
    let other = client().post(format!("{}/v1/acks", link.url)).body("x").send().await.unwrap();
    assert_eq!(other.status(), 200);
}
