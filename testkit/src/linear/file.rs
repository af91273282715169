//! Files: a place to upload one to, and what was uploaded, under addresses of this stand-in's own.
//!
//! As Linear does it: the signed place takes a file only with the headers that were given for it, and reading one back
//! needs the token.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::refusal::Refusal;
use super::{World, lock};

/// Largest file, bytes.
const MOST: usize = 64 << 20;
/// The header that a place wants to see.
const SIGNED: &str = "x-upload-signature";

/// A file of the stand-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its address.
    pub url: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub content_type: String,
    /// What is in it; `None`: there is only a place for it.
    pub content: Option<Vec<u8>>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Files {
    pub(super) base: String,
    by_id: BTreeMap<String, StoredFile>,
}

impl Files {
    pub(super) fn all(&self) -> Vec<StoredFile> {
        self.by_id.values().cloned().collect()
    }

    pub(super) fn put(&mut self, name: &str, content_type: &str, content: Option<Vec<u8>>) -> String {
        let id = Uuid::new_v4().to_string();
        let url = format!("{}/uploads/{id}", self.base);
        let (name, content_type) = (name.to_owned(), content_type.to_owned());
        self.by_id.insert(id.clone(), StoredFile { url, name, content_type, content });
        id
    }

    /// `fileUpload`: a place for a file.
    pub(super) fn place(&mut self, arguments: &Map<String, Value>) -> Result<Value, Refusal> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
        let size = arguments.get("size").and_then(Value::as_i64).unwrap_or_default();
        if text("filename").is_empty() || size <= 0 {
            return Err(Refusal::input("Argument Validation Error - a file needs a name and a size"));
        }
        let id = self.put(text("filename"), text("contentType"), None);
        let url = format!("{}/uploads/{id}", self.base);
        Ok(json!({
            "uploadUrl": url, "assetUrl": url, "filename": text("filename"), "contentType": text("contentType"),
            "size": size, "headers": [{"key": SIGNED, "value": id}],
        }))
    }
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new().route("/uploads/{id}", get(read).put(write)).layer(DefaultBodyLimit::max(MOST))
}

async fn write(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut files = lock(&world.files);
    let Some(file) = files.by_id.get_mut(&id) else { return StatusCode::NOT_FOUND };
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|header| header == value);
    let signed = is(SIGNED, &id)
        && is(CONTENT_TYPE.as_str(), &file.content_type)
        && is(CACHE_CONTROL.as_str(), "public, max-age=31536000");
    // The place belongs to a storage service, which must never see the token.
    if !signed || headers.contains_key(AUTHORIZATION) {
        return StatusCode::FORBIDDEN;
    }
    file.content = Some(body.to_vec());
    StatusCode::OK
}

async fn read(State(world): State<Arc<World>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let wanted = format!("Bearer {}", lock(&world.access_token));
    if headers.get(AUTHORIZATION).is_none_or(|shown| *shown != wanted) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match lock(&world.files).by_id.get(&id) {
        Some(StoredFile { content: Some(content), content_type, .. }) => {
            ([(CONTENT_TYPE, content_type.clone())], content.clone()).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
