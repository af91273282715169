//! Webhooks, from bytes to an event: signature, depth, stamp, projection. Each step is a pure function in a file of its own.
//!
//! The order is fixed (size, signature, JSON, stamp, organization): nothing of a body is looked at before
//! its signature holds. Storing is the hub's business.

pub mod depth;
pub mod linear;
pub mod part;
pub mod signature;
pub mod stamp;

/// The largest Linear body, as Linear's own SDK has it.
pub const LINEAR_MAX_BYTES: usize = 5 * 1024 * 1024;

/// The deepest nesting that any body may have.
pub const MAX_DEPTH: usize = 64;
