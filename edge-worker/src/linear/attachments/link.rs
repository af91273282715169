//! Links to files in texts of Linear, and the names that files get here. Pure.

use reqwest::Url;
use shared::digest::sha256_hex;

/// Linear's file host.
const FILE_HOST: &str = "uploads.linear.app";
/// The longest name of a file, without the mark before it.
const LONGEST_NAME: usize = 80;

/// A link to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it is.
    pub url: Url,
    /// What people called it, in one line, else the last part of its address.
    pub label: String,
}

impl Link {
    /// A name that is safe in any folder and in any command: a mark of the address, then letters of its own name.
    pub fn file_name(&self) -> String {
        let mark: String = sha256_hex(self.url.as_str().as_bytes()).chars().take(8).collect();
        let last = self.url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
        let named = [self.label.as_str(), last].into_iter().find(|name| name.contains('.')).unwrap_or(last);
        format!("{mark}-{}", safe(named))
    }
}

fn safe(name: &str) -> String {
    let plain =
        |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_matches(['.', '-', '_']).replace("..", "-");
    let skipped = name.len().saturating_sub(LONGEST_NAME);
    // The end has the kind of file.
    let name = name.get(skipped..).unwrap_or_default().trim_start_matches(['.', '-']);
    if name.is_empty() { "file".to_owned() } else { name.to_owned() }
}

/// The links to files of Linear in these texts, each address once: by Linear's file host, or by the origin of the API
/// that this worker talks to.
pub fn links(texts: &[&str], api: &Url) -> Vec<Link> {
    let mut all: Vec<Link> = Vec::new();
    for text in texts {
        for (at, _) in text.match_indices("http") {
            let Some(rest) = text.get(at..) else { continue };
            let end = rest.find(|letter: char| letter.is_whitespace() || "<>\"'`)]}\\|".contains(letter));
            let address = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let address = address.trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_']);
            let Some(url) = Url::parse(address).ok().filter(|url| is_file(url, api)) else { continue };
            if all.iter().all(|known| known.url != url) {
                let label = label(text.get(..at).unwrap_or_default(), &url);
                all.push(Link { url, label });
            }
        }
    }
    all
}

fn is_file(url: &Url, api: &Url) -> bool {
    let own_host = url.scheme() == "https" && url.host_str() == Some(FILE_HOST) && url.port().is_none();
    let by_api = url.origin() == api.origin() && url.path() != api.path();
    // A name or password in the address would be sent along.
    (own_host || by_api) && url.path().len() > 1 && url.username().is_empty() && url.password().is_none()
}

/// The words in the brackets before a Markdown link.
fn label(before: &str, url: &Url) -> String {
    let named = before.strip_suffix("](").and_then(|before| before.rsplit_once('[')).map(|(_, name)| name);
    let last = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
    let name = named.filter(|name| !name.trim().is_empty()).unwrap_or(last);
    name.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> Url {
        Url::parse("http://127.0.0.1:9/graphql").unwrap()
    }

    fn found(text: &str) -> Vec<String> {
        links(&[text], &api()).into_iter().map(|link| format!("{} {}", link.label, link.url)).collect()
    }

    #[test]
    fn only_files_of_linear_are_taken_and_each_once() {
        let text = "![shot.png](https://uploads.linear.app/a/b/c1) and again https://uploads.linear.app/a/b/c1, \
                    <https://uploads.linear.app/x.pdf>. (http://127.0.0.1:9/files/1)";
        assert_eq!(
            found(text),
            [
                "shot.png https://uploads.linear.app/a/b/c1",
                "x.pdf https://uploads.linear.app/x.pdf",
                "1 http://127.0.0.1:9/files/1",
            ]
        );
        for other in [
            "https://uploads.linear.app.evil.example/a",
            "https://evil.example/https://uploads.linear.app",
            "http://uploads.linear.app/a",
            "https://uploads.linear.app:8443/a",
            "https://user:pass@uploads.linear.app/a",
            "https://uploads.linear.app@evil.example/a",
            "https://uploads.linear.app/",
            "https://uploads.linear.app\\@evil.example/a",
            "http://127.0.0.1:9/graphql",
            "http://127.0.0.1:10/files/1",
            "http://localhost:9/files/1",
            "https://127.0.0.1:9/files/1",
            "file:///etc/passwd",
            "http",
            "https://",
            "\u{1f980}http\u{1f980}",
        ] {
            let found = found(other);
            assert!(found.is_empty(), "{other}: {found:?}");
        }
    }

    #[test]
    fn names_of_files_are_safe_whatever_people_call_them() {
        let name = |label: &str, address: &str| {
            let link = Link { url: Url::parse(address).unwrap(), label: label.to_owned() };
            let name = link.file_name();
            assert!(!name.contains(['/', ' ', '$', '\n', '\'', '`']) && !name.contains(".."), "{name}");
            name.split_once('-').unwrap().1.to_owned()
        };
        let plain = "https://uploads.linear.app/a/b";
        assert_eq!(name("shot 1.png", plain), "shot-1.png");
        assert_eq!(name("../../../etc/passwd.txt", plain), "etc-passwd.txt");
        assert_eq!(name("$(touch x).png", plain), "touch-x-.png");
        assert_eq!(name("-rf.sh", plain), "rf.sh");
        assert_eq!(name("no end", plain), "b");
        assert_eq!(name("...", plain), "file");
        assert_eq!(name("\u{202e}gnp.exe\u{1f980}\n", plain), "gnp.exe");
        let long = name(&format!("{}.jpeg", "x".repeat(900)), plain);
        assert!(long.len() <= LONGEST_NAME && long.ends_with(".jpeg"), "{long}");
        assert_ne!(
            Link { url: Url::parse(plain).unwrap(), label: "a.png".into() }.file_name(),
            Link { url: Url::parse("https://uploads.linear.app/c").unwrap(), label: "a.png".into() }
                .file_name()
        );
    }
}
