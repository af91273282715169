//! What must hold at the edge for any bytes that a proxy sends: however they are cut, they are the same lines, and each
//! of them is read or refused without a panic.
//!
//! Included by the fuzz target and by `edge-worker/tests/corpus.rs`, which both have the edge's `lines` at their root.

use crate::lines::Lines;

/// Bytes of a stream.
pub fn client_stream(bytes: &[u8]) {
    let whole: Vec<&[u8]> = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_suffix(b"\n"))
        .filter(|line| !line.is_empty())
        .collect();
    for size in [1, 3, 64, 4096, bytes.len().max(1)] {
        let mut lines = Lines::new();
        let mut read: Vec<Vec<u8>> = Vec::new();
        for piece in bytes.chunks(size) {
            match lines.feed(piece) {
                Ok(ended) => read.extend(ended),
                Err(too_long) => panic!("{too_long} in {} bytes", bytes.len()),
            }
        }
        assert_eq!(read, whole, "cut every {size} bytes");
    }
    for line in whole {
        let _read_or_refused = shared::stream::parse(line);
    }
}
