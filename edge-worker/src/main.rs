//! The program `cyrus`: reads the command line and says in one line what went wrong, if something did.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A hidden command needs a process with one thread, so it comes before everything.
    edge_worker::sandbox::dispatch().unwrap_or_else(edge_worker::cli::run)
}
