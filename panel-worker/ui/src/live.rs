//! What arrives by itself: the log stream of one session.
//!
//! [`log_book`] (order, doubles, gaps) and [`wire`] (reading events) are pure, [`log_stream`] is the browser's half
//! (EventSource, reconnects). Rendering is in `components/log_view.rs`.

pub mod log_book;
pub mod log_stream;
pub mod wire;
