//! The first minutes of somebody who has nothing, and the commands around them: an empty home, a repository, a key, the
//! real `claude`.
//!
//! The model behind it is the scripted stand-in. Skipped with a line where the program is not installed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says by a panic what does not hold, and by a line what it left out"
)]

mod control;
mod first;
mod newcomer;
