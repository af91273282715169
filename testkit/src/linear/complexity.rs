//! What a document costs by Linear's price rule: a scalar 0.1, an object 1, a connection its page size times its
//! children, rounded up.

use apollo_compiler::ExecutableDocument;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use serde_json::{Map, Value};

use super::schema::is_composite;

/// Linear's page size when none is given.
const DEFAULT_PAGE: f64 = 50.0;

/// Points for one run of the operation.
pub(super) fn price(
    document: &ExecutableDocument,
    operation: &Operation,
    variables: &Map<String, Value>,
) -> u64 {
    // Not negative, and capped well below what f64 holds exactly.
    children(document, &operation.selection_set, variables).ceil().min(1e12) as u64
}

fn children(document: &ExecutableDocument, set: &SelectionSet, variables: &Map<String, Value>) -> f64 {
    let one = |selection: &Selection| match selection {
        Selection::Field(field) => of_field(document, field, variables),
        Selection::InlineFragment(inline) => children(document, &inline.selection_set, variables),
        Selection::FragmentSpread(spread) => spread
            .fragment_def(document)
            .map_or(0.0, |fragment| children(document, &fragment.selection_set, variables)),
    };
    set.selections.iter().map(one).sum()
}

fn of_field(document: &ExecutableDocument, field: &Field, variables: &Map<String, Value>) -> f64 {
    let type_name = field.ty().inner_named_type().as_str();
    if !is_composite(type_name) {
        return 0.1;
    }
    let inside = children(document, &field.selection_set, variables);
    if type_name.ends_with("Connection") { page_size(field, variables) * inside } else { 1.0 + inside }
}

fn page_size(field: &Field, variables: &Map<String, Value>) -> f64 {
    let first =
        field.specified_argument_by_name("first").or_else(|| field.specified_argument_by_name("last"));
    let size = first.and_then(|value| match value.as_variable() {
        Some(name) => variables.get(name.as_str()).and_then(Value::as_f64),
        None => value.to_f64(),
    });
    size.unwrap_or(DEFAULT_PAGE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::linear::schema::document;

    fn cost(text: &str, variables: &Value) -> u64 {
        let document = document(text).unwrap_or_else(|refusals| panic!("{refusals:?}"));
        let operation = document.operations.get(None).expect("one operation");
        price(&document, operation, variables.as_object().expect("an object"))
    }

    #[test]
    fn a_connection_costs_its_page_size_times_its_children() {
        assert_eq!(cost("{ viewer { id } }", &json!({})), 2);
        // 1 for the team, 0.1 for its id, 50 × (1 + 0.1)
        assert_eq!(cost(r#"{ team(id: "t") { id states { nodes { id } } } }"#, &json!({})), 57);
        let sized = r#"query Q($n: Int) { team(id: "t") { id states(first: $n) { nodes { id } } } }"#;
        assert_eq!(cost(sized, &json!({"n": 10})), 13);
    }
}
