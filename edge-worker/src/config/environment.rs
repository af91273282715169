//! The environment as a layer: a variable for every key. `sandbox.level` is `CYRUS_SANDBOX_LEVEL`; some keys have
//! names of their own beside that.
//!
//! Lists come by commas or as JSON, objects as JSON. What a variable holds is never repeated in a trouble.

use serde_json::{Map, Value};

use super::schema::{self, ALIASES};
use super::trouble::{Source, Trouble};

/// Names that other programs use for the same.
const OWN_NAMES: &[(&str, &str)] = &[
    ("CONTROL_PANEL_URL", "controlPanel.apiUrl"),
    ("CONTROL_PANEL_API_KEY", "controlPanel.apiKey"),
    ("CODEGEN_ORG_ID", "codegen.orgId"),
    ("CODEGEN_API_TOKEN", "codegen.apiToken"),
    ("CODEGEN_API_BASE_URL", "codegen.apiBaseUrl"),
    ("ALLOWED_TOOLS", "defaultAllowedTools"),
    ("DISALLOWED_TOOLS", "defaultDisallowedTools"),
];

/// How a switch is written, in any case.
const WORDS_OF_TRUTH: &[(&str, bool)] = &[
    ("true", true),
    ("1", true),
    ("yes", true),
    ("on", true),
    ("false", false),
    ("0", false),
    ("no", false),
    ("off", false),
];

/// The variables that set a key, the strongest first.
pub fn variables(key: &str) -> Vec<String> {
    let mut names = vec![variable(key)];
    names.extend(OWN_NAMES.iter().filter(|(_, of)| *of == key).map(|(name, _)| (*name).to_owned()));
    for (alias, _) in ALIASES.iter().filter(|(_, of)| *of == key) {
        let name = variable(alias);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// `CYRUS_` and the key in capitals.
pub fn variable(key: &str) -> String {
    let mut name = "CYRUS_".to_owned();
    let mut after_small = false;
    for letter in key.chars() {
        if letter.is_ascii_uppercase() && after_small {
            name.push('_');
        }
        after_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        name.push(if letter == '.' { '_' } else { letter.to_ascii_uppercase() });
    }
    name
}

/// Writes what the environment sets over `tree`; the keys that it set.
pub fn lay_over(
    tree: &mut Map<String, Value>,
    schema: &Value,
    find: &dyn Fn(&str) -> Option<String>,
    troubles: &mut Vec<Trouble>,
) -> Vec<String> {
    let mut set = Vec::new();
    // A key comes before those within it, so the narrower variable wins.
    for (key, schema) in schema::keys(schema) {
        let found = variables(&key).into_iter().find_map(|name| find(&name).map(|text| (name, text)));
        let Some((name, text)) = found else { continue };
        match read(&text, &schema::types(schema)) {
            Ok(value) => {
                put(tree, &key, value);
                set.push(key);
            }
            Err(wanted) => {
                troubles.push(Trouble::error(Source::Environment, name, format!("is not {wanted}")));
            }
        }
    }
    set
}

/// A text as a value of a key with this schema, written as in a variable; else what it should be.
pub(super) fn read_as(text: &str, schema: &Value) -> Result<Value, String> {
    read(text, &schema::types(schema))
}

fn read(text: &str, types: &[&str]) -> Result<Value, String> {
    let takes = |kind: &str| types.contains(&kind);
    let trimmed = text.trim();
    if takes("array") && trimmed.starts_with('[') || takes("object") && trimmed.starts_with('{') {
        return serde_json::from_str(trimmed).map_err(|_| "JSON".to_owned());
    }
    if takes("boolean") {
        let lower = trimmed.to_lowercase();
        return WORDS_OF_TRUTH
            .iter()
            .find(|(word, _)| *word == lower)
            .map(|(_, meant)| Value::Bool(*meant))
            .ok_or_else(|| "`true` or `false`".to_owned());
    }
    if takes("integer") {
        return trimmed.parse::<i64>().map(Value::from).map_err(|_| "a whole number".to_owned());
    }
    if takes("number") {
        return trimmed.parse::<f64>().map(Value::from).map_err(|_| "a number".to_owned());
    }
    // One word may be a list of one, or a word of its own.
    if takes("array") && (trimmed.contains(',') || !takes("string")) {
        let items = trimmed.split(',').map(str::trim).filter(|item| !item.is_empty());
        return Ok(items.map(Value::from).collect());
    }
    if takes("string") || types.is_empty() {
        return Ok(Value::from(text));
    }
    Err("JSON".to_owned())
}

/// Writes a value, making the objects on the way to it.
pub fn put(tree: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            tree.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = tree.entry(first.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(variables: &[(&str, &str)]) -> (Value, Vec<Trouble>) {
        let mut tree = Map::new();
        let mut troubles = Vec::new();
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        lay_over(&mut tree, &schema::schema(), &find, &mut troubles);
        (Value::Object(tree), troubles)
    }

    #[test]
    fn every_key_has_a_variable_of_its_own() {
        let schema = schema::schema();
        let keys = schema::keys(&schema);
        assert!(keys.len() > 40, "{}", keys.len());
        let mut names: Vec<String> = keys.iter().flat_map(|(key, _)| variables(key)).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "two keys share a variable");
        assert_eq!(variable("usageLimit.maxWaitHours"), "CYRUS_USAGE_LIMIT_MAX_WAIT_HOURS");
        assert_eq!(variable("global_setup_script"), variable("globalSetupScript"));
    }

    #[test]
    fn values_are_read_as_what_their_key_holds() {
        let (tree, troubles) = laid(&[
            ("CYRUS_SLOTS", "3"),
            ("CYRUS_SANDBOX_LEVEL", "none"),
            ("CYRUS_SANDBOX_EGRESS", "a.example, b.example"),
            ("CYRUS_USAGE_LIMIT_RESUME", "Yes"),
            ("CYRUS_DISK_QUOTA_GB", "1.5"),
            ("CYRUS_DEFAULT_ALLOWED_TOOLS", r#"["Read","Bash(a,b)"]"#),
            ("CYRUS_MODEL", "opus"),
            ("CYRUS_REPOSITORIES", r#"[{"name":"a","repositoryPath":"/a"}]"#),
        ]);
        assert!(troubles.is_empty(), "{troubles:?}");
        let wanted = serde_json::json!({
            "slots": 3, "sandbox": {"level": "none", "egress": ["a.example", "b.example"]},
            "usageLimit": {"resume": true}, "diskQuotaGb": 1.5, "claudeDefaultModel": "opus",
            "defaultAllowedTools": ["Read", "Bash(a,b)"],
            "repositories": [{"name": "a", "repositoryPath": "/a"}],
        });
        assert_eq!(tree, wanted);
    }

    #[test]
    fn one_word_for_a_list_is_a_word_or_a_list_of_one() {
        let (tree, _) = laid(&[("CYRUS_DEFAULT_ALLOWED_TOOLS", "readOnly"), ("CYRUS_SANDBOX_READ", "/opt")]);
        assert_eq!(tree["defaultAllowedTools"], "readOnly");
        assert_eq!(tree["sandbox"]["read"], serde_json::json!(["/opt"]));
    }

    #[test]
    fn what_cannot_be_read_is_named_and_not_repeated() {
        let (_, troubles) = laid(&[("CYRUS_SLOTS", "s3cret"), ("CYRUS_REPOSITORIES", "[s3cret")]);
        assert_eq!(troubles.len(), 2);
        let told = format!("{troubles:?}");
        assert!(
            told.contains("CYRUS_SLOTS") && told.contains("CYRUS_REPOSITORIES") && !told.contains("s3cret")
        );
    }
}
