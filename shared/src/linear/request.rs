//! The body of a request to Linear's GraphQL endpoint.
//!
//! Sends the one operation that is meant with its fragments, not the whole file that the client was generated
//! from. Knows nothing of HTTP.

use std::collections::BTreeSet;

use graphql_client::{GraphQLQuery, QueryBody};
use serde::Serialize;

use super::OPERATIONS;

/// Where Linear takes GraphQL.
pub const ENDPOINT: &str = "https://api.linear.app/graphql";

#[derive(Serialize)]
struct Request<V> {
    query: String,
    variables: V,
    #[serde(rename = "operationName")]
    operation_name: &'static str,
}

/// The JSON to post to [`ENDPOINT`]. Fails only when a variable cannot be written as JSON.
pub fn body<Q: GraphQLQuery>(variables: Q::Variables) -> Result<String, serde_json::Error> {
    let QueryBody { variables, operation_name, .. } = Q::build_query(variables);
    serde_json::to_string(&Request { query: document(operation_name), variables, operation_name })
}

/// The text of one operation of ours with the fragments that it needs; empty for a name that is not ours.
pub fn document(operation: &str) -> String {
    let mut wanted = BTreeSet::from([operation.to_owned()]);
    let mut done = BTreeSet::new();
    let mut text = String::new();
    while let Some(name) = wanted.pop_first() {
        let Some(definition) = definitions().find(|definition| name_of(definition) == Some(name.as_str()))
        else {
            continue;
        };
        text.push_str(definition);
        text.push('\n');
        done.insert(name);
        wanted.extend(spreads(definition).filter(|spread| !done.contains(*spread)).map(ToOwned::to_owned));
    }
    text
}

/// Names of all operations of ours, in the order of the file.
pub fn operation_names() -> impl Iterator<Item = &'static str> {
    definitions().filter(|text| !text.starts_with("fragment")).filter_map(name_of)
}

/// The top-level definitions: each begins at a line's start with its keyword and ends with a line `}`.
fn definitions() -> impl Iterator<Item = &'static str> {
    OPERATIONS.split_inclusive("\n}\n").filter_map(|chunk| {
        let mut offset = 0;
        for line in chunk.split_inclusive('\n') {
            if ["query ", "mutation ", "fragment "].iter().any(|keyword| line.starts_with(keyword)) {
                return chunk.get(offset..);
            }
            offset += line.len();
        }
        None
    })
}

fn name_of(definition: &'static str) -> Option<&'static str> {
    definition.split_whitespace().nth(1).and_then(|word| word.split('(').next())
}

fn spreads(definition: &'static str) -> impl Iterator<Item = &'static str> {
    definition
        .lines()
        .filter_map(|line| line.trim().strip_prefix("..."))
        .filter(|rest| !rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::operations::{TeamStartedStates, team_started_states};

    #[test]
    fn a_request_carries_its_own_operation_and_fragments_and_nothing_else() {
        let body = body::<TeamStartedStates>(team_started_states::Variables { team_id: "t".into() }).unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let query = body["query"].as_str().unwrap();
        assert!(query.starts_with("query TeamStartedStates("), "{query}");
        assert!(query.contains("fragment StateParts on WorkflowState"), "{query}");
        assert!(!query.contains("IssueParts") && !query.contains("mutation"), "{query}");
        assert_eq!(body["operationName"], "TeamStartedStates");
        assert_eq!(body["variables"], serde_json::json!({"teamId": "t"}));
    }

    #[test]
    fn fragments_of_fragments_come_along_once() {
        let text = document("Issue");
        for fragment in ["fragment IssueParts on", "fragment StateParts on", "fragment PageParts on"] {
            assert_eq!(text.matches(fragment).count(), 1, "{fragment}");
        }
    }

    #[test]
    fn the_names_are_those_of_the_file() {
        let names: Vec<_> = operation_names().collect();
        assert_eq!(
            names.len(),
            OPERATIONS.matches("\nquery ").count() + OPERATIONS.matches("\nmutation ").count()
        );
        assert!(names.contains(&"Viewer") && names.contains(&"AgentActivityCreate"));
        assert_eq!(document("NotOurs"), "");
    }
}
