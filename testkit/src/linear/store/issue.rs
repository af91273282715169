//! An issue and its labels as the stand-in remembers them.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{derived_id, now, object};

/// A label.
#[derive(Debug, Clone)]
pub(in crate::linear) struct Label {
    pub(in crate::linear) id: String,
    pub(in crate::linear) name: String,
}

impl Label {
    pub(in crate::linear) fn named(name: &str) -> Self {
        Self { id: derived_id(&format!("label {name}")), name: name.to_owned() }
    }

    pub(super) fn fields(&self) -> Map<String, Value> {
        object(json!({"id": self.id, "name": self.name}))
    }
}

/// An issue.
#[derive(Debug, Clone)]
pub(in crate::linear) struct Issue {
    pub(in crate::linear) id: String,
    pub(in crate::linear) identifier: String,
    pub(in crate::linear) title: String,
    pub(in crate::linear) description: Option<String>,
    pub(in crate::linear) branch_name: String,
    pub(in crate::linear) team_id: String,
    pub(in crate::linear) state_id: String,
    pub(in crate::linear) labels: Vec<Label>,
    pub(in crate::linear) project: Option<(String, String)>,
    pub(in crate::linear) parent_id: Option<String>,
    pub(in crate::linear) delegate_id: Option<String>,
    pub(in crate::linear) assignee_id: Option<String>,
    pub(in crate::linear) priority: i64,
    pub(in crate::linear) created_at: String,
    pub(in crate::linear) updated_at: String,
}

impl Issue {
    /// The issue that stands for an id or identifier of which nothing else is known.
    pub(in crate::linear) fn plain(id_or_identifier: &str) -> Self {
        let (id, identifier) = if key_and_number(id_or_identifier).is_some() {
            (derived_id(&format!("issue {id_or_identifier}")), id_or_identifier.to_owned())
        } else {
            let digest: [u8; 32] = Sha256::digest(id_or_identifier.as_bytes()).into();
            let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 999_000 + 1_000;
            (id_or_identifier.to_owned(), format!("DEMO-{number}"))
        };
        let at = now();
        let mut issue = Self {
            id,
            identifier,
            title: String::new(),
            description: None,
            branch_name: String::new(),
            team_id: String::new(),
            state_id: String::new(),
            labels: Vec::new(),
            project: None,
            parent_id: None,
            delegate_id: None,
            assignee_id: None,
            priority: 0,
            created_at: at.clone(),
            updated_at: at,
        };
        issue.set_title("Plain issue");
        issue
    }

    pub(in crate::linear) fn set_identifier(&mut self, identifier: &str) {
        identifier.clone_into(&mut self.identifier);
        self.derive_branch();
    }

    pub(in crate::linear) fn set_title(&mut self, title: &str) {
        title.clone_into(&mut self.title);
        self.derive_branch();
    }

    fn derive_branch(&mut self) {
        self.branch_name = format!("agent/{}", slug(&format!("{} {}", self.identifier, self.title)));
    }

    /// The team's part of the identifier.
    pub(in crate::linear) fn key(&self) -> &str {
        key_and_number(&self.identifier).map_or("DEMO", |(key, _)| key)
    }

    pub(super) fn fields(&self) -> Map<String, Value> {
        let number = key_and_number(&self.identifier).map_or(0, |(_, number)| number);
        object(json!({
            "id": self.id,
            "identifier": self.identifier,
            "number": number,
            "title": self.title,
            "description": self.description,
            "branchName": self.branch_name,
            "priority": self.priority,
            "priorityLabel": "No priority",
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "team": self.team_id,
            "state": self.state_id,
            "assignee": self.assignee_id,
            "delegate": self.delegate_id,
            "parent": self.parent_id,
            "labelIds": self.labels.iter().map(|label| &label.id).collect::<Vec<_>>(),
            "project": self.project.as_ref().map(|(id, name)| json!({"id": id, "name": name})),
        }))
    }
}

/// Splits `ENG-12` into its key and number.
fn key_and_number(identifier: &str) -> Option<(&str, u64)> {
    let (key, number) = identifier.split_once('-')?;
    let good_key = key.starts_with(|c: char| c.is_ascii_uppercase())
        && key.len() <= 10
        && key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let good_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (good_key && good_number).then(|| number.parse().ok().map(|number| (key, number))).flatten()
}

/// Lower-case letters, digits and single dashes, at most 60 characters.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if slug.len() >= 60 {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_told_from_ids() {
        assert_eq!(key_and_number("ENG-774"), Some(("ENG", 774)));
        for id in ["c47e9d30-2b68-4f15-90a7-e3d81c5b6f02", "eng-1", "ENG-", "-1", "ENG-1-2", "ENG-1x", "1-1"]
        {
            assert_eq!(key_and_number(id), None, "{id}");
        }
    }

    #[test]
    fn a_branch_name_holds_nothing_but_plain_characters() {
        let mut issue = Issue::plain("ENG-1");
        issue.set_title("  $(rm -rf /) ; `x` … Überschrift/.. ");
        assert_eq!(issue.branch_name, "agent/eng-1-rm-rf-x-berschrift");
    }
}
