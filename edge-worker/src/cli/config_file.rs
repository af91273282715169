//! The configuration file as commands change it: other people's keys stay as they are, and nobody else may read it.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Context;
use super::failure::Failure;

/// Where it is, or would be.
pub fn path(context: &Context) -> PathBuf {
    context
        .config
        .clone()
        .unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(".cyrus").join("config.json"))
}

/// What is in it; `None`: there is no file.
pub fn read(path: &Path) -> Result<Option<Map<String, Value>>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::new(format!("{} cannot be read: {error}", path.display()))),
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(_) => Err(broken(path, "it is not an object, `{…}`")),
        Err(error) => Err(broken(path, &error.to_string())),
    }
}

fn broken(path: &Path, why: &str) -> Failure {
    Failure::usage(format!("{} is not a configuration: {why}", path.display()))
        .next("mend that line, or move the file away and run `cyrus init`")
}

/// Writes it as a whole, so that no reader ever sees half of it.
pub fn write(path: &Path, map: &Map<String, Value>) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(map).unwrap_or_default() + "\n";
    write_private(path, text.as_bytes())
        .map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))
}

/// Writes a file that only its owner may read, as a whole.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // A link is written through, so that a configuration kept elsewhere stays one.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let written = (|| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)
    })();
    if written.is_err() {
        // What is left of it is of no use to anybody.
        let _ = std::fs::remove_file(&fresh);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_written_whole_for_its_owner_alone_and_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        let map: Map<String, Value> = serde_json::from_str(r#"{"a":1,"someday":{"b":[2]}}"#).unwrap();
        write(&real, &map).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&link, &map).unwrap();
        assert!(link.is_symlink());
        assert_eq!(read(&link).unwrap().unwrap(), map);
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_the_mend() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.json");
        assert!(read(&file).unwrap().is_none());
        for nasty in ["", "[]", "{\"a\":", "null", "\u{0}"] {
            std::fs::write(&file, nasty).unwrap();
            assert!(read(&file).unwrap_err().next.is_some(), "{nasty:?}");
        }
    }
}
