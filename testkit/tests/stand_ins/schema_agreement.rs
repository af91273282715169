//! Compares our subset of Linear's schema, and our operations, with Linear's full schema where a copy is at hand.
//!
//! The copy is named by `CYRUS_LINEAR_SCHEMA`, or lies at `../shared/contracts/linear-schema.graphql` beside the
//! repository.

use std::collections::BTreeSet;
use std::path::PathBuf;

use apollo_compiler::ast::InputValueDefinition;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node, Schema};

use crate::installed::{root, skip};

fn parse(text: &str) -> Schema {
    Schema::parse(text, "schema.graphql").unwrap_or_else(|broken| panic!("{}", broken.errors))
}

/// Every way in which `subset` says something else than `full`.
fn differences(subset: &Schema, full: &Schema) -> Vec<String> {
    let mut found = Vec::new();
    for (name, ours) in subset.types.iter().filter(|(_, ty)| !ty.is_built_in()) {
        let Some(theirs) = full.types.get(name) else {
            found.push(format!("{name} is not in the full schema"));
            continue;
        };
        let names = |list: Vec<String>| list.into_iter().collect::<BTreeSet<_>>();
        match (ours, theirs) {
            (ExtendedType::Scalar(_), ExtendedType::Scalar(_)) => {}
            (ExtendedType::Enum(ours), ExtendedType::Enum(theirs)) => {
                let words = |keys: Vec<_>| names(keys);
                let (ours, theirs) = (
                    words(ours.values.keys().map(ToString::to_string).collect()),
                    words(theirs.values.keys().map(ToString::to_string).collect()),
                );
                if ours != theirs {
                    found
                        .push(format!("{name}: the values differ: {:?}", ours.symmetric_difference(&theirs)));
                }
            }
            (ExtendedType::Union(ours), ExtendedType::Union(theirs)) => {
                let (ours, theirs) = (
                    names(ours.members.iter().map(|member| member.name.to_string()).collect()),
                    names(theirs.members.iter().map(|member| member.name.to_string()).collect()),
                );
                if ours != theirs {
                    found.push(format!(
                        "{name}: the members differ: {:?}",
                        ours.symmetric_difference(&theirs)
                    ));
                }
            }
            (ExtendedType::Object(ours), ExtendedType::Object(theirs)) => {
                for (field, ours) in &ours.fields {
                    let at = format!("{name}.{field}");
                    match theirs.fields.get(field) {
                        None => found.push(format!("{at} is not in the full schema")),
                        Some(theirs) => {
                            if ours.ty.to_string() != theirs.ty.to_string() {
                                found.push(format!("{at} is {} there", theirs.ty));
                            }
                            inputs(&at, &ours.arguments, &theirs.arguments, &mut found);
                        }
                    }
                }
            }
            (ExtendedType::InputObject(ours), ExtendedType::InputObject(theirs)) => {
                let plain = |fields: Vec<&Node<InputValueDefinition>>| {
                    fields.into_iter().cloned().collect::<Vec<_>>()
                };
                let (ours, theirs) = (
                    plain(ours.fields.values().map(|field| &field.node).collect()),
                    plain(theirs.fields.values().map(|field| &field.node).collect()),
                );
                inputs(name, &ours, &theirs, &mut found);
            }
            _ => found.push(format!("{name} is of another kind there")),
        }
    }
    found
}

/// Arguments, or fields of an input: ours must be theirs, and what they require must be ours.
fn inputs(
    at: &str,
    ours: &[Node<InputValueDefinition>],
    theirs: &[Node<InputValueDefinition>],
    found: &mut Vec<String>,
) {
    for own in ours {
        match theirs.iter().find(|other| other.name == own.name) {
            None => found.push(format!("{at}({}) is not in the full schema", own.name)),
            Some(other) => {
                if own.ty.to_string() != other.ty.to_string() {
                    found.push(format!("{at}({}) is {} there", own.name, other.ty));
                }
                if own.default_value.as_ref().map(ToString::to_string)
                    != other.default_value.as_ref().map(ToString::to_string)
                {
                    found.push(format!("{at}({}) has another default there", own.name));
                }
            }
        }
    }
    for other in theirs.iter().filter(|other| other.is_required()) {
        if !ours.iter().any(|own| own.name == other.name) {
            found.push(format!("{at}({}) is required there", other.name));
        }
    }
}

fn full_schema() -> Option<String> {
    let named = std::env::var_os("CYRUS_LINEAR_SCHEMA").map(PathBuf::from);
    let path = named.unwrap_or_else(|| root().join("../shared/contracts/linear-schema.graphql"));
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        skip(&format!(
            "our subset of Linear's schema against the full one: no copy at {}; name one in CYRUS_LINEAR_SCHEMA",
            path.display()
        ));
    }
    text
}

#[test]
fn our_subset_and_operations_agree_with_linears_full_schema() {
    let Some(text) = full_schema() else { return };
    let (subset, full) = (parse(shared::linear::SCHEMA), parse(&text));
    assert_eq!(differences(&subset, &full), Vec::<String>::new());

    // Linear's own file is taken as valid: checking its 50,000 lines would take most of this test's time.
    let full = Valid::assume_valid(full);
    for name in shared::linear::request::operation_names() {
        let document = shared::linear::request::document(name);
        if let Err(broken) = ExecutableDocument::parse_and_validate(&full, &document, name) {
            panic!("{name} does not fit the full schema:\n{}", broken.errors);
        }
    }
}

#[test]
fn the_comparison_sees_each_kind_of_difference() {
    let full = parse(
        "type Query { a(x: Int! = 1, y: ID!): Int! } enum E { p q } input I { m: Int n: Int! } union U = Query | V type V { b: Int } scalar S",
    );
    assert_eq!(differences(&full, &full), Vec::<String>::new());
    for (wrong, told) in [
        ("type Query { a(x: Int! = 1, y: ID!): Int }", "Query.a is Int! there"),
        ("type Query { c: Int }", "Query.c is not"),
        ("type Query { a(x: Int! = 1): Int! }", "Query.a(y) is required"),
        ("type Query { a(x: Int! = 2, y: ID!): Int! }", "another default"),
        ("type Query { a(x: Int! = 1, y: ID!, z: Int): Int! }", "Query.a(z) is not"),
        ("enum E { p }", "values differ"),
        ("input I { n: Int }", "I(n) is Int! there"),
        ("input I { m: Int }", "I(n) is required"),
        ("type V { b: Int } union U = V", "members differ"),
        ("scalar V", "another kind"),
        ("scalar T", "T is not"),
    ] {
        let found = differences(&parse(wrong), &full);
        assert!(found.iter().any(|line| line.contains(told)), "{wrong}: {found:?}");
    }
}
