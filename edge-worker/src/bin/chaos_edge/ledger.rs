//! The file that an edge appends to: one line for each delivery that it handled, on disk before it is done.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use edge_worker::journal::event::Taken;
use edge_worker::worker::now;
use serde::{Deserialize, Serialize};
use shared::id::{DeliveryId, FencingToken, Seq, SessionKey};
use shared::time::Timestamp;

/// One edge's own, open for writing, and where the others' are.
pub struct Ledger {
    file: File,
    folder: PathBuf,
    worker: String,
    own: HashSet<Seq>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    delivery: &'a DeliveryId,
    seq: Seq,
    session: &'a SessionKey,
    token: FencingToken,
    worker: &'a str,
    kind: &'a str,
    at: Timestamp,
}

#[derive(Deserialize)]
struct Handled {
    seq: Seq,
}

impl Ledger {
    /// Opens it. A line that a kill left half written is no line, and is cut off.
    pub fn open(path: PathBuf, folder: PathBuf, worker: String) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        text.truncate(whole);
        Ok(Self { file, folder, worker, own: handled(&text).collect() })
    }

    /// Whether this edge handled it, in this life or before. By the event and not its delivery, so that a hub that
    /// makes two events of one delivery is found out.
    pub fn has(&self, seq: Seq) -> bool {
        self.own.contains(&seq)
    }

    /// Whether any edge handled it.
    pub fn anybody_has(&self, seq: Seq) -> std::io::Result<bool> {
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "ndjson") && holds(&path, seq)? {
                return Ok(true);
            }
        }
        Ok(self.has(seq))
    }

    /// Writes a line; it is on disk when this returns.
    pub fn append(&mut self, taken: &Taken) -> anyhow::Result<()> {
        let line = Line {
            delivery: &taken.event.delivery_id,
            seq: taken.seq,
            session: &taken.session_key,
            token: taken.token,
            worker: &self.worker,
            kind: taken.event.body.kind(),
            at: now(),
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.file.sync_data()?;
        self.own.insert(taken.seq);
        Ok(())
    }
}

fn holds(path: &Path, seq: Seq) -> std::io::Result<bool> {
    let text = std::fs::read(path)?;
    Ok(handled(&text).any(|known| known == seq))
}

fn handled(text: &[u8]) -> impl Iterator<Item = Seq> {
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice::<Handled>(line).ok()).map(|line| line.seq)
}
