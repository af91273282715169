//! Linear's filters over entities, as far as the subset of the schema knows them.

use apollo_compiler::schema::Type;
use serde_json::{Map, Value};

use super::schema::SCHEMA;
use super::store::Store;

/// Whether the entity fits: every named field does.
pub(super) fn fits(store: &Store, type_name: &str, id: &str, filter: &Value) -> bool {
    let Some(filter) = filter.as_object() else { return true };
    let Some(fields) = store.fields_of(type_name, id) else { return false };
    filter.iter().all(|(name, wanted)| field_fits(store, type_name, &fields, name, wanted))
}

fn field_fits(
    store: &Store,
    type_name: &str,
    fields: &Map<String, Value>,
    name: &str,
    wanted: &Value,
) -> bool {
    let Some(wanted_fields) = wanted.as_object() else { return true };
    // An activity's filter names the type that its content holds.
    let value = if type_name == "AgentActivity" && name == "type" {
        fields.get("content").and_then(|content| content.get("type"))
    } else {
        fields.get(name)
    };
    let value = value.unwrap_or(&Value::Null);
    let composite = field_type(type_name, name).filter(|inner| super::schema::is_composite(inner));
    let Some(inner) = composite else { return compares(value, wanted_fields) };
    let mut nested = wanted_fields.clone();
    if let Some(null) = nested.remove("null").and_then(|null| null.as_bool())
        && null != value.is_null()
    {
        return false;
    }
    nested.is_empty() || value.as_str().is_some_and(|id| fits(store, &inner, id, &Value::Object(nested)))
}

fn field_type(type_name: &str, field: &str) -> Option<String> {
    let definition = SCHEMA.type_field(type_name, field).ok()?;
    let ty: &Type = &definition.ty;
    Some(ty.inner_named_type().to_string())
}

fn compares(value: &Value, comparator: &Map<String, Value>) -> bool {
    let (text, list_has) = (value.as_str().unwrap_or_default(), |list: &Value| {
        list.as_array().is_some_and(|list| list.contains(value))
    });
    comparator.iter().filter(|(_, wanted)| !wanted.is_null()).all(|(how, wanted)| {
        let than = wanted.as_str().unwrap_or_default();
        match how.as_str() {
            "eq" => wanted == value,
            "neq" => wanted != value,
            "in" => list_has(wanted),
            "nin" => !list_has(wanted),
            "gt" => text > than,
            "gte" => text >= than,
            "lt" => text < than,
            "lte" => text <= than,
            _ => true,
        }
    })
}
