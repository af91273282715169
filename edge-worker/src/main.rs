//! The program `cyrus`: reads the command line and says in one line what went wrong, if something did.

use std::process::ExitCode;

fn main() -> ExitCode {
    edge_worker::cli::run()
}
