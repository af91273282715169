//! Follows a file that another process appends to, and gives its new lines.
//! Neighbours: an executor's process loop asks it again and again; `lines` does the cutting.
//! It must never write, and never read what was there before the run.

use std::io::SeekFrom;
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::lines::{Line, LineReader};

const CHUNK: usize = 64 * 1024;

/// A reader at the growing end of a file.
#[derive(Debug)]
pub struct Tail {
    file: File,
    lines: LineReader,
    chunk: Vec<u8>,
    from: u64,
}

impl Tail {
    /// Follows the file from byte `offset` on.
    pub async fn open(path: &Path, offset: u64) -> std::io::Result<Self> {
        let mut file = File::open(path).await?;
        file.seek(SeekFrom::Start(offset)).await?;
        Ok(Self { file, lines: LineReader::default(), chunk: vec![0; CHUNK], from: offset })
    }

    /// Reads at most one chunk of what is new and returns its size; 0 at the end of what there is now.
    pub async fn read(&mut self) -> std::io::Result<usize> {
        let count = self.file.read(&mut self.chunk).await?;
        if let Some(bytes) = self.chunk.get(..count) {
            self.lines.push(bytes);
        }
        Ok(count)
    }

    /// The next whole line of what was read.
    pub fn next_line(&mut self) -> Option<Line> {
        self.lines.next_line()
    }

    /// Where the last line that was given out ends, in bytes from the file's beginning; `None` after a line that was
    /// too long, since its end may not be written yet.
    pub fn place(&self, line: &Line) -> Option<u64> {
        matches!(line, Line::Whole(_)).then(|| self.position())
    }

    /// How far lines were given out, in bytes from the file's beginning.
    pub fn position(&self) -> u64 {
        self.from.saturating_add(self.lines.given_out())
    }

    /// The last line when the writer is gone.
    pub fn last_line(&mut self) -> Option<Line> {
        self.lines.last_line()
    }
}
