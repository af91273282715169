//! Linear's GraphQL API: our documents, what they carry, and what an answer means.
//!
//! `operations` holds the typed documents, `request` the body to post, `activity` and `session` what an agent
//! tells, `answer` the reading of what came back; `governor` says what may be sent now, `coalesce` what is joined when
//! that is little. Pure: whoever calls brings the HTTP. The stand-in in
//! `testkit` answers by the same schema file.

pub mod activity;
pub mod answer;
pub mod coalesce;
pub mod governor;
pub mod operations;
pub mod request;
pub mod scalars;
pub mod session;
pub mod weight;

/// The part of Linear's schema that this project uses, as SDL.
pub const SCHEMA: &str = include_str!("linear/schema.graphql");

/// Every document that this project sends to Linear, with its fragments.
pub const OPERATIONS: &str = include_str!("linear/operations.graphql");
