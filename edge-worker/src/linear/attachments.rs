//! Files that people attached in Linear, brought here for the agent.
//!
//! Taken are links to Linear's own file host or to the API's own origin, and nothing else. The token goes to those
//! two and never follows a redirect to another host. Files get safe names, are cut off by size and number, and lie in
//! a folder of their session; what cannot be had is told to the agent and stops nothing.

mod link;

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, LOCATION};
use tokio::io::AsyncWriteExt;

pub use link::{Link, links};

/// The most files of one request for work.
pub const MOST_FILES: usize = 20;
/// The largest file, bytes.
pub const LARGEST: u64 = 25 * 1024 * 1024;
const MOST_REDIRECTS: usize = 5;
/// How long one file may take, and all of them.
const ONE: Duration = Duration::from_secs(60);
const ALL: Duration = Duration::from_secs(180);

/// A file that was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// What its link is called.
    pub label: String,
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AttachmentError {
    /// No answer, or one that broke off.
    #[error("no answer from its host")]
    Unreachable(#[source] reqwest::Error),
    /// Its host refused.
    #[error("its host answered {0}")]
    Refused(u16),
    /// It leads on and on, or to a place that is none.
    #[error("its address leads nowhere")]
    Astray,
    /// It is too large.
    #[error("it is larger than 25 MB")]
    TooLarge,
    /// It took too long.
    #[error("it took too long")]
    TooLong,
    /// It cannot be written here.
    #[error("it cannot be written to the disk")]
    Disk(#[from] std::io::Error),
}

/// How files are reached.
#[derive(Clone)]
pub struct Access {
    /// Where the API is.
    pub api: Url,
    /// What stands in the header `Authorization`.
    pub authorization: String,
}

/// Brings all files that the texts link to into `folder`; returns what the agent is told of them, if there are any.
pub async fn bring(access: &Access, texts: &[&str], folder: &Path) -> Option<String> {
    let found = links(texts, &access.api);
    if found.is_empty() {
        return None;
    }
    let (left_out, until) = (found.len().saturating_sub(MOST_FILES), tokio::time::Instant::now() + ALL);
    let mut lines = Vec::new();
    for link in found.into_iter().take(MOST_FILES) {
        let one =
            tokio::time::timeout_at(until.min(tokio::time::Instant::now() + ONE), one(access, &link, folder));
        lines.push(match one.await.unwrap_or(Err(AttachmentError::TooLong)) {
            Ok(file) => format!("- {} ({}, {} bytes)", file.path.display(), file.label, file.bytes),
            Err(error) => format!("- {} could not be had: {error}", link.label),
        });
    }
    if left_out > 0 {
        lines.push(format!("- {left_out} more files were left out"));
    }
    Some(format!("Files that people attached in Linear, to be read here:\n{}", lines.join("\n")))
}

/// Brings one file, unless it is here already.
async fn one(access: &Access, link: &Link, folder: &Path) -> Result<Attachment, AttachmentError> {
    let path = folder.join(link.file_name());
    let label = link.label.clone();
    if let Ok(known) = tokio::fs::metadata(&path).await {
        return Ok(Attachment { path, bytes: known.len(), label });
    }
    tokio::fs::create_dir_all(folder).await?;
    let part = folder.join(format!("{}.part", link.file_name()));
    let bytes = match fetch(access, &link.url, &part).await {
        Ok(bytes) => bytes,
        Err(error) => {
            let _ = tokio::fs::remove_file(&part).await;
            return Err(error);
        }
    };
    tokio::fs::rename(&part, &path).await?;
    Ok(Attachment { path, bytes, label })
}

async fn fetch(access: &Access, url: &Url, to: &Path) -> Result<u64, AttachmentError> {
    // One of its own: the usual client follows redirects by itself, and would take its headers along.
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(AttachmentError::Unreachable)?;
    let mut at = url.clone();
    for _ in 0..=MOST_REDIRECTS {
        let mut request = http.get(at.clone());
        if at.origin() == url.origin() {
            request = request.header(AUTHORIZATION, &access.authorization);
        }
        let response = request.send().await.map_err(AttachmentError::Unreachable)?;
        let status = response.status();
        if status.is_redirection() {
            let next = response.headers().get(LOCATION).and_then(|place| place.to_str().ok());
            let next = next.and_then(|place| at.join(place).ok()).ok_or(AttachmentError::Astray)?;
            // From https on only to https: a file is not fetched in the clear, nor from this machine's own ports.
            if next.scheme() != "https" && next.origin() != url.origin() {
                return Err(AttachmentError::Astray);
            }
            at = next;
            continue;
        }
        if !status.is_success() {
            return Err(AttachmentError::Refused(status.as_u16()));
        }
        return keep(response, to).await;
    }
    Err(AttachmentError::Astray)
}

async fn keep(mut response: reqwest::Response, to: &Path) -> Result<u64, AttachmentError> {
    if response.content_length().is_some_and(|length| length > LARGEST) {
        return Err(AttachmentError::TooLarge);
    }
    let mut file = tokio::fs::File::create(to).await?;
    let mut bytes = 0_u64;
    while let Some(chunk) = response.chunk().await.map_err(AttachmentError::Unreachable)? {
        bytes = bytes.saturating_add(chunk.len() as u64);
        if bytes > LARGEST {
            return Err(AttachmentError::TooLarge);
        }
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
