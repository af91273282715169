//! The program `cyrus` with its points of failure: `CYRUS_FAILPOINT=<n>[:before|after]` kills it at the n-th commit of its
//! journal. `cargo xtask chaos edge` runs it; nothing of it is in `cyrus`.

use std::process::ExitCode;

fn main() -> ExitCode {
    edge_worker::cli::run()
}
