//! `cyrus config check`: everything that is wrong with a file, at once. Starting only needs the first error; here a
//! person is to mend all of them in one go.
//!
//! What a file holds is never repeated: a secret may stand in the wrong place.

use std::collections::BTreeMap;
use std::path::Path;

use jsonschema::JsonType;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use super::layers::{self, Inputs};
use super::schema::{self, schema};
use super::trouble::{Level, Source, Trouble};

/// Everything that is wrong with a file's text, errors first. Empty: all is well.
pub fn check(text: &str, path: &Path) -> Vec<Trouble> {
    let sealed = BTreeMap::new();
    let none = |_: &str| None;
    let home = super::home();
    let inputs = Inputs { text, path, home: &home, variable: &none, panel: None, sealed: &sealed };
    let mut troubles = match layers::merge(&inputs) {
        Ok(merged) => {
            let mut troubles = merged.troubles;
            for (number, repository) in merged.config.repositories.iter().enumerate() {
                if !repository.repository_path.is_dir() {
                    let what = format!("there is no folder {}", repository.repository_path.display());
                    let place = format!("repositories[{number}].repositoryPath");
                    troubles.push(Trouble::warning(Source::File, place, what));
                }
            }
            troubles
        }
        Err(troubles) => troubles,
    };
    for found in by_schema(text) {
        // The parser names one place only, and in better words.
        let within = |place: &str| place == found.place || place.starts_with(&format!("{}.", found.place));
        if !troubles.iter().any(|known| known.level == Level::Error && within(&known.place)) {
            troubles.push(found);
        }
    }
    troubles.sort_by_key(|trouble| std::cmp::Reverse(trouble.level));
    troubles
}

fn by_schema(text: &str) -> Vec<Trouble> {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let Ok(validator) = jsonschema::validator_for(&schema()) else { return Vec::new() };
    validator
        .iter_errors(&value)
        .map(|error| {
            let place = place(error.instance_path().as_str());
            let what = match error.kind() {
                ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => {
                    format!("is not of type {kind}")
                }
                ValidationErrorKind::Type { kind: TypeKind::Multiple(kinds) } => {
                    let kinds = kinds.iter().filter(|kind| *kind != JsonType::Null);
                    let kinds: Vec<String> = kinds.map(|kind| kind.to_string()).collect();
                    format!("is not of type {}", kinds.join(" or "))
                }
                ValidationErrorKind::Required { property } => {
                    format!("lacks `{}`", property.as_str().unwrap_or_default())
                }
                ValidationErrorKind::Minimum { limit } => format!("is less than {limit}"),
                ValidationErrorKind::Maximum { limit } => format!("is more than {limit}"),
                ValidationErrorKind::Enum { options } => format!("is none of {options}"),
                _ => error.masked().to_string(),
            };
            Trouble::error(Source::File, place, what)
        })
        .collect()
}

/// `/repositories/0/model` as `repositories[0].model`.
fn place(pointer: &str) -> String {
    let mut place = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.parse::<usize>().is_ok() {
            place.push_str(&format!("[{part}]"));
        } else {
            if !place.is_empty() {
                place.push('.');
            }
            place.push_str(&part);
        }
    }
    place
}

/// Whether a key is one of the configuration (`sandbox.level`).
pub fn is_key(key: &str) -> bool {
    schema::at(&schema(), key).is_some()
}
