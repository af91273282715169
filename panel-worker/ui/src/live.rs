//! What arrives by itself: the log stream of one session.
//!
//! [`log_book`] is the pure half (order, doubles, gaps, window), [`log_stream`] the browser's half (EventSource,
//! reconnects). Rendering is in `components/log_view.rs`.

pub mod log_book;
pub mod log_stream;
