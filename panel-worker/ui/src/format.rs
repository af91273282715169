//! How durations, counts and hashes are written for people. Pure: the caller brings the clock.
//!
//! Money prints itself (`shared::money`). No floats here: their formatting costs kilobytes of wasm.

/// A length of time in ms, short and exact enough: `820 ms`, `4.2 s`, `12 s`, `3 m 05 s`, `2 h 07 m`, `3 d 4 h`.
pub fn duration(millis: i64) -> String {
    let millis = millis.max(0);
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..=9 => format!("{seconds}.{} s", millis % 1000 / 100),
        10..=59 => format!("{seconds} s"),
        _ => clock(millis),
    }
}

/// The same for a clock that ticks: whole seconds, so that nothing jumps.
pub fn clock(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if minutes == 0 => format!("{seconds} s"),
        () if hours == 0 => format!("{minutes} m {:02} s", seconds % 60),
        () if days == 0 => format!("{hours} h {:02} m", minutes % 60),
        () => format!("{days} d {} h", hours % 24),
    }
}

/// How long ago something was, `age` in ms: `just now`, `12 s ago`, `3 min ago`, `5 h ago`, `2 d ago`.
/// A clock that runs ahead gives `just now`, never a negative age.
pub fn ago(age: i64) -> String {
    let seconds = age.max(0) / 1000;
    match seconds {
        0..=4 => "just now".to_owned(),
        5..=59 => format!("{seconds} s ago"),
        60..=3599 => format!("{} min ago", seconds / 60),
        3600..=86_399 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// A count with thin groups, `1 234 567`, joined by narrow no-break spaces.
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 * 3 + 1);
    if number < 0 {
        out.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `1 line`, `3 lines`: for words whose plural takes an s.
pub fn counted(number: usize, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {word}{plural}", count(i64::try_from(number).unwrap_or(i64::MAX)))
}

/// The whole per cent that `part` is of `part + rest`; `None` when there is nothing to divide.
/// 100 only when nothing is in the rest, 0 only when nothing is in the part.
pub fn per_cent(part: u32, rest: u32) -> Option<u32> {
    let whole = u64::from(part) + u64::from(rest);
    let rounded = (u64::from(part) * 100 + whole / 2).checked_div(whole)?;
    let honest = match (part, rest) {
        (0, _) => 0,
        (_, 0) => 100,
        _ => rounded.clamp(1, 99),
    };
    u32::try_from(honest).ok()
}

/// The first seven characters of a commit's hash.
pub fn short_hash(hash: &str) -> String {
    hash.chars().take(7).collect()
}

/// The address, if a link may lead there: outside text must not become `javascript:` or the like.
pub fn safe_href(address: &str) -> Option<String> {
    let lower = address.trim_start().to_ascii_lowercase();
    (lower.starts_with("https://") || lower.starts_with("http://")).then(|| address.trim().to_owned())
}

/// A part of an address, escaped.
pub fn escape(part: &str) -> String {
    let hex = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase();
    let mut out = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_short_and_never_negative() {
        for (millis, text) in [
            (-5, "0 ms"),
            (0, "0 ms"),
            (999, "999 ms"),
            (4_250, "4.2 s"),
            (12_900, "12 s"),
            (185_000, "3 m 05 s"),
            (7_620_000, "2 h 07 m"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(duration(millis), text);
        }
        assert_eq!(clock(4_250), "4 s");
        assert!(!duration(i64::MAX).is_empty() && !clock(i64::MIN).is_empty());
    }

    #[test]
    fn an_age_of_a_clock_that_runs_ahead_is_just_now() {
        assert_eq!(ago(-60_000), "just now");
        assert_eq!(ago(59_999), "59 s ago");
        assert_eq!(ago(180_000), "3 min ago");
        assert_eq!(ago(90_000_000), "1 d ago");
    }

    #[test]
    fn counts_are_grouped_by_three_from_the_right() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(-1_000), "-1\u{202f}000");
        assert!(count(i64::MIN).starts_with("-9"));
        assert_eq!(counted(1, "line"), "1 line");
        assert_eq!(counted(0, "line"), "0 lines");
    }

    #[test]
    fn a_rate_says_100_only_when_nothing_failed() {
        assert_eq!(per_cent(0, 0), None);
        assert_eq!(per_cent(999, 1), Some(99));
        assert_eq!(per_cent(1, 999), Some(1));
        assert_eq!(per_cent(3, 0), Some(100));
        assert_eq!(per_cent(u32::MAX, u32::MAX), Some(50));
    }

    #[test]
    fn only_web_addresses_become_links() {
        assert_eq!(safe_href("https://linear.app/x").as_deref(), Some("https://linear.app/x"));
        for nasty in ["javascript:alert(1)", " JaVaScRiPt:alert(1)", "data:text/html,x", "//evil", ""] {
            assert_eq!(safe_href(nasty), None, "{nasty}");
        }
    }

    #[test]
    fn nothing_in_an_escaped_part_means_anything_to_an_address() {
        assert_eq!(escape("ses_01-a.b~c"), "ses_01-a.b~c");
        assert_eq!(escape("a b&c=/?#%+ö"), "a%20b%26c%3D%2F%3F%23%25%2B%C3%B6");
    }

    #[test]
    fn a_hash_is_cut_by_characters_not_bytes() {
        assert_eq!(short_hash("0123456789"), "0123456");
        assert_eq!(short_hash("ööö"), "ööö");
    }
}
