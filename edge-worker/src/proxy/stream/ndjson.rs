//! A stream as a response that does not end: one JSON object a line.

use std::collections::VecDeque;
use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use reqwest::Response;

use super::wire::Cut;
use crate::http;
use crate::proxy::lines::Lines;

type Pieces = Pin<Box<dyn Stream<Item = reqwest::Result<Vec<u8>>> + Send>>;

/// An open response.
pub(super) struct Ndjson {
    pieces: Pieces,
    lines: Lines,
    whole: VecDeque<Vec<u8>>,
}

impl Ndjson {
    pub(super) fn new(response: Response) -> Self {
        let pieces = response.bytes_stream().map(|piece| piece.map(Vec::from));
        Self { pieces: Box::pin(pieces), lines: Lines::new(), whole: VecDeque::new() }
    }

    /// The next line. Nothing is lost when this is dropped half way.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, Cut> {
        loop {
            if let Some(line) = self.whole.pop_front() {
                return Ok(line);
            }
            let piece = match self.pieces.next().await {
                None => return Err(Cut("it ended".to_owned())),
                Some(Err(error)) => return Err(Cut(http::unreachable(error).to_string())),
                Some(Ok(piece)) => piece,
            };
            self.whole = self.lines.feed(&piece).map_err(|error| Cut(error.to_string()))?.into();
        }
    }
}
