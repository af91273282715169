//! How people name a repository: `[repo=owner/name]` in a text, and remotes in their several spellings. Pure.

/// The longest tag that is read, in bytes.
const LONGEST: usize = 512;

/// The names in the first tag of a text: `[repo=a]`, `[repos=a,b]`, with `#branch` and escaped brackets left out.
pub fn names(text: &str) -> Vec<String> {
    let lower = text.to_ascii_lowercase();
    let mut from = 0;
    while let Some(found) = lower.get(from..).and_then(|rest| rest.find("[repo")) {
        let begin = from + found + "[repo".len();
        from = begin;
        let Some(rest) = text.get(begin..) else { break };
        let Some(value) = rest.strip_prefix(['s', 'S']).unwrap_or(rest).strip_prefix('=') else { continue };
        let Some(end) = value.find([']', '\n']).filter(|end| *end <= LONGEST) else { continue };
        let Some(inside) =
            value.get(..end).filter(|_| value.get(end..).is_some_and(|rest| rest.starts_with(']')))
        else {
            continue;
        };
        let names: Vec<String> = inside
            .trim_end_matches('\\')
            .split(',')
            .map(|name| name.split('#').next().unwrap_or_default().trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        if !names.is_empty() {
            return names;
        }
    }
    Vec::new()
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
