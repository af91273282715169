//! How people name repositories in a text: `[repo=owner/name]`, `[repo=name#branch]`, `repos=a,b#branch`; and remotes
//! in their several spellings.

/// The longest tag that is read, in bytes.
const LONGEST: usize = 512;
/// Tags of one text beyond these are not read.
const MOST: usize = 16;

/// A repository that a tag names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// A name, an id, or the end of a remote.
    pub name: String,
    /// The branch after `#`, which is meant for each of the tag's names.
    pub base: Option<String>,
    /// It stands in brackets, and so can mean nothing else.
    pub in_brackets: bool,
}

/// The tags of a text, in brackets (which Linear may have escaped) or as a word of their own. Each name once.
pub fn tags(text: &str) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    let mut from = 0;
    while let Some((at, after)) = next_word(text, from) {
        from = after;
        let before = text.get(..at).unwrap_or_default();
        let rest = text.get(after..).unwrap_or_default();
        let in_brackets = before.ends_with('[');
        let value = if in_brackets {
            bracketed(rest)
        } else if before.chars().next_back().is_none_or(char::is_whitespace) {
            Some(bare(rest))
        } else {
            None
        };
        for tag in value.map(|value| read(value, in_brackets)).unwrap_or_default() {
            if tags.len() < MOST && tags.iter().all(|known| known.name != tag.name) {
                tags.push(tag);
            }
        }
    }
    tags
}

/// The next `repo=` or `repos=`: where it begins, and where its value does.
fn next_word(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let starts = |at: usize, word: &[u8]| {
        bytes.get(at..at + word.len()).is_some_and(|there| there.eq_ignore_ascii_case(word))
    };
    (from..bytes.len()).find_map(|at| {
        let word = [&b"repos="[..], &b"repo="[..]].into_iter().find(|word| starts(at, word))?;
        Some((at, at + word.len()))
    })
}

/// What stands before the closing bracket on the same line.
fn bracketed(rest: &str) -> Option<&str> {
    let end = rest.find([']', '\n']).filter(|end| *end <= LONGEST)?;
    rest.get(end..)?.starts_with(']').then_some(())?;
    Some(rest.get(..end)?.trim_end_matches('\\'))
}

/// A bare value is one word of the letters that names and branches have.
fn bare(rest: &str) -> &str {
    let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"-_/.#,:".contains(letter));
    let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    if word.len() > LONGEST { "" } else { word.trim_end_matches(['.', ',', ':']) }
}

fn read(value: &str, in_brackets: bool) -> Vec<Tag> {
    // Each name may have a branch of its own; one at the end is meant for all.
    let parts: Vec<(&str, Option<&str>)> = value
        .split(',')
        .map(|part| match part.split_once('#') {
            Some((name, base)) => (name.trim(), Some(base.trim()).filter(|base| !base.is_empty())),
            None => (part.trim(), None),
        })
        .collect();
    let for_all = parts.last().and_then(|(_, base)| *base);
    let only_last = parts.iter().rev().skip(1).all(|(_, base)| base.is_none());
    parts
        .iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, base)| Tag {
            name: (*name).to_owned(),
            base: if only_last { for_all } else { *base }.map(str::to_owned),
            in_brackets,
        })
        .collect()
}

/// `host/owner/name` of a remote's URL; `None` for what is no URL of a host, such as a path.
pub fn normalise(remote: &str) -> Option<String> {
    let remote = remote.trim();
    let place = match remote.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, place)) => place.to_owned(),
        // `git@host:owner/name`
        None => {
            let (host, path) = remote.split_once(':')?;
            if host.contains('/') || host.is_empty() {
                return None;
            }
            format!("{host}/{path}")
        }
    };
    let place = place.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = place.split_once('/')?;
    let host = host.rsplit('@').next().unwrap_or(host);
    let host = host.split(':').next().unwrap_or(host).to_lowercase();
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!host.is_empty() && !path.is_empty()).then(|| format!("{host}/{path}"))
}
