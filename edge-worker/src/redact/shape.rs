//! What has the shape of a key, whoever's it is. A shape is told by a prefix that nothing else has, and most need a
//! digit as well, so that names in program text are left alone.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

struct Shape {
    /// The secret is group 1, else the whole match.
    regex: Regex,
    /// Ordinary words look alike; a secret has a digit.
    digit: bool,
}

/// Patterns, and whether a digit is needed. Letters are ASCII in all of them.
const SHAPES: &[(&str, bool)] = &[
    // Anthropic, OpenAI
    (r"(?-u)sk-ant-[a-z]{2,10}[0-9]{2}-[A-Za-z0-9_-]{16,}", false),
    (r"(?-u)\bsk-ant-[A-Za-z0-9_-]{8,}", true),
    (r"(?-u)\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}", true),
    (r"(?-u)\bsk-[A-Za-z0-9]{32,}", true),
    // Linear
    (r"(?-u)lin_(?:api|oauth|wh)_[A-Za-z0-9_-]{12,}", true),
    // GitHub, GitLab, npm
    (r"(?-u)gh[pousr]_[A-Za-z0-9]{20,}", true),
    (r"(?-u)github_pat_[A-Za-z0-9_]{20,}", true),
    (r"(?-u)\bglpat-[A-Za-z0-9_-]{20,}", true),
    (r"(?-u)\bnpm_[A-Za-z0-9]{36}", true),
    // Cyrus's own keys, for workers and for the panel
    (r"(?-u)\bcyp_[0-9a-f]{32,}", false),
    (r"(?-u)cyw_[A-Za-z0-9]{10,}_[A-Za-z0-9]{16,}", false),
    // AWS, Google, Slack
    (r"(?-u)\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", false),
    (r"(?-u)\bAIza[A-Za-z0-9_-]{35}", true),
    (r"(?-u)\bxox[abeoprs]-[A-Za-z0-9-]{10,}", true),
    // A JSON web token
    (r"(?-u)\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", false),
    // Private keys, also in one line with `\n` written out, and the end of one whose begin is elsewhere
    (
        r#"(?-u)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----(?:[\s\\nr"',]*[A-Za-z0-9+/=]{16,})+[\s\\nr"',]*[A-Za-z0-9+/=]{0,80}[\s\\nr"',]*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----)?"#,
        false,
    ),
    (
        r#"(?-u)(?:[A-Za-z0-9+/=]{16,}[\s\\nr"',]*)+[A-Za-z0-9+/=]{0,80}[\s\\nr"',]*-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----"#,
        false,
    ),
    // In headers and URLs
    (r"(?i-u)\bbearer\s+([A-Za-z0-9._~+/=-]{16,})", true),
    (r#"(?i-u)authorization["'\s:=]{1,8}(?:basic|token)\s+([A-Za-z0-9._~+/=-]{8,})"#, true),
    (r"(?i-u)\b[a-z][a-z0-9+.-]{1,20}://[a-z0-9._~%+-]{0,80}:([a-z0-9._~%!$&'()*+,;=-]{6,})@", false),
];

static COMPILED: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let compile =
        |(pattern, digit): &(&str, bool)| Some(Shape { regex: Regex::new(pattern).ok()?, digit: *digit });
    SHAPES.iter().filter_map(compile).collect()
});

/// Where something of such a shape stands.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for shape in COMPILED.iter() {
        for captures in shape.regex.captures_iter(text) {
            let Some(secret) = captures.get(1).or_else(|| captures.get(0)) else { continue };
            if !shape.digit || secret.as_str().bytes().any(|byte| byte.is_ascii_digit()) {
                found.push(secret.range());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(COMPILED.len(), SHAPES.len());
    }
}
