//! Progress of long work, on stderr: one line a step, with its seconds when it is done.

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Tells what is going on, and how long each step took.
#[derive(Default)]
pub struct Progress {
    current: RefCell<Option<(String, Instant)>>,
    quiet: bool,
}

impl Progress {
    /// Talks on stderr.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says nothing.
    pub fn quiet() -> Self {
        Self { quiet: true, ..Self::default() }
    }

    /// Begins a step; an open one ends.
    pub fn step(&self, text: &str) {
        self.done();
        if !self.quiet {
            eprintln!("  … {text}");
        }
        *self.current.borrow_mut() = Some((text.to_owned(), Instant::now()));
    }

    /// Ends the open step; short ones pass in silence.
    pub fn done(&self) {
        let Some((text, begun)) = self.current.borrow_mut().take() else { return };
        let took = begun.elapsed();
        if took > Duration::from_millis(300) && !self.quiet {
            eprintln!("  ✓ {text} ({:.1} s)", took.as_secs_f64());
        }
    }

    /// Says one thing.
    pub fn say(&self, text: &str) {
        self.done();
        if !self.quiet {
            eprintln!("{text}");
        }
    }
}
