//! The name of a session that was started on this machine: words of its prompt and a mark, for people to type.
//!
//! It names a branch and a folder too, so it holds nothing but small letters, digits and dashes.

const WORDS: usize = 4;
const LONGEST_WORD: usize = 14;

/// Words that say little.
const SMALL: &[&str] =
    &["a", "an", "the", "to", "of", "in", "and", "please", "for", "with", "on", "it", "is"];

/// A name from the first words that say something, and six digits of `mark`.
pub fn session_name(prompt: &str, mark: u128) -> String {
    let mut words: Vec<String> = prompt
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .map(str::to_ascii_lowercase)
        .filter(|word| !word.is_empty() && !SMALL.contains(&word.as_str()))
        // What is long is no word: it may be a key that somebody pasted.
        .filter(|word| word.len() <= LONGEST_WORD)
        .take(WORDS)
        .collect();
    if words.is_empty() {
        words.push("run".to_owned());
    }
    format!("{}-{:06x}", words.join("-"), mark & 0xff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::BranchName;

    #[test]
    fn a_name_says_what_it_is_about_and_is_safe_everywhere() {
        assert_eq!(session_name("Please add a README to the app.", 0xabc), "add-readme-app-000abc");
        assert_eq!(session_name("", 1), "run-000001");
        assert_eq!(session_name("приве́т \u{202e} 🦀", 1), "run-000001");
        for nasty in ["$(touch /x)", "../../etc", "-rf", "a;b`c`", "x\n\n\0y", &"long ".repeat(100)] {
            let name = session_name(nasty, 0xff_ff_ff_ff);
            assert!(BranchName::from_issue(&name).as_str().ends_with(&name), "{name}");
        }
    }

    #[test]
    fn a_pasted_key_is_not_in_the_name() {
        let name = session_name("use sk-ant-REDACTED0123456789abcdef here", 2);
        assert!(!name.contains("0123456789"), "{name}");
    }
}
