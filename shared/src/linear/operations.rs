//! The typed documents: one marker type and one module of variables and answers for each operation.
//!
//! Written by `graphql_client` from `operations.graphql` and `schema.graphql` at compile time. Nothing is
//! edited here but the list; enums and unions keep an arm for words that Linear adds later.

#![expect(missing_docs, reason = "graphql_client writes no docs; operations.graphql tells what each is for")]

use graphql_client::GraphQLQuery;

use super::scalars::Id;

macro_rules! operations {
    ($($name:ident),* $(,)?) => {$(
        #[derive(Debug, Clone, Copy, GraphQLQuery)]
        #[graphql(
            schema_path = "src/linear/schema.graphql",
            query_path = "src/linear/operations.graphql",
            normalization = "rust",
            response_derives = "Debug, Clone, PartialEq",
            variables_derives = "Debug, Clone, PartialEq",
            custom_scalars_module = "crate::linear::scalars",
            fragments_other_variant = "true",
            skip_serializing_none
        )]
        pub struct $name;
    )*};
}

operations!(
    Viewer,
    Organization,
    Issue,
    DelegatedOpenIssues,
    TeamStartedStates,
    AgentSession,
    AgentSessions,
    AgentActivityCreate,
    AgentSessionUpdate,
    AgentSessionCreateOnIssue,
    IssueUpdate,
    IssueCreate,
    FileUpload,
);
