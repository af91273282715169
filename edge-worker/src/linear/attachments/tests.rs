//! Files are brought from Linear's own places alone, and the token goes nowhere else.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::*;

/// What a host was asked: path and `Authorization`.
type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A host that answers as the path says.
async fn host() -> (String, Asked) {
    let asked = Asked::default();
    let app = Router::new().fallback(answer).with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (base, asked)
}

async fn answer(State(asked): State<Asked>, uri: Uri, headers: HeaderMap) -> Response {
    let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    asked.lock().unwrap().push((uri.path().to_owned(), token.clone()));
    if token.is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let redirect = |to: String| (StatusCode::FOUND, [("location", to)]).into_response();
    match uri.path() {
        "/files/gone" => StatusCode::NOT_FOUND.into_response(),
        "/files/round" => redirect("/files/round".to_owned()),
        "/files/moved" => redirect("/files/here.txt".to_owned()),
        "/files/away" => redirect(uri.query().unwrap_or_default().to_owned()),
        "/files/large" => {
            let piece = bytes_of(1024 * 1024);
            let pieces =
                futures_util::stream::iter((0..30).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
            Body::from_stream(pieces).into_response()
        }
        path => format!("content of {path}").into_response(),
    }
}

fn bytes_of(length: usize) -> Vec<u8> {
    vec![7; length]
}

fn access(base: &str) -> Access {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Access { api: Url::parse(&format!("{base}/graphql")).unwrap(), authorization: "Bearer t".to_owned() }
}

#[tokio::test]
async fn files_are_brought_with_the_token_and_what_cannot_be_had_is_told() {
    let (base, asked) = host().await;
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "![shot 1.png]({base}/files/1) {base}/files/gone {base}/files/moved {base}/files/round {base}/files/large"
    );
    let told = bring(&access(&base), &[&text], folder.path()).await.unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 6, "{told}");
    assert!(lines[1].contains("-shot-1.png (shot 1.png, 19 bytes)"), "{told}");
    assert!(lines[2].contains("gone could not be had: its host answered 404"), "{told}");
    assert!(lines[3].contains("-moved (moved, 26 bytes)"), "{told}");
    assert!(lines[4].contains("round could not be had: its address leads nowhere"), "{told}");
    assert!(lines[5].contains("large could not be had: it is larger than 25 MB"), "{told}");
    assert!(asked.lock().unwrap().iter().all(|(_, token)| token.as_deref() == Some("Bearer t")));
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["content of /files/1", "content of /files/here.txt"]);
    let before = asked.lock().unwrap().len();
    bring(&access(&base), &[&format!("![shot 1.png]({base}/files/1)")], folder.path()).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), before, "what is here is not fetched again");
}

#[tokio::test]
async fn the_token_never_follows_a_redirect_to_another_host() {
    let (base, _) = host().await;
    let (other, asked) = host().await;
    let folder = tempfile::tempdir().unwrap();
    let told =
        bring(&access(&base), &[&format!("{base}/files/away?{other}/files/x")], folder.path()).await.unwrap();
    assert!(told.contains("could not be had"), "{told}");
    assert!(asked.lock().unwrap().iter().all(|(_, token)| token.is_none()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn of_many_files_the_first_twenty_are_brought_and_other_links_none() {
    let (base, asked) = host().await;
    let folder = tempfile::tempdir().unwrap();
    let many: String = (0..25).map(|number| format!("{base}/files/{number}.txt ")).collect();
    let told = bring(&access(&base), &[&many], folder.path()).await.unwrap();
    assert!(told.ends_with("- 5 more files were left out"), "{told}");
    assert_eq!(asked.lock().unwrap().len(), 20);
    assert_eq!(
        bring(&access(&base), &["http://127.0.0.1:1/x https://example.com/y"], folder.path()).await,
        None
    );
}
