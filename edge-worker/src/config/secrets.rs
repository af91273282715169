//! Secrets at rest: `secrets.json` in the state folder, each value in an envelope of its own, the key beside it in
//! the file `key`, which only this user may read.
//!
//! A secret's name is that of the variable that would hold it (`ANTHROPIC_API_KEY`, `CONTROL_PANEL_API_KEY`). An
//! envelope opens under its own name alone. Values are never part of an error, and nothing here prints.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shared::envelope::{EnvelopeError, Keyring, Place};

use super::file::Secret;
use super::trouble::{Source, Trouble};

/// The longest value, in bytes.
const LONGEST: usize = 16 * 1024;

/// The secrets of one state folder. Nothing is read or made before it is needed.
#[derive(Debug, Clone)]
pub struct Secrets {
    folder: PathBuf,
}

/// A secret as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// When it was set, RFC 3339.
    pub set_at: String,
}

/// Why a secret cannot be kept or opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// Secrets are there and their key is not.
    #[error(
        "the key {path} is gone, so the secrets beside it cannot be opened; bring it back from a backup, or remove secrets.json and set them again with `cyrus key set`"
    )]
    KeyGone {
        /// Where it should be.
        path: PathBuf,
    },
    /// Others can read the key.
    #[error("others may read {path}; take that away with `chmod 600 {path}`")]
    KeyOpen {
        /// The key.
        path: PathBuf,
    },
    /// The file of secrets is not what it should be.
    #[error(
        "{path} is not of the right shape; bring it back from a backup, or remove it and set the secrets again"
    )]
    Shape {
        /// The file.
        path: PathBuf,
    },
    /// One does not open.
    #[error("{name} cannot be opened: {source}")]
    Sealed {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: EnvelopeError,
    },
    /// No name of a variable.
    #[error("a secret's name is that of a variable, such as ANTHROPIC_API_KEY: letters, digits and `_`")]
    Name,
    /// No value.
    #[error("the secret is empty, longer than 16 KB, or has a line break in it")]
    Value,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    secrets: BTreeMap<String, Kept>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    sealed: String,
    set_at: String,
}

impl Secrets {
    /// Those of a state folder.
    pub fn of(state_dir: &Path) -> Self {
        Self { folder: state_dir.to_owned() }
    }

    /// The file that holds them.
    pub fn file(&self) -> PathBuf {
        self.folder.join("secrets.json")
    }

    /// Seals a value under a name; an earlier one is replaced.
    pub fn set(&self, name: &str, value: &Secret) -> Result<(), SecretsError> {
        let fine = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
        if name.is_empty() || name.len() > 200 || !name.bytes().all(fine) {
            return Err(SecretsError::Name);
        }
        let text = value.reveal();
        if text.is_empty() || text.len() > LONGEST || text.contains(['\n', '\r', '\0']) {
            return Err(SecretsError::Value);
        }
        let mut file = self.read()?;
        let sealed = self.seal(name, text.as_bytes())?;
        let set_at = crate::worker::now().to_string();
        file.secrets.insert(name.to_owned(), Kept { sealed, set_at });
        self.write(&file)
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Result<Option<Secret>, SecretsError> {
        let file = self.read()?;
        let Some(kept) = file.secrets.get(name) else { return Ok(None) };
        self.open(name, &kept.sealed).map(Some)
    }

    /// All that can be opened, and what is wrong with the others.
    pub fn all(&self) -> (BTreeMap<String, Secret>, Vec<Trouble>) {
        let trouble = |error: &SecretsError| Trouble::warning(Source::Sealed, "", error.to_string());
        let file = match self.read() {
            Ok(file) => file,
            Err(error) => return (BTreeMap::new(), vec![trouble(&error)]),
        };
        let mut found = BTreeMap::new();
        let mut troubles: Vec<Trouble> = Vec::new();
        for (name, kept) in file.secrets {
            match self.open(&name, &kept.sealed) {
                Ok(secret) => {
                    found.insert(name, secret);
                }
                Err(error) => {
                    let trouble = trouble(&error);
                    if !troubles.contains(&trouble) {
                        troubles.push(trouble);
                    }
                }
            }
        }
        (found, troubles)
    }

    /// The names, without their values.
    pub fn list(&self) -> Result<Vec<Listed>, SecretsError> {
        let kept = self.read()?.secrets.into_iter();
        Ok(kept.map(|(name, kept)| Listed { name, set_at: kept.set_at }).collect())
    }

    /// Forgets a name. `false`: there was none.
    pub fn remove(&self, name: &str) -> Result<bool, SecretsError> {
        let mut file = self.read()?;
        let was_there = file.secrets.remove(name).is_some();
        if was_there {
            self.write(&file)?;
        }
        Ok(was_there)
    }

    /// Seals something for a place of its own.
    pub(super) fn seal(&self, name: &str, secret: &[u8]) -> Result<String, SecretsError> {
        let ring = self.ring(true)?;
        let mut nonce = [0; 12];
        self.random(&mut nonce)?;
        ring.seal(place(name), secret, nonce).map_err(|source| sealed(name, source))
    }

    /// Opens what was sealed for a place.
    pub(super) fn unseal(&self, name: &str, envelope: &str) -> Result<Vec<u8>, SecretsError> {
        self.ring(false)?.open(place(name), envelope).map_err(|source| sealed(name, source))
    }

    fn open(&self, name: &str, envelope: &str) -> Result<Secret, SecretsError> {
        let bytes = self.unseal(name, envelope)?;
        String::from_utf8(bytes).map(Secret::new).map_err(|_| sealed(name, EnvelopeError::Format))
    }

    fn read(&self) -> Result<File, SecretsError> {
        let path = self.file();
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|_| SecretsError::Shape { path }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
            Err(source) => Err(SecretsError::File { path, source }),
        }
    }

    fn write(&self, file: &File) -> Result<(), SecretsError> {
        let path = self.file();
        let text = serde_json::to_vec_pretty(file).map_err(|_| SecretsError::Shape { path: path.clone() })?;
        write_private(&path, &text).map_err(|source| SecretsError::File { path, source })
    }

    fn ring(&self, make: bool) -> Result<Keyring, SecretsError> {
        let path = self.folder.join("key");
        let failed = |source| SecretsError::File { path: path.clone(), source };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => {
                let mode = std::fs::metadata(&path).map_err(failed)?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(SecretsError::KeyOpen { path });
                }
                text
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // A new key would make what is sealed already useless without a word.
                if !make || !self.read()?.secrets.is_empty() {
                    return Err(SecretsError::KeyGone { path });
                }
                let mut key = [0; 32];
                self.random(&mut key)?;
                let text =
                    format!("k1:{}\n", key.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
                write_private(&path, text.as_bytes()).map_err(failed)?;
                text
            }
            Err(source) => return Err(failed(source)),
        };
        Keyring::parse(text.trim()).map_err(|source| sealed("the key", source))
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), SecretsError> {
        let path = PathBuf::from("/dev/urandom");
        std::fs::File::open(&path)
            .and_then(|mut file| file.read_exact(bytes))
            .map_err(|source| SecretsError::File { path, source })
    }
}

fn place(name: &str) -> Place<'_> {
    Place { table: "config", row: name, column: "value" }
}

fn sealed(name: &str, source: EnvelopeError) -> SecretsError {
    SecretsError::Sealed { name: name.to_owned(), source }
}

/// Replaces a file as a whole; only this user may read it.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", uuid::Uuid::new_v4().simple()));
    let write = || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    let written = write();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    #[test]
    fn a_secret_comes_back_and_is_nowhere_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(&folder.path().join("state"));
        assert_eq!(secrets.get("ANTHROPIC_API_KEY").unwrap(), None);
        assert!(secrets.list().unwrap().is_empty());
        secrets.set("ANTHROPIC_API_KEY", &secret("sk-ant-canary")).unwrap();
        secrets.set("CONTROL_PANEL_API_KEY", &secret("cyw_canary")).unwrap();
        assert_eq!(secrets.get("ANTHROPIC_API_KEY").unwrap(), Some(secret("sk-ant-canary")));
        assert_eq!(secrets.all().0.len(), 2);
        let names: Vec<String> = secrets.list().unwrap().into_iter().map(|listed| listed.name).collect();
        assert_eq!(names, ["ANTHROPIC_API_KEY", "CONTROL_PANEL_API_KEY"]);
        for entry in std::fs::read_dir(folder.path().join("state")).unwrap() {
            let path = entry.unwrap().path();
            assert!(!std::fs::read_to_string(&path).unwrap().contains("canary"), "{}", path.display());
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(secrets.remove("ANTHROPIC_API_KEY").unwrap());
        assert!(!secrets.remove("ANTHROPIC_API_KEY").unwrap());
        assert_eq!(secrets.get("ANTHROPIC_API_KEY").unwrap(), None);
    }

    #[test]
    fn an_envelope_moved_to_another_name_does_not_open_and_the_others_do() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(folder.path());
        secrets.set("A", &secret("a-canary")).unwrap();
        secrets.set("B", &secret("b-canary")).unwrap();
        let mut file = secrets.read().unwrap();
        let of_a = file.secrets.get("A").unwrap().sealed.clone();
        file.secrets.get_mut("B").unwrap().sealed = of_a;
        secrets.write(&file).unwrap();
        assert!(secrets.get("B").is_err());
        let (all, troubles) = secrets.all();
        assert_eq!(all.len(), 1);
        assert!(troubles[0].what.starts_with('B') && !troubles[0].what.contains("canary"), "{troubles:?}");
    }

    #[test]
    fn a_lost_or_open_key_is_told_with_its_mend_and_never_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(folder.path());
        secrets.set("A", &secret("a")).unwrap();
        let key = folder.path().join("key");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(secrets.get("A").unwrap_err().to_string().contains("chmod 600"));
        std::fs::remove_file(&key).unwrap();
        assert!(matches!(secrets.get("A"), Err(SecretsError::KeyGone { .. })));
        assert!(matches!(secrets.set("B", &secret("b")), Err(SecretsError::KeyGone { .. })));
    }

    #[test]
    fn what_is_no_name_or_no_value_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(folder.path());
        for name in ["", "A B", "../A", "A=B", "Ä"] {
            assert!(matches!(secrets.set(name, &secret("x")), Err(SecretsError::Name)), "{name}");
        }
        for value in ["", "a\nb", "a\0", &"x".repeat(LONGEST + 1)] {
            assert!(matches!(secrets.set("A", &secret(value)), Err(SecretsError::Value)));
        }
        std::fs::write(secrets.file(), "torn {").unwrap();
        assert!(matches!(secrets.get("A"), Err(SecretsError::Shape { .. })));
    }
}
