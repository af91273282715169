//! Codex as an executor: what its program prints, read and judged. Running the program is not here yet.
//! Neighbours: `stream` reads the lines of `codex exec --json` and of `codex app-server`, `session` holds the rules,
//! `replay` judges recorded output. It must never price tokens: the program tells no prices and often no model.

pub mod replay;
pub mod session;
pub mod stream;
