//! The edge worker: takes events from the proxy, runs coding agents in git worktrees, answers in Linear and
//! reports to the panel.
//!
//! The way of an event: [`proxy`] reads it from the stream, [`journal`] writes it down, only then is it
//! accepted; [`session`] works on it with an [`executor`] in a [`git`] worktree; what it says to the outside
//! goes through the [`outbox`] to [`linear`] and the [`panel`]; then it is done. [`worker`] ties these together.

pub mod cli;
pub mod config;
pub mod control;
pub mod executor;
pub mod git;
pub mod http;
pub mod journal;
pub mod linear;
pub mod outbox;
pub mod panel;
pub mod proxy;
pub mod redact;
pub mod sandbox;
pub mod session;
pub mod worker;
