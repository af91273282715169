//! Stamps: a build step writes a hash of its inputs beside its result and is skipped while they agree.
//!
//! By content, not by time: a checkout or a relink that changes nothing costs nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The inputs of one step, in order.
#[derive(Default)]
pub struct Inputs(Sha256);

impl Inputs {
    /// Adds bytes.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a file's content.
    pub fn file(self, path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("{} is missing", path.display()))?;
        Ok(self.bytes(&bytes))
    }

    /// The stamp of a result made from these.
    pub fn stamp(self, result: &Path) -> Stamp {
        let hash = self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Stamp { path: result.with_extension("stamp"), hash }
    }
}

/// Says whether a result is up to date.
pub struct Stamp {
    path: PathBuf,
    hash: String,
}

impl Stamp {
    /// The result was made from these very inputs and is still there.
    pub fn fits(&self) -> bool {
        self.path.with_extension("").exists()
            && fs::read_to_string(&self.path).is_ok_and(|kept| kept == self.hash)
    }

    /// Before the step: a result that is half made must not look whole.
    pub fn clear(&self) {
        // Mostly there is none yet.
        let _ = fs::remove_file(&self.path);
    }

    /// After the step.
    pub fn set(&self) -> Result<()> {
        fs::write(&self.path, &self.hash).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_fits_until_an_input_changes_or_the_result_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let result = folder.path().join("part");
        let of = |text: &str| Inputs::default().bytes(text.as_bytes()).stamp(&result);
        assert!(!of("a").fits());
        of("a").set().unwrap();
        assert!(!of("a").fits(), "without its result");
        fs::create_dir(&result).unwrap();
        assert!(of("a").fits());
        assert!(!of("b").fits());
        of("a").clear();
        assert!(!of("a").fits());
    }

    #[test]
    fn moving_a_byte_from_one_input_to_the_next_changes_the_stamp() {
        let path = Path::new("x");
        let one = Inputs::default().bytes(b"ab").bytes(b"c").stamp(path);
        let other = Inputs::default().bytes(b"a").bytes(b"bc").stamp(path);
        assert_ne!(one.hash, other.hash);
    }
}
