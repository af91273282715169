//! Bytes of a stream into lines, without IO: a line may come in many pieces, and many lines in one.
//!
//! No line beyond [`MAX_LINE`] is ever held, so a sender that never ends one cannot fill memory.

/// The longest line that is read, in bytes: a body of 5 MiB with room to spare.
pub const MAX_LINE: usize = 16 * 1024 * 1024;

/// A line beyond [`MAX_LINE`]; the stream that sent it is not to be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a line beyond {MAX_LINE} bytes")
    }
}

impl std::error::Error for TooLong {}

/// What came of a line that has not ended yet.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// The lines that end in this piece, without their ends; empty ones are left out.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut whole = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (part, ended) = part.strip_suffix(b"\n").map_or((part, false), |part| (part, true));
            if self.begun.len() + part.len() > MAX_LINE {
                self.begun = Vec::new();
                return Err(TooLong);
            }
            self.begun.extend_from_slice(part);
            if ended && !self.begun.is_empty() {
                whole.push(std::mem::take(&mut self.begun));
            }
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_a_text_is_cut_its_lines_are_the_same() {
        let text = b"one\n\n\ntwo\xff\n\0\nthree is not ended";
        for size in 1..=text.len() {
            let mut lines = Lines::new();
            let whole: Vec<_> = text.chunks(size).flat_map(|piece| lines.feed(piece).unwrap()).collect();
            assert_eq!(whole, [b"one".to_vec(), b"two\xff".to_vec(), b"\0".to_vec()]);
        }
    }

    #[test]
    fn a_line_of_the_limit_is_read_and_one_byte_more_is_not() {
        let mut lines = Lines::new();
        let half = vec![b'x'; MAX_LINE / 2];
        assert!(lines.feed(&half).unwrap().is_empty());
        assert!(lines.feed(&half).unwrap().is_empty());
        assert_eq!(lines.feed(b"\n").unwrap().first().map(Vec::len), Some(MAX_LINE));
        assert!(lines.feed(&half).unwrap().is_empty());
        assert!(lines.feed(&half).unwrap().is_empty());
        assert_eq!(lines.feed(b"x"), Err(TooLong));
        assert_eq!(lines.begun.capacity(), 0);
    }
}
