//! Where the state folder is, and which session a person means.

use std::path::PathBuf;

use super::Context;
use super::failure::Failure;
use crate::config::Config;
use crate::journal::look::{Look, Session};

/// How many sessions are looked through for a word.
const LOOKED_THROUGH: u32 = 2_000;

/// The configuration, as far as commands need it that do not work themselves.
pub fn config(context: &Context) -> Result<Config, Failure> {
    Ok(Config::load(context.config.clone())?)
}

/// The state folder.
pub fn folder(context: &Context) -> Result<PathBuf, Failure> {
    Ok(config(context)?.state_dir)
}

/// A look into the journal.
pub fn look(context: &Context) -> Result<Option<Look>, Failure> {
    let folder = folder(context)?;
    let look = Look::open(&folder)?;
    if look.is_none() && folder.join("state.db").exists() {
        return Err(Failure::new(format!(
            "the journal in {} was written by an older cyrus",
            folder.display()
        ))
        .next("`cyrus start` or a `cyrus run` brings it up to date"));
    }
    Ok(look)
}

/// The session that is meant: by its id, the beginning of it, or its issue; without a word the newest one.
pub fn session(look: Option<&Look>, word: Option<&str>) -> Result<Session, Failure> {
    let nothing = || {
        Failure::new("there are no sessions yet")
            .next("cyrus run \"add a README\", or `cyrus start` and delegate an issue in Linear")
    };
    let all = look.ok_or_else(nothing)?.sessions(LOOKED_THROUGH)?;
    let Some(word) = word else { return all.into_iter().next().ok_or_else(nothing) };
    if let Some(exact) = all.iter().find(|one| one.session == word) {
        return Ok(exact.clone());
    }
    let mut meant = all.into_iter().filter(|one| one.is_meant_by(word));
    match (meant.next(), meant.next()) {
        (Some(one), None) => Ok(one),
        // An issue may have had several sessions; the newest is meant.
        (Some(one), Some(other)) if one.issue.is_some() && one.issue == other.issue => Ok(one),
        (Some(one), Some(other)) => {
            Err(Failure::usage(format!("`{word}` may be {} or {}", one.session, other.session))
                .next("write more of it"))
        }
        (None, _) => {
            let short: String = word.chars().filter(|letter| !letter.is_control()).take(60).collect();
            Err(Failure::usage(format!("no session here is called `{short}`"))
                .next("cyrus sessions lists them"))
        }
    }
}
