//! The JSON Schema of the configuration file, as it is published in `docs/config.schema.json`, and the other names
//! that keys have.
//!
//! It is made from the types of [`super::file`]; nothing is listed twice.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::file::File;

/// Other names of keys, and the key that each one means. Where both are given, the key itself counts; among several
/// other names the first one in this list.
pub const ALIASES: &[(&str, &str)] = &[
    ("claude.model", "claudeDefaultModel"),
    ("model", "claudeDefaultModel"),
    ("defaultModel", "claudeDefaultModel"),
    ("fallbackModel", "claudeDefaultFallbackModel"),
    ("defaultFallbackModel", "claudeDefaultFallbackModel"),
    ("allowedTools", "defaultAllowedTools"),
    ("linearAllowedTools", "defaultAllowedTools"),
    ("disallowedTools", "defaultDisallowedTools"),
    ("maxSessions", "slots"),
    ("global_setup_script", "globalSetupScript"),
    ("codegen.features.useMcpServers", "useMcpServers"),
    ("codegen.features.enableTracing", "enableTracing"),
];

/// The schema.
pub fn schema() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<File>().to_value();
    plain(&mut schema);
    for (alias, key) in ALIASES {
        let Some(mut meant) = at(&schema, key).cloned() else { continue };
        if let Some(object) = meant.as_object_mut() {
            object.insert("description".to_owned(), json!(format!("The same as `{key}`.")));
        }
        put(&mut schema, alias, meant);
    }
    schema
}

/// The schema of a key (`sandbox.level`).
pub fn at<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(schema, |schema, name| schema.get("properties")?.get(name))
}

fn put(schema: &mut Value, key: &str, new: Value) {
    let mut place = schema;
    let mut names = key.split('.').peekable();
    while let Some(name) = names.next() {
        let Some(properties) = place.get_mut("properties").and_then(Value::as_object_mut) else { return };
        if names.peek().is_none() {
            properties.insert(name.to_owned(), new);
            return;
        }
        let Some(next) = properties.get_mut(name) else { return };
        place = next;
    }
}

/// Drops what only says that a key may be absent.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("default").is_some_and(|value| *value == Value::Null || *value == json!({})) {
                object.remove("default");
            }
            object.values_mut().for_each(plain);
        }
        Value::Array(list) => list.iter_mut().for_each(plain),
        _ => {}
    }
}

/// The types that a schema takes: `string`, `array` …
pub fn types(schema: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    match schema.get("type") {
        Some(Value::String(one)) => found.push(one.as_str()),
        Some(Value::Array(several)) => found.extend(several.iter().filter_map(Value::as_str)),
        _ => {}
    }
    for several in ["anyOf", "oneOf"] {
        for one in schema.get(several).and_then(Value::as_array).into_iter().flatten() {
            found.extend(types(one));
        }
    }
    if found.is_empty() && (schema.get("enum").is_some() || schema.get("const").is_some()) {
        found.push("string");
    }
    found
}

/// All keys, `a.b` for a key within another, each with its schema. Other names of keys are left out.
pub fn keys(schema: &Value) -> Vec<(String, &Value)> {
    fn gather<'a>(schema: &'a Value, before: &str, found: &mut Vec<(String, &'a Value)>) {
        for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let key = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
            if ALIASES.iter().any(|(alias, _)| *alias == key) {
                continue;
            }
            found.push((key.clone(), inner));
            gather(inner, &key, found);
        }
    }
    let mut found = Vec::new();
    gather(schema, "", &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_schema_is_the_one_that_the_types_have_now() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.schema.json");
        let text = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
        if std::env::var_os("CYRUS_WRITE_SCHEMAS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let published = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(published == text, "run this test with CYRUS_WRITE_SCHEMAS=1 to publish the change");
    }

    #[test]
    fn every_other_name_stands_for_a_key_that_there_is() {
        let schema = schema();
        for (alias, key) in ALIASES {
            assert!(at(&schema, key).is_some(), "{key}");
            assert!(at(&schema, alias).is_some(), "{alias}");
        }
    }

    #[test]
    fn every_key_is_described() {
        for (key, schema) in keys(&schema()) {
            assert!(schema.get("description").is_some(), "{key}");
        }
    }
}
