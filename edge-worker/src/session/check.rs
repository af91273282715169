//! The panel's question whether an executor works here: no slot, no worktree, nothing posted; the answer goes
//! along with the `done` ack.

use serde_json::{Value, json};

use super::Means;

/// The longest reason, in characters; with it the result stays far under its 4 KB.
const LONGEST_REASON: usize = 500;

/// Asks the executor of that name for its version: `{"ok","executor","version","reason"}`.
pub async fn result(means: &Means, name: &str) -> Value {
    if name != means.executor.name() {
        let reason = format!(
            "this worker has no executor `{name}`; it has `{}`: name that one, or add it to the worker's configuration",
            means.executor.name()
        );
        return verdict(name, None, Some(&reason));
    }
    match means.executor.version().await {
        Ok(version) => verdict(name, Some(&version), None),
        Err(error) => verdict(name, None, Some(&error.to_string())),
    }
}

fn verdict(name: &str, version: Option<&str>, reason: Option<&str>) -> Value {
    let cut = |text: &str| text.chars().take(LONGEST_REASON).collect::<String>();
    json!({
        "ok": reason.is_none(),
        "executor": name.chars().take(100).collect::<String>(),
        "version": version.map(cut),
        "reason": reason.map(cut),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_fits_into_four_kilobytes_whatever_was_said() {
        for nasty in ["\u{0}", "\u{1f980}", "\"\\", "é\n"] {
            let long = nasty.repeat(100_000);
            for result in [verdict(&long, Some(&long), None), verdict(&long, None, Some(&long))] {
                assert!(result.to_string().len() <= 4096, "{nasty:?}: {}", result.to_string().len());
            }
        }
        let good = json!({"ok": true, "executor": "claude", "version": "2.1", "reason": null});
        assert_eq!(verdict("claude", Some("2.1"), None), good);
    }
}
