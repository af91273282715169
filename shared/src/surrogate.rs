//! Half surrogate pairs in JSON: JavaScript writes a text that was cut inside an emoji as `"\ud83d"`.
//!
//! That is a valid escape to JavaScript and an error to `serde_json`. Such a half says nothing, so it becomes
//! U+FFFD; nothing else of the text is touched.

use serde::de::DeserializeOwned;

/// Parses JSON that may hold half pairs. Fails as `serde_json` does on anything else that is wrong.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(json).or_else(|error| match mend(json) {
        Some(mended) => serde_json::from_str(&mended),
        None => Err(error),
    })
}

/// The text with each half pair replaced by `\ufffd`. `None`: there is none.
pub fn mend(json: &str) -> Option<String> {
    let bytes = json.as_bytes();
    let mut mended: Option<String> = None;
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        let start = at + found;
        let Some(unit) = unit(bytes, start) else {
            // Another escape, `\\` among them: both its bytes are passed over.
            at = start + 2;
            continue;
        };
        let pair = (0xD800..0xDC00).contains(&unit)
            && self::unit(bytes, start + 6).is_some_and(|next| (0xDC00..0xE000).contains(&next));
        if pair {
            at = start + 12;
        } else if (0xD800..0xE000).contains(&unit) {
            let text = mended.get_or_insert_default();
            text.push_str(json.get(copied..start)?);
            text.push_str("\\ufffd");
            at = start + 6;
            copied = at;
        } else {
            at = start + 6;
        }
    }
    let mut text = mended?;
    text.push_str(json.get(copied..)?);
    Some(text)
}

/// The UTF-16 unit of a `\uXXXX` at this place.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = core::str::from_utf8(digits).ok()?;
    // `from_str_radix` would take a sign.
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text_of(json: &str) -> String {
        let mended = mend(json).unwrap_or_else(|| json.to_owned());
        serde_json::from_str(&mended).unwrap()
    }

    #[test]
    fn halves_become_the_replacement_character_and_pairs_stay() {
        assert_eq!(text_of(r#""a\ud83db""#), "a\u{fffd}b");
        assert_eq!(text_of(r#""\udd80""#), "\u{fffd}");
        assert_eq!(text_of(r#""\ud83d\ud83e\udd80""#), "\u{fffd}\u{1f980}");
        assert_eq!(text_of(r#""\ud83d\u0041""#), "\u{fffd}A");
        assert_eq!(mend(r#""\ud83e\udd80 \n \\ud83d""#), None, "a pair, and a backslash before letters");
    }

    #[test]
    fn nasty_ends_do_no_harm() {
        for nasty in
            ["", "\\", "\\u", "\\ud83", "\\ud83d", "\\ud83d\\", "\\ud83d\\u", "\\u+123", "\\ué", "é\\ud83dé"]
        {
            let _ = mend(nasty);
        }
    }

    proptest! {
        #[test]
        fn what_a_parser_takes_is_left_alone(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(mend(&json), None);
        }
    }
}
