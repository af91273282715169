//! Cuts a growing byte stream into lines, with a cap on their length.
//! Neighbours: fed by `tail`, drained by an executor's parser.
//! It must never hold more than one over-long line's cap in memory, and never lose the line after it.

use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::{AnyDelimiterCodec, Decoder};

/// The longest line that is read, in bytes. Agents print whole files in one line.
pub const LINE_LIMIT: usize = 16 * 1024 * 1024;

/// A line, or the place where one was too long to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line without its end.
    Whole(Bytes),
    /// A line longer than the cap was left out.
    TooLong {
        /// The cap, in bytes.
        limit: usize,
    },
}

impl Line {
    /// The line as text; what is no text is replaced.
    pub fn text(&self) -> String {
        match self {
            Self::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::TooLong { limit } => format!("(a line longer than {limit} bytes)"),
        }
    }
}

/// Cuts bytes into lines.
#[derive(Debug)]
pub struct LineReader {
    codec: AnyDelimiterCodec,
    buffer: BytesMut,
    limit: usize,
    taken_in: u64,
}

impl LineReader {
    /// A reader that leaves out lines longer than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            codec: AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), b"\n".to_vec(), limit),
            buffer: BytesMut::new(),
            limit,
            taken_in: 0,
        }
    }

    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.taken_in = self.taken_in.saturating_add(bytes.len() as u64);
    }

    /// How many of the bytes belong to lines that were given out or left out. After a whole line: where it ends.
    pub fn given_out(&self) -> u64 {
        self.taken_in.saturating_sub(self.buffer.len() as u64)
    }

    /// The next whole line, if one is there. Empty lines are left out.
    pub fn next_line(&mut self) -> Option<Line> {
        loop {
            let decoded = self.codec.decode(&mut self.buffer);
            match self.line(decoded) {
                Some(Line::Whole(bytes)) if is_blank(&bytes) => {}
                other => return other,
            }
        }
    }

    /// What is left when no more bytes will come: a last line without an end.
    pub fn last_line(&mut self) -> Option<Line> {
        let decoded = self.codec.decode_eof(&mut self.buffer);
        self.line(decoded).filter(|line| !matches!(line, Line::Whole(bytes) if is_blank(bytes)))
    }

    fn line<E>(&self, decoded: Result<Option<Bytes>, E>) -> Option<Line> {
        match decoded {
            Ok(bytes) => bytes.map(Line::Whole),
            Err(_) => Some(Line::TooLong { limit: self.limit }),
        }
    }
}

impl Default for LineReader {
    fn default() -> Self {
        Self::new(LINE_LIMIT)
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(reader: &mut LineReader) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(line) = reader.next_line() {
            seen.push(match line {
                Line::Whole(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Line::TooLong { limit } => format!("too long: {limit}"),
            });
        }
        seen
    }

    #[test]
    fn a_line_may_arrive_byte_by_byte() {
        let mut reader = LineReader::default();
        let mut seen = Vec::new();
        for byte in b"one\n\r\n\ntwo\n" {
            reader.push(&[*byte]);
            seen.extend(drain(&mut reader));
        }
        assert_eq!(seen, ["one", "two"]);
    }

    #[test]
    fn after_each_line_it_is_known_where_it_ended() {
        let mut reader = LineReader::new(10);
        reader.push(b"one\n\ntwo\nrest");
        let mut ends = Vec::new();
        while reader.next_line().is_some() {
            ends.push(reader.given_out());
        }
        assert_eq!(ends, [4, 9]);
        reader.push(b" is too long for this one\nlast\n");
        assert!(matches!(reader.next_line(), Some(Line::TooLong { .. })));
        assert_eq!(reader.next_line(), Some(Line::Whole(Bytes::from_static(b"last"))));
        assert_eq!(reader.given_out(), 44);
    }

    #[test]
    fn a_line_over_the_cap_is_left_out_and_the_next_one_is_read() {
        let mut reader = LineReader::new(10);
        for chunk in ["short\n", "0123456", "789012345", "67890123456789", "tail\nnext\n"] {
            reader.push(chunk.as_bytes());
        }
        assert_eq!(drain(&mut reader), ["short", "too long: 10", "next"]);
    }

    #[test]
    fn an_over_long_line_is_let_go_while_it_still_arrives() {
        let mut reader = LineReader::new(10);
        let mut seen = Vec::new();
        for _ in 0..1000 {
            reader.push(b"0123456789");
            seen.extend(drain(&mut reader));
            assert!(reader.buffer.len() <= 20);
        }
        assert_eq!(seen, ["too long: 10"]);
    }

    #[test]
    fn the_last_line_needs_no_end() {
        let mut reader = LineReader::default();
        reader.push(b"cut off");
        assert_eq!(reader.next_line(), None);
        assert_eq!(reader.last_line(), Some(Line::Whole(Bytes::from_static(b"cut off"))));
        assert_eq!(reader.last_line(), None);
    }
}
