//! The program `cyrus` with its points of failure: `CYRUS_FAILPOINT=<n>[:before|after]` kills it at the n-th commit of its
//! journal. `cargo xtask chaos edge` runs it; nothing of it is in `cyrus`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // As in `cyrus`: agents are started through this very program.
    edge_worker::sandbox::dispatch().unwrap_or_else(edge_worker::cli::run)
}
