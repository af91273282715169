//! Branch names from outside: judged by git's own rules, and made from an issue identifier where none is usable.
//! Neighbours: `worktree` takes only names that passed here.
//! It must never let a name through that git could read as a flag, a range or a path out of its folder.

/// The longest branch name, in bytes: with `.lock` a part of it must still be a file name.
pub const LONGEST: usize = 240;

/// A branch name that git accepts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchName(String);

/// Why a branch name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the branch name {name:?} is not usable: {reason}; rename the branch")]
pub struct BranchError {
    /// The name, cut to 100 characters.
    pub name: String,
    /// The rule it breaks.
    pub reason: &'static str,
}

impl BranchName {
    /// Judges a name as `git check-ref-format --branch` does, without its `@{-1}` shorthand, and limits its length.
    pub fn parse(name: &str) -> Result<Self, BranchError> {
        match broken_rule(name) {
            None => Ok(Self(name.to_owned())),
            Some(reason) => Err(BranchError { name: name.chars().take(100).collect(), reason }),
        }
    }

    /// The given name if it is usable, else one made from the issue identifier.
    pub fn or_from_issue(name: Option<&str>, identifier: &str) -> Self {
        name.and_then(|name| Self::parse(name).ok()).unwrap_or_else(|| Self::from_issue(identifier))
    }

    /// A usable name made from an issue identifier: `ENG-12` gives `cyrus/eng-12`.
    pub fn from_issue(identifier: &str) -> Self {
        Self(format!("cyrus/{}", slug(identifier).to_lowercase()))
    }

    /// The branch that work is put aside on: `<branch>-recovered-<worker>-<run>`, with the last eight letters of either
    /// id. A long branch is cut so that the whole is still a name.
    pub fn recovered(&self, worker: &str, run: &str) -> Self {
        let end = format!("-recovered-{}-{}", last_eight(worker), last_eight(run));
        let mut begin = self.0.as_str();
        while begin.len() + end.len() > LONGEST {
            let mut letters = begin.chars();
            letters.next_back();
            begin = letters.as_str();
        }
        Self(format!("{begin}{end}"))
    }

    /// The name, as in `cyrus/eng-12`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full reference, as in `refs/heads/cyrus/eng-12`.
    pub fn reference(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl std::fmt::Display for BranchName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn broken_rule(name: &str) -> Option<&'static str> {
    let rules: [(bool, &'static str); 13] = [
        (name.is_empty(), "it is empty"),
        (name.len() > LONGEST, "it is longer than 240 bytes"),
        (name.starts_with('-'), "it begins with `-`"),
        (name == "HEAD" || name == "@", "the name means something else to git"),
        (name.chars().any(|c| c.is_ascii_control()), "it holds a control character"),
        (
            name.contains([' ', '~', '^', ':', '?', '*', '[', '\\']),
            "it holds a space or one of ~ ^ : ? * [ \\",
        ),
        (name.contains(".."), "it holds `..`"),
        (name.contains("@{"), "it holds `@{`"),
        (name.starts_with('/') || name.ends_with('/'), "it begins or ends with `/`"),
        (name.contains("//"), "it holds `//`"),
        (name.ends_with('.'), "it ends with `.`"),
        (name.split('/').any(|part| part.starts_with('.')), "a part of it begins with `.`"),
        (name.split('/').any(|part| part.ends_with(".lock")), "a part of it ends with `.lock`"),
    ];
    rules.into_iter().find_map(|(broken, reason)| broken.then_some(reason))
}

/// A word that is safe as one part of a path and of a branch name. What had to be changed gets a mark of the original,
/// so that two different identifiers never give the same word.
pub fn slug(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut word = String::new();
    for c in text.chars().take(60) {
        match (safe(c), word.ends_with('-')) {
            (true, _) => word.push(c),
            (false, false) => word.push('-'),
            (false, true) => {}
        }
    }
    let word = word.trim_matches('-');
    match (word, word == text) {
        ("", _) => format!("issue-{:08x}", mark(text)),
        (word, true) => word.to_owned(),
        (word, false) => format!("{word}-{:08x}", mark(text)),
    }
}

/// The end of an id: the beginning of ours is a time, and the same for all of one minute.
fn last_eight(id: &str) -> String {
    let kept: Vec<char> = id.chars().filter(char::is_ascii_alphanumeric).collect();
    match kept.get(kept.len().saturating_sub(8)..) {
        Some(end) if !end.is_empty() => end.iter().collect(),
        _ => format!("{:08x}", mark(id)),
    }
}

/// FNV-1a: short and the same on every machine and version, which the standard hasher does not promise.
fn mark(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git_accepts(name: &str) -> bool {
        std::process::Command::new("git")
            .args(["check-ref-format", "--branch", name])
            .output()
            .unwrap()
            .status
            .success()
    }

    #[test]
    fn nasty_names_are_refused_as_git_refuses_them() {
        let nasty = [
            "",
            "-",
            "-b",
            "--upload-pack=touch /x",
            "HEAD",
            "@",
            "a b",
            "a\tb",
            "a\nb",
            "a\u{7f}",
            "\u{1}",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "..",
            "a..b",
            "../../etc",
            "@{-1}",
            "a@{u}",
            "/a",
            "a/",
            "a//b",
            "a.",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a/b.lock",
            ".",
            "./a",
        ];
        for name in nasty {
            assert!(BranchName::parse(name).is_err(), "{name:?}");
            // Git expands `@` and `@{-1}` to branches, so there its answer depends on the repository.
            assert!(["@", "@{-1}"].contains(&name) || !git_accepts(name), "git accepts {name:?}");
        }
        let error = BranchName::parse("-x").unwrap_err().to_string();
        assert_eq!(error, "the branch name \"-x\" is not usable: it begins with `-`; rename the branch");
    }

    #[test]
    fn usable_names_pass_as_they_do_with_git() {
        for name in [
            "main",
            "jane/eng-12-fix-it",
            "a@b",
            "a{b}",
            "a-",
            "日本/語",
            "é",
            "$(touch x)",
            "`id`",
            "a;b",
            "a&&b",
            "'",
            "\"",
            "a|b",
            "%s",
            "a.b",
            "a.lockx",
            "refs/heads/x",
            "#1",
        ] {
            let accepted = BranchName::parse(name).is_ok();
            assert_eq!(accepted, git_accepts(name), "{name:?}");
            assert_eq!(accepted, !name.contains(' '), "{name:?}");
        }
    }

    #[test]
    fn every_short_name_over_a_nasty_alphabet_is_judged_as_git_does() {
        let alphabet = ["a", ".", "/", "-", "@", "{", "lock"];
        for first in alphabet {
            for second in alphabet {
                for third in ["", ".", "/", "-", "lock", "{"] {
                    let name = format!("{first}{second}{third}");
                    assert_eq!(BranchName::parse(&name).is_ok(), git_accepts(&name), "{name:?}");
                }
            }
        }
    }

    #[test]
    fn a_name_made_from_an_issue_is_always_usable() {
        for identifier in [
            "ENG-12",
            "",
            "..",
            "../../etc/passwd",
            "-rf",
            "a.lock",
            "Ünïcode 7",
            "\0",
            "@{",
            &"x".repeat(1000),
        ] {
            let name = BranchName::from_issue(identifier);
            assert!(BranchName::parse(name.as_str()).is_ok(), "{identifier:?} gives {name}");
            let word = slug(identifier);
            assert!(word.len() <= 70 && !word.contains(['/', '.']) && !word.starts_with('-'), "{word}");
        }
        assert_eq!(BranchName::from_issue("ENG-12").as_str(), "cyrus/eng-12");
    }

    #[test]
    fn different_identifiers_give_different_words() {
        let words: std::collections::BTreeSet<String> =
            ["ENG-1", "ENG/1", "ENG 1", "ENG.1", "", ".", "/"].map(slug).into();
        assert_eq!(words.len(), 7);
    }

    #[test]
    fn an_unusable_name_gives_way_to_the_issue() {
        assert_eq!(BranchName::or_from_issue(Some("-x"), "ENG-1").as_str(), "cyrus/eng-1");
        assert_eq!(BranchName::or_from_issue(None, "ENG-1").as_str(), "cyrus/eng-1");
        assert_eq!(BranchName::or_from_issue(Some("jane/eng-1"), "ENG-1").as_str(), "jane/eng-1");
    }
}
