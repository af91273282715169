//! The schema that the stand-in answers by, and documents read against it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use apollo_compiler::schema::{ExtendedType, Type};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Value, json};

use super::lock;
use super::refusal::Refusal;

/// A document that was validated.
pub(super) type Document = Arc<Valid<ExecutableDocument>>;

/// The project's subset of Linear's schema. A broken file fails the first request loudly; a test loads it too.
pub(super) static SCHEMA: LazyLock<Valid<Schema>> = LazyLock::new(|| {
    Schema::parse_and_validate(shared::linear::SCHEMA, "schema.graphql")
        .unwrap_or_else(|broken| panic!("shared/src/linear/schema.graphql: {}", broken.errors))
});

/// Documents are few and come again and again.
static DOCUMENTS: LazyLock<Mutex<HashMap<String, Document>>> = LazyLock::new(Mutex::default);
const MOST_DOCUMENTS: usize = 128;

/// Parses and validates a document; every fault found is one refusal.
pub(super) fn document(text: &str) -> Result<Document, Vec<Refusal>> {
    if let Some(known) = lock(&DOCUMENTS).get(text) {
        return Ok(Arc::clone(known));
    }
    let parsed =
        ExecutableDocument::parse_and_validate(&SCHEMA, text, "request.graphql").map_err(|broken| {
            let say = |error: String| Refusal::invalid_document(error);
            broken.errors.iter().take(20).map(|found| say(found.to_json().message)).collect::<Vec<_>>()
        })?;
    let parsed = Arc::new(parsed);
    let mut documents = lock(&DOCUMENTS);
    if documents.len() >= MOST_DOCUMENTS {
        documents.clear();
    }
    documents.insert(text.to_owned(), Arc::clone(&parsed));
    Ok(parsed)
}

/// Whether a type has fields of its own.
pub(super) fn is_composite(name: &str) -> bool {
    matches!(
        SCHEMA.types.get(name),
        Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))
    )
}

/// What a field holds that nobody set: null where it may be, else the emptiest value of its type.
pub(super) fn empty_value(ty: &Type, started: &str) -> Value {
    if !ty.is_non_null() {
        return Value::Null;
    }
    if ty.is_list() {
        return json!([]);
    }
    match ty.inner_named_type().as_str() {
        "Boolean" => json!(false),
        "Int" | "Float" => json!(0),
        "String" | "ID" => json!(""),
        "DateTime" => json!(started),
        "JSON" | "JSONObject" => json!({}),
        name => match SCHEMA.types.get(name) {
            Some(ExtendedType::Enum(words)) => json!(words.values.keys().next().map(|word| word.as_str())),
            _ => json!({}),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_our_operations_is_valid_alone() {
        for name in shared::linear::request::operation_names() {
            let text = shared::linear::request::document(name);
            let found = document(&text)
                .map_err(|refusals| refusals.into_iter().map(|r| r.message).collect::<Vec<_>>());
            assert!(found.is_ok(), "{name}: {:?}", found.err());
        }
    }

    #[test]
    fn a_document_with_a_wrong_name_is_refused_with_its_reason() {
        let refusals = document("query { viewer { id nickname } }").expect_err("a refusal");
        assert_eq!(refusals.len(), 1);
        assert!(refusals[0].message.contains("nickname"), "{}", refusals[0].message);
    }
}
