//! What is secret goes, in every disguise; what only looks so stays.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::json;

use super::*;

const SECRET: &str = "S3cr3t/va+lue \"quoted\"=";

/// Keys by their shape, built here so that no scanner takes this file for a leak.
fn keys() -> Vec<String> {
    let long = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0iL3oR6u";
    let hex = "0123456789abcdef".repeat(4);
    vec![
        format!("sk-ant-api03-{long}-{long}_x"),
        format!("sk-ant-oat01-{long}"),
        format!("sk-proj-{long}"),
        format!("lin_api_{long}"),
        format!("lin_oauth_{hex}"),
        format!("ghp_{}", &long[..36]),
        format!("ghs_{}", &long[..36]),
        format!("github_pat_{}_{long}", &long[..22]),
        format!("cyw_01h455vb4pex5vsknk084sn02q_{hex}"),
        "AKIA".to_owned() + "IOSFODNN7EXAMPLE",
        format!("xoxb-123456789012-{}", &long[..24]),
        format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{long}"),
    ]
}

fn pem(kind: &str) -> String {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    format!("-----BEGIN {kind}PRIVATE KEY-----\n{line}\n{line}\nMIIEvQ==\n-----END {kind}PRIVATE KEY-----")
}

#[test]
fn a_key_is_taken_out_wherever_it_stands() {
    let redactor = Redactor::default();
    for key in keys() {
        for (before, after) in [
            ("", ""),
            ("token=", " and more"),
            ("é\u{1f980} ", "\u{202e}é"),
            ("{\"a\":\"", "\"}"),
            ("line\\n", "\\nline"),
            ("export K='", "';"),
            ("(", ")."),
            ("a,", ",b"),
        ] {
            // An escaped line end before a shape that a word may hide is the price of few false hits.
            let text = format!("{before}{key}{after}");
            let clean = redactor.text(&text);
            if before.ends_with("\\n") && clean == text {
                assert!(
                    ["sk-proj", "AKIA", "xoxb", "eyJ"].iter().any(|bounded| key.starts_with(bounded)),
                    "{text}"
                );
                continue;
            }
            assert_eq!(clean, format!("{before}{REDACTED}{after}"), "{text}");
        }
        let two = format!("{key} {key}");
        assert_eq!(redactor.text(&two), format!("{REDACTED} {REDACTED}"));
    }
}

#[test]
fn headers_and_urls_lose_only_their_secret() {
    let redactor = Redactor::default();
    let token = "abc123def456ghi789jkl";
    let cases = [
        (format!("authorization: Bearer {token}"), format!("authorization: Bearer {REDACTED}")),
        (format!("-H 'Authorization: BEARER  {token}'"), format!("-H 'Authorization: BEARER  {REDACTED}'")),
        (format!("Authorization: Basic {token}=="), format!("Authorization: Basic {REDACTED}")),
        (
            format!("https://x-access-token:{token}@github.com/a/b.git"),
            format!("https://x-access-token:{REDACTED}@github.com/a/b.git"),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(redactor.text(&text), expected);
    }
}

#[test]
fn private_keys_go_whole_in_one_line_or_many_and_without_their_begin() {
    let redactor = Redactor::default();
    for kind in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
        let pem = pem(kind);
        assert_eq!(redactor.text(&format!("a\n{pem}\nb")), format!("a\n{REDACTED}\nb"), "{kind}");
        let one_line = pem.replace('\n', "\\n");
        assert_eq!(redactor.text(&format!("\"{one_line}\"")), format!("\"{REDACTED}\""), "{kind}");
        let cut = pem.split_once("-----END").unwrap().0;
        assert!(!redactor.text(cut).contains("MIIEvQ"), "{kind}");
        let end = pem.split_once("KEY-----\n").unwrap().1;
        assert!(!redactor.text(end).contains("MIIEvQ"), "{kind}");
    }
}

#[test]
fn a_known_value_goes_in_every_disguise() {
    let redactor = Redactor::new([SECRET]);
    let user = |name: &str| STANDARD.encode(format!("{name}:{SECRET}\u{0}after"));
    let texts = [
        SECRET.to_owned(),
        json!({ "k": SECRET }).to_string(),
        json!({ "k": json!({ "k": SECRET }).to_string() }).to_string(),
        STANDARD.encode(SECRET),
        URL_SAFE.encode(SECRET),
        user("a"),
        user("ab"),
        user("abc"),
        SECRET.bytes().map(|byte| format!("{byte:02x}")).collect(),
        "S3cr3t%2Fva%2Blue%20%22quoted%22%3D".to_owned(),
        "S3cr3t%2fva%2blue%20%22quoted%22%3d".to_owned(),
    ];
    for text in texts {
        let clean = redactor.text(&text).into_owned();
        assert!(clean.contains(REDACTED), "{text} -> {clean}");
        assert!(clean.len() < REDACTED.len() + 40, "{text} -> {clean}");
    }
}

#[test]
fn secrets_that_overlap_touch_or_hold_each_other_leave_nothing_behind() {
    let redactor =
        Redactor::new(["abcdefgh-1234", "1234-wxyzwxyz", "abcdefgh-1234-wxyzwxyz-long", "cdefgh-1"]);
    for text in [
        "abcdefgh-1234-wxyzwxyz",
        "abcdefgh-1234-wxyzwxyz-long",
        "abcdefgh-1234abcdefgh-1234",
        "abcdefgh-12341234-wxyzwxyz",
    ] {
        assert_eq!(redactor.text(text), REDACTED, "{text}");
        assert_eq!(redactor.text(&format!("<{text}>")), format!("<{REDACTED}>"), "{text}");
    }
    let long = keys().remove(0);
    let redactor = Redactor::new([&long[..20]]);
    assert_eq!(redactor.text(&long), REDACTED, "no tail is left of a longer key with a known begin");
}

#[test]
fn the_begin_of_a_secret_that_was_cut_off_goes_too() {
    let redactor = Redactor::new(["correct-horse-battery-staple"]);
    assert_eq!(redactor.text("run x correct-horse-bat…"), format!("run x {REDACTED}…"));
    assert_eq!(redactor.text("run x correct…"), "run x correct…", "too short to tell anything");
    assert_eq!(redactor.text("run x correct-horse-bat"), "run x correct-horse-bat", "nothing was cut off");
}

#[test]
fn ordinary_words_hashes_and_ids_are_left_alone() {
    let redactor = Redactor::new(["short", "", "   ", "a-known-secret-value"]);
    let hex = "0123456789abcdef".repeat(4);
    let texts = [
        "5f2b6c1de2f7a3b19c8d4e5f60718293a4b5c6d7",
        &hex,
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "sha512-2P3VVSJyRjnYe6DMWZmRfzCTQ1Y5jjpTXTyY1mHBBkMsYsXWvTsCAZnYJ7fqQyMZqQhPxqKtLhxj8xyvXyV+Tg==",
        "70f3d8b1-c5a2-4e9d-8617-4a2e9b0c5d38",
        "evt_01h455vb4pex5vsknk084sn02q",
        "task-ant-colony, disk-antenna",
        "const lin_api_key = lin_oauth_refresh_token_response;",
        "the bearer of this letter, a Bearer authentication scheme",
        "Basic understanding of authorization: basic",
        "short words in short texts",
        "git@github.com:acme/totals.git https://github.com/acme/totals.git http://127.0.0.1:8080/x@y",
        "-----BEGIN PRIVATE KEY----- is how it begins",
        "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END CERTIFICATE-----",
        "src/sk-something/ghp_/xox/AKIA",
        "",
        "…",
    ];
    for text in texts {
        assert!(
            matches!(redactor.text(text), Cow::Borrowed(same) if same == text),
            "{text}: {}",
            redactor.text(text)
        );
    }
}

#[test]
fn every_string_of_a_json_value_is_cleaned_and_nothing_else_is_touched() {
    let redactor = Redactor::new(["a-known-secret-value"]);
    let mut value = json!({
        "n": 1.5, "b": true, "z": null, "big": u64::MAX,
        "deep": [{"x": ["say a-known-secret-value!"]}],
        "a-known-secret-value": {"k": "plain"},
    });
    redactor.value(&mut value);
    assert_eq!(
        value,
        json!({
            "n": 1.5, "b": true, "z": null, "big": u64::MAX,
            "deep": [{"x": [format!("say {REDACTED}!")]}],
            REDACTED: {"k": "plain"},
        })
    );
}

#[test]
fn what_was_cleaned_once_stays_as_it_is() {
    let redactor = Redactor::new([SECRET, "redacted", "[redacted]x"]);
    let dirty = format!("Bearer {} {} {SECRET} {}", keys()[0], keys()[8], pem(""));
    let once = redactor.text(&dirty).into_owned();
    assert!(!once.contains(SECRET) && !once.contains("MIIEvQ"));
    let plain = Redactor::new([SECRET]);
    let once = plain.text(&dirty).into_owned();
    assert_eq!(plain.text(&once), once);
}

#[test]
fn a_secret_learned_later_is_taken_out_by_every_clone() {
    let redactor = Redactor::default();
    let clone = redactor.clone();
    assert_eq!(clone.text("learned-later-1"), "learned-later-1");
    redactor.learn(["learned-later-1"]);
    assert_eq!(clone.text("learned-later-1"), REDACTED);
}

#[test]
fn a_long_text_is_read_once() {
    let redactor = Redactor::new((0..40).map(|n| format!("secret-value-number-{n}")));
    let long = "Aa1+/=\\n-----END sk-ant- bearer ".repeat(100_000);
    let begun = std::time::Instant::now();
    let _ = redactor.text(&long);
    assert!(begun.elapsed().as_secs() < 20, "{:?} for {} bytes", begun.elapsed(), long.len());
}
