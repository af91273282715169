//! A routing decision as it is kept with an event: which repositories by name, and why. What older builds kept, a
//! plain name, is read too.

use serde::{Deserialize, Serialize};

use super::{Routed, Rule};

/// The repositories that an event was routed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// At least one, the first one first.
    pub repositories: Vec<Assigned>,
    /// Why, for people; absent when nobody needs to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// Its name in the configuration.
    pub name: String,
    /// The branch to start from, as the person wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

impl Assignment {
    /// One repository, without a word about it.
    pub fn plain(name: impl Into<String>) -> Self {
        Self { repositories: vec![Assigned { name: name.into(), base: None }], by: None }
    }

    /// What was decided by these rules; `None` unless it is served.
    pub fn of(routed: &Routed, rules: &[Rule<'_>]) -> Option<Self> {
        let Routed::Here { by, repositories } = routed else { return None };
        let assigned = |chosen: &super::Chosen| {
            let rule = rules.get(chosen.place)?;
            Some(Assigned { name: rule.name.to_owned(), base: chosen.base.clone() })
        };
        let repositories: Vec<Assigned> = repositories.iter().filter_map(assigned).collect();
        (!repositories.is_empty()).then(|| Self { repositories, by: Some(by.to_string()) })
    }

    /// The name of the first one.
    pub fn first(&self) -> Option<&str> {
        self.repositories.first().map(|one| one.name.as_str())
    }

    /// As it is kept: JSON, or the name where that is all.
    pub fn kept(&self) -> String {
        if let ([Assigned { name, base: None }], None) = (self.repositories.as_slice(), &self.by) {
            return name.clone();
        }
        serde_json::to_string(self).unwrap_or_else(|_| self.first().unwrap_or_default().to_owned())
    }

    /// Reads what was kept.
    pub fn read(kept: &str) -> Self {
        serde_json::from_str(kept).unwrap_or_else(|_| Self::plain(kept))
    }

    /// What is said of it with the first thought; `None`: it goes without saying.
    pub fn words(&self) -> Option<String> {
        let by = self.by.as_deref()?;
        let names: Vec<String> = self
            .repositories
            .iter()
            .map(|one| match &one.base {
                Some(base) => format!("{} (from {base})", one.name),
                None => one.name.clone(),
            })
            .collect();
        let word = if names.len() == 1 { "Repository" } else { "Repositories" };
        Some(format!("{word}: {}, {by}.", names.join(", ")))
    }
}
