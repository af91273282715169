//! How deeply a JSON text is nested, found without parsing it, so that no parser's stack is at risk.

/// Whether arrays and objects nest deeper than `limit`. Text that is not JSON gets some answer; the parser judges it next.
pub fn deeper_than(limit: usize, json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_inside_strings_do_not_count() {
        assert!(!deeper_than(1, br#"{"a":"[[[[{{\"[[["}"#));
        assert!(deeper_than(1, br#"{"a":[]}"#));
        assert!(!deeper_than(2, br#"{"a":[]}"#));
    }

    #[test]
    fn two_hundred_thousand_levels_are_told_at_once() {
        assert!(deeper_than(64, "[".repeat(200_000).as_bytes()));
        assert!(deeper_than(64, r#"{"a":"#.repeat(200_000).as_bytes()));
    }
}
