//! Images that an agent names in its last words, uploaded to Linear, so that people see them there.
//!
//! Only regular files within the worktree are taken, by their real path, so no link leads out of it. What cannot be
//! uploaded stays in the text as it was.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use shared::linear::answer::LinearError;
use shared::linear::operations::{FileUpload, file_upload};
use shared::linear::weight::Weight;
use tracing::warn;

use super::{CallError, LinearClient};
use crate::http::unreachable;

/// The most images of one answer.
const MOST: usize = 8;
/// The largest image, bytes.
const LARGEST: u64 = 10 * 1024 * 1024;
/// How long all of them may take: an answer does not wait longer for its images.
const PATIENCE: Duration = Duration::from_secs(20);

/// The text with images of the worktree uploaded and their links put right.
pub async fn uploaded(linear: &LinearClient, text: String, worktree: &Path) -> String {
    let Ok(root) = tokio::fs::canonicalize(worktree).await else { return text };
    let mut places = Vec::new();
    for (range, path) in images(&text) {
        if let Some((path, kind)) = within(&root, &path).await {
            places.push((range, path, kind));
        }
    }
    places.truncate(MOST);
    let until = tokio::time::Instant::now() + PATIENCE;
    let mut clean = text.clone();
    // From the end on, so that the places before keep their numbers.
    for (range, path, kind) in places.into_iter().rev() {
        let sent = tokio::time::timeout_at(until, upload(linear, &path, kind)).await;
        match sent {
            Ok(Ok(url)) => clean.replace_range(range, &url),
            Ok(Err(error)) => warn!("the image {} stays where it is: {error}", path.display()),
            Err(_) => warn!("the image {} stays where it is: Linear took too long", path.display()),
        }
    }
    clean
}

/// The addresses of Markdown images that are paths, and where they stand.
fn images(text: &str) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("![") {
        let Some(rest) = text.get(at..) else { continue };
        let line = rest.split('\n').next().unwrap_or_default();
        let Some(open) = line.find("](") else { continue };
        let begin = at + open + 2;
        let Some(length) = line.get(open + 2..).and_then(|rest| rest.find([')', ' '])) else { continue };
        let Some(path) = text.get(begin..begin + length) else { continue };
        if !path.is_empty() && !path.contains("://") && !path.starts_with("data:") {
            found.push((begin..begin + length, path.to_owned()));
        }
    }
    found
}

/// The real path of an image within the worktree, and its type.
async fn within(root: &Path, path: &str) -> Option<(PathBuf, &'static str)> {
    let kind = image_type(path)?;
    let real = tokio::fs::canonicalize(root.join(path)).await.ok()?;
    let inside = real.strip_prefix(root).ok()?;
    let is_gits = inside.components().any(|part| part.as_os_str() == ".git");
    let about = tokio::fs::metadata(&real).await.ok()?;
    (about.is_file() && about.len() <= LARGEST && !is_gits && image_type(real.to_str()?).is_some())
        .then_some((real, kind))
}

async fn upload(linear: &LinearClient, path: &Path, kind: &'static str) -> Result<String, CallError> {
    let refused =
        |message: String| CallError::Linear(LinearError::Refused { code: "upload".to_owned(), message });
    let image = tokio::fs::read(path).await.map_err(|error| refused(error.to_string()))?;
    if !is_image(&image) {
        return Err(refused("it is no image".to_owned()));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let variables = file_upload::Variables {
        content_type: kind.to_owned(),
        filename: name,
        size: i64::try_from(image.len()).unwrap_or(i64::MAX),
    };
    let answer = linear.call_as::<FileUpload>(Weight::First, variables).await?;
    let slot = answer.file_upload.upload_file.ok_or_else(|| refused("no place to upload to".to_owned()))?;
    // The address is signed: it gets the headers that came with it, and never the token.
    let mut request = linear.http.put(&slot.upload_url).header(CONTENT_TYPE, kind);
    request = request.header("cache-control", "public, max-age=31536000");
    for header in slot.headers {
        request = request.header(header.key, header.value);
    }
    let response =
        request.body(image).send().await.map_err(|error| CallError::Transport(unreachable(error)))?;
    if !response.status().is_success() {
        return Err(refused(format!("its place answered {}", response.status().as_u16())));
    }
    Ok(slot.asset_url)
}

/// The type of an image by its name; `None`: it is none that Linear shows.
fn image_type(name: &str) -> Option<&'static str> {
    let (_, kind) = name.rsplit_once('.')?;
    match kind.to_ascii_lowercase().as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "gif" => Some("image/gif"),
        "webp" => Some("image/webp"),
        _ => None,
    }
}

/// Whether a file begins as images do: a file of another kind is not sent under an image's name.
fn is_image(bytes: &[u8]) -> bool {
    let begins: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF"];
    begins.iter().any(|begin| bytes.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_their_paths_and_addresses_are_left_alone() {
        let text = "See ![a](shots/a.png) and ![b](./b.jpg \"title\") ![c](https://x/c.png) ![d](data:image/png;x) \
                    ![](e.gif) [f](f.png) ![g](g.png\n) ![h] ![i]( \u{1f980}![é](é.png)";
        let found: Vec<String> = images(text)
            .into_iter()
            .map(|(range, path)| {
                assert_eq!(text[range], path);
                path
            })
            .collect();
        assert_eq!(found, ["shots/a.png", "./b.jpg", "e.gif", "é.png"]);
    }

    #[tokio::test]
    async fn only_images_that_really_lie_in_the_worktree_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap().join("tree");
        std::fs::create_dir_all(root.join(".git")).unwrap();
        for name in ["a.png", "secret.txt", "../outside.png", ".git/x.png"] {
            std::fs::write(root.join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("../outside.png", root.join("link.png")).unwrap();
        std::os::unix::fs::symlink("secret.txt", root.join("disguised.png")).unwrap();
        std::fs::create_dir(root.join("folder.png")).unwrap();
        assert!(within(&root, "a.png").await.is_some());
        assert!(within(&root, root.join("a.png").to_str().unwrap()).await.is_some());
        for path in [
            "../outside.png",
            "link.png",
            "disguised.png",
            "folder.png",
            "secret.txt",
            "none.png",
            "/etc/passwd",
            ".git/x.png",
            "",
            "a.png\u{0}",
        ] {
            assert!(within(&root, path).await.is_none(), "{path}");
        }
    }
}
