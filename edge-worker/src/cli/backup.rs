//! `cyrus backup` and `cyrus restore`: journal, configuration, keys, conversations. Worktrees are git's to keep.
//!
//! A backup is a folder. It holds secrets as the state folder does, so only its owner may read it.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::failure::{Exit, Failure};
use super::{Context, config_file, state};
use crate::journal::backup;

/// What is copied beside the journal, where it is there: keys, the last good configuration, conversations.
const KEPT: &[&str] = &["key", "secrets.json", "config.good.json", "claude"];

/// Copies the journal, the configuration, stored keys and the agents' conversations into a folder.
///
/// It may be done while `cyrus` works. Worktrees are not copied: their commits are in their repositories.
#[derive(Args)]
#[command(after_help = "Examples:\n  cyrus backup\n  cyrus backup ~/backups/cyrus-before-update")]
pub struct Backup {
    /// The folder to make; without one, a dated folder under `backups` of the state folder.
    folder: Option<PathBuf>,
}

/// Puts a backup in the place of the state folder's contents; what was there is moved aside.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cyrus restore ~/.cyrus/backups/2026-11-23T12-00-00Z\n  cyrus restore ~/backups/cyrus-before-update --json"
)]
pub struct Restore {
    /// The backup's folder.
    folder: PathBuf,
}

impl Backup {
    /// Makes it.
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let from = state::folder(context)?;
        let stamp = stamp();
        let to = self.folder.unwrap_or_else(|| from.join("backups").join(&stamp));
        if to.exists() {
            return Err(
                Failure::usage(format!("{} is there already", to.display())).next("name another folder")
            );
        }
        let failed = |what: &Path| {
            let what = what.display().to_string();
            move |error: std::io::Error| {
                Failure::new(format!("{what} cannot be copied: {error}"))
                    .next("check space and rights of the disk")
            }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&to).map_err(failed(&to))?;
        let journal = to.join("state.db");
        let mut copied = Vec::new();
        if backup::copy(&from, &journal)? {
            std::fs::set_permissions(&journal, std::fs::Permissions::from_mode(0o600))
                .map_err(failed(&journal))?;
            backup::check(&journal)?;
            copied.push("state.db".to_owned());
        }
        let config = config_file::path(context);
        if config.is_file() {
            let bytes = std::fs::read(&config).map_err(failed(&config))?;
            config_file::write_private(&to.join("config.json"), &bytes).map_err(failed(&config))?;
            copied.push("config.json".to_owned());
        }
        for name in KEPT {
            let source = from.join(name);
            if source.exists() {
                copy_all(&source, &to.join(name)).map_err(failed(&source))?;
                copied.push((*name).to_owned());
            }
        }
        if copied.is_empty() {
            // The folder was made a moment ago and is empty.
            let _ = std::fs::remove_dir(&to);
            return Err(
                Failure::new(format!("there is nothing in {} yet", from.display())).next("cyrus init")
            );
        }
        context.say.answer(
            || {
                format!(
                    "Copied {} to {}\nBring it back with: cyrus restore {}",
                    copied.join(", "),
                    to.display(),
                    to.display()
                )
            },
            &json!({"folder": to, "copied": copied}),
        );
        Ok(Exit::Done)
    }
}

impl Restore {
    /// Puts it back.
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (from, to) = (self.folder, state::folder(context)?);
        let journal = from.join("state.db");
        if !journal.is_file() && !from.join("config.json").is_file() {
            return Err(Failure::usage(format!("{} is no backup", from.display()))
                .next("name a folder that `cyrus backup` made"));
        }
        if journal.is_file() {
            backup::check(&journal)?;
        }
        let failed = |error: std::io::Error| {
            Failure::new(format!("{} cannot be restored: {error}", from.display()))
                .next("check space and rights of the disk")
        };
        std::fs::create_dir_all(&to).map_err(failed)?;
        let lock = std::fs::File::create(to.join("lock")).map_err(failed)?;
        if lock.try_lock().is_err() {
            return Err(Failure::new(format!("a cyrus works with {}", to.display())).next("cyrus stop"));
        }
        let aside = to.join("backups").join(format!("{}-replaced", stamp()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&aside).map_err(failed)?;
        let names = ["state.db", "state.db-wal", "state.db-shm"].iter().chain(KEPT);
        for name in names {
            let old = to.join(name);
            if old.exists() {
                std::fs::rename(&old, aside.join(name)).map_err(failed)?;
            }
        }
        let config = config_file::path(context);
        if from.join("config.json").is_file() {
            if config.is_file() {
                std::fs::copy(&config, aside.join("config.json")).map_err(failed)?;
            }
            let bytes = std::fs::read(from.join("config.json")).map_err(failed)?;
            config_file::write_private(&config, &bytes).map_err(failed)?;
        }
        for name in ["state.db"].iter().chain(KEPT) {
            let source = from.join(name);
            if source.exists() {
                copy_all(&source, &to.join(name)).map_err(failed)?;
            }
        }
        context.say.answer(
            || format!("Restored {}\nWhat was there before is in {}", from.display(), aside.display()),
            &json!({"restored": from, "stateDir": to, "before": aside}),
        );
        Ok(Exit::Done)
    }
}

fn stamp() -> String {
    crate::worker::now().to_string().replace(':', "-")
}

/// Copies a file or a folder with all in it; links stay links.
fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    let meta = from.symlink_metadata()?;
    if meta.is_symlink() {
        return std::os::unix::fs::symlink(std::fs::read_link(from)?, to);
    }
    if meta.is_dir() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            copy_all(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if meta.is_file() {
        std::fs::copy(from, to)?;
    }
    Ok(())
}
