//! Rows of D1 as the records of the API, and the other way round.

pub mod agent_session;
pub mod row;
pub mod session;
