//! The forms in which a known secret turns up: as it is, in JSON, in a URL, in hex, in base64 whatever stands before it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Lines of a secret of several lines that are as long as this are secrets themselves.
const LONG_LINE: usize = 16;

/// All forms of a value.
pub(super) fn forms(value: &str) -> Vec<String> {
    let mut forms = of_one(value);
    if value.lines().nth(1).is_some() {
        forms.extend(value.lines().map(str::trim).filter(|line| line.len() >= LONG_LINE).flat_map(of_one));
    }
    forms
}

fn of_one(value: &str) -> Vec<String> {
    let bytes = value.as_bytes();
    let mut forms = vec![
        value.to_owned(),
        percent(bytes, |byte| format!("%{byte:02X}")),
        percent(bytes, |byte| format!("%{byte:02x}")),
        bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
    ];
    let quoted = serde_json::to_string(value).unwrap_or_default();
    let inside = quoted.trim_matches('"');
    // A JSON text within a JSON text: tools do that all the time.
    let twice = serde_json::to_string(inside).unwrap_or_default();
    forms.extend([inside.to_owned(), twice.trim_matches('"').to_owned()]);
    for before in 0..3 {
        forms.extend(in_base64(bytes, before));
    }
    forms
}

fn percent(bytes: &[u8], escape: impl Fn(u8) -> String) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    bytes
        .iter()
        .map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { escape(*byte) })
        .collect()
}

/// The letters of a base64 text that are the value's alone, when `before` bytes of a group of three stand before it.
fn in_base64(bytes: &[u8], before: usize) -> [String; 2] {
    let mut all = vec![0; before];
    all.extend_from_slice(bytes);
    // A letter holds six bits: the first ones mix with what stands before, the last with what comes after.
    let first = (before * 8).div_ceil(6);
    let last = all.len() * 8 / 6;
    [STANDARD_NO_PAD.encode(&all), URL_SAFE_NO_PAD.encode(&all)]
        .map(|text| text.get(first..last).unwrap_or_default().to_owned())
}
